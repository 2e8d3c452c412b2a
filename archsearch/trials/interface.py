"""What a model reads and predicts on a task: both ends of it, and the loss between them."""

import math
from dataclasses import dataclass

from archsearch.trials.metric import Loss


@dataclass(frozen=True)
class Interface:
    """The two ends of a model.

    A symbol is embedded: a row of `H` weights for each. Numbers pass a linear input layer without a bias, which is to
    numbers what an embedding is to symbols. A linear readout with a bias gives `K` numbers, which the loss takes for
    unnormalized log probabilities of `K` classes (`cross_entropy`), for log odds of `K` binary values
    (`binary_cross_entropy`), or for the `K` numbers asked for (`squared_error`, halved). All of it counts towards the
    parameter budget.

    Attributes:
        num_symbols: Symbols that are read; 0 where numbers are.
        input_size: Numbers read at each step; 0 where symbols are.
        output_size: `K`.
        loss: What is minimized; summed over the `K` numbers and the scored positions.
    """

    num_symbols: int
    input_size: int
    output_size: int
    loss: Loss

    @classmethod
    def of_symbols(cls, num_symbols: int) -> "Interface":
        """Returns the interface of a task that reads symbols and predicts one of the same."""
        return cls(num_symbols, 0, num_symbols, "cross_entropy")

    def parameters(self, hidden_size: int) -> int:
        """Returns the number of weights of both ends."""
        read = (self.num_symbols or self.input_size) * hidden_size
        return read + self.output_size * hidden_size + self.output_size

    @property
    def blind_loss(self) -> float | None:
        """The loss per scored position of a guess that knows nothing, in nats; None where the data's scale tells."""
        if self.loss == "cross_entropy":
            return math.log(max(self.output_size, 2))
        return self.output_size * math.log(2) if self.loss == "binary_cross_entropy" else None

    def __str__(self) -> str:
        """Returns shapes, in words."""
        read = f"one of {self.num_symbols:,} symbols" if self.num_symbols else f"{self.input_size} number(s)"
        kinds = {
            "cross_entropy": "one of {:,} classes",
            "binary_cross_entropy": "{} binary value(s)",
            "squared_error": "{} number(s)",
        }
        return f"reads {read}, predicts {kinds[self.loss].format(self.output_size)} at each step"
