"""A task's minibatch as tensors."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from archsearch.trials.task import Batch


@dataclass(frozen=True)
class Minibatch:
    """What a model reads and what is asked for.

    Shapes: `T` time steps, `B` sequences, `N` scored positions.

    Attributes:
        inputs: `[T, B]` symbols.
        positions: `[N]` scored positions among the `T * B`, time first; None if all are.
        targets: `[N]` symbols asked for there.
        starts: Whether the states are zero before the first step.
    """

    inputs: Tensor
    positions: Tensor | None
    targets: Tensor
    starts: bool

    @classmethod
    def from_batch(cls, batch: Batch) -> "Minibatch":
        """Copies a task's batch."""
        inputs = torch.tensor(np.ascontiguousarray(batch.inputs, dtype=np.int64))
        targets = np.ascontiguousarray(batch.targets, dtype=np.int64).ravel()
        if batch.scored.all():
            return cls(inputs, None, torch.tensor(targets), batch.starts)
        positions = batch.scored.ravel().nonzero()[0]
        return cls(inputs, torch.tensor(positions), torch.tensor(targets[positions]), batch.starts)

    @property
    def batch_size(self) -> int:
        """`B`."""
        return self.inputs.shape[1]
