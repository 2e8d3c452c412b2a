"""What is known of each member of a population while it trains, kept where it trains.

The host reads and writes it between epochs only, so that nobody waits for a number within one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from archsearch.trials.setting import Setting

LOSS, NORM = 1, 2
"""What made a member diverge."""


@dataclass(frozen=True)
class Divergence:
    """The first step of a member whose loss or gradient could not be used.

    Attributes:
        step: Its number.
        kind: `LOSS` or `NORM`.
        number: The loss per scored position, or the gradient's norm.
    """

    step: int
    kind: int
    number: float

    def __str__(self) -> str:
        """Returns what the trainer of one model says."""
        what = (
            f"loss per scored position is {self.number:g}" if self.kind == LOSS else f"gradient's norm is {self.number}"
        )
        return f"step {self.step}: the {what}"


@dataclass(frozen=True)
class MemberRecords:
    """One number of each kind per member, float64 but where something else is said.

    Attributes:
        learning_rate: Of the epoch at work.
        max_gradient_norm: To which gradients are clipped.
        is_active: Bool, whether the member still trains; what diverged is inactive besides.
        blind_loss: Per scored position, of a guess that knows nothing; NaN as long as it is not known.
        loss_sum: Training loss since the last whole epoch.
        num_scored: Positions it was summed over.
        stop_step: Integer, the step at which the member diverged; 0 if it did not.
        stop_kind: Integer, why.
        stop_number: See `Divergence`.
    """

    learning_rate: Tensor
    max_gradient_norm: Tensor
    is_active: Tensor
    blind_loss: Tensor
    loss_sum: Tensor
    num_scored: Tensor
    stop_step: Tensor
    stop_kind: Tensor
    stop_number: Tensor

    @classmethod
    def of(cls, settings: Sequence[Setting], blind_loss: float | None, device: torch.device) -> "MemberRecords":
        """Returns the records of members that have not begun."""
        num_members = len(settings)

        def numbers(*values: float) -> Tensor:
            return torch.tensor(values, dtype=torch.float64, device=device)

        zeros = [0.0] * num_members
        return cls(
            learning_rate=numbers(*(setting.learning_rate for setting in settings)),
            max_gradient_norm=numbers(*(setting.max_gradient_norm for setting in settings)),
            is_active=torch.ones(num_members, dtype=torch.bool, device=device),
            blind_loss=numbers(*[float("nan") if blind_loss is None else blind_loss] * num_members),
            loss_sum=numbers(*zeros),
            num_scored=numbers(*zeros),
            stop_step=torch.zeros(num_members, dtype=torch.int64, device=device),
            stop_kind=torch.zeros(num_members, dtype=torch.int64, device=device),
            stop_number=numbers(*zeros),
        )

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All of them."""
        return tuple(getattr(self, field.name) for field in fields(self))

    def of_members(self, members: Tensor) -> "MemberRecords":
        """Returns copies for some of the members."""
        return MemberRecords(*(tensor.index_select(0, members) for tensor in self.tensors))

    def divergences(self) -> list[Divergence | None]:
        """Returns which members diverged and how; waits for the device."""
        columns = (self.stop_step.tolist(), self.stop_kind.tolist(), self.stop_number.tolist())
        return [Divergence(*row) if row[0] else None for row in zip(*columns, strict=True)]

    def mean_losses(self) -> list[float]:
        """Returns the mean training losses since the last whole epoch; waits for the device."""
        return (self.loss_sum / self.num_scored.clamp(min=1)).tolist()

    def begin_epoch(self, learning_rates: Sequence[float], are_active: Sequence[bool]) -> None:
        """Sets what the next epoch needs."""
        self.learning_rate.copy_(torch.tensor(learning_rates, dtype=torch.float64))
        self.is_active.copy_(torch.tensor(are_active))
        self.loss_sum.zero_()
        self.num_scored.zero_()
