"""A task's minibatch as tensors."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archsearch.trials.task import Batch, HeldOut, Task
from archsearch.trials.trial import Recipe


@dataclass(frozen=True)
class Minibatch:
    """What a model reads and what is asked for.

    Shapes: `T` time steps, `B` sequences, `N` scored positions, `F` numbers read and `K` predicted.

    Attributes:
        inputs: `[T, B]` symbols or `[T, B, F]` numbers.
        positions: `[N]` scored positions among the `T * B`, time first; None if all are.
        targets: `[N]` classes or `[N, K]` numbers asked for there.
        starts: Whether the states are zero before the first step.
    """

    inputs: Tensor
    positions: Tensor | None
    targets: Tensor
    starts: bool

    @classmethod
    def from_batch(cls, batch: Batch) -> "Minibatch":
        """Copies a task's batch."""
        inputs, targets = torch.tensor(_plain(batch.inputs)), _plain(batch.targets)
        targets = targets.reshape(batch.scored.size, *targets.shape[2:])
        if batch.scored.all():
            return cls(inputs, None, torch.tensor(targets), batch.starts)
        positions = batch.scored.ravel().nonzero()[0]
        return cls(inputs, torch.tensor(positions), torch.tensor(targets[positions]), batch.starts)

    @property
    def batch_size(self) -> int:
        """`B`."""
        return self.inputs.shape[1]


def held_out_minibatches(task: Task, split: HeldOut, recipe: Recipe) -> list[Minibatch]:
    """Returns the held-out data of a split."""
    return [Minibatch.from_batch(batch) for batch in task.held_out(split, recipe.batch_size, recipe.unroll)]


def check_range(symbols: Tensor, num_symbols: int) -> None:
    """Checks numbers of symbols or classes, for code that reads and writes wherever they tell it to.

    Raises:
        IndexError: One is none.
    """
    if symbols.numel() and not 0 <= int(symbols.min()) <= int(symbols.max()) < num_symbols:
        raise IndexError(
            f"expected symbols from 0 to {num_symbols - 1}, got some from {int(symbols.min())} to "
            f"{int(symbols.max())}; the task's data do not fit its vocabulary"
        )


def _plain(array: NDArray[np.number]) -> NDArray[np.number]:
    """Returns an array in memory order, of int64 or float32."""
    return np.ascontiguousarray(array, np.float32 if np.issubdtype(array.dtype, np.floating) else np.int64)
