"""Sequences of different lengths, side by side in a batch.

Shapes: `T` time steps, `B` sequences, `F` numbers read and `K` predicted at each step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archsearch.trials.task import Batch

Numbers = NDArray[np.int64] | NDArray[np.float32]


@dataclass(frozen=True)
class Example:
    """One sequence with what is asked for.

    Attributes:
        inputs: `[T]` symbols or `[T, F]` numbers.
        targets: `[T]` classes or `[T, K]` numbers.
        scored: `[T]` bool, the steps that count.
        identity: What is hashed to tell the split; equal sequences have equal identities.
    """

    inputs: Numbers
    targets: Numbers
    scored: NDArray[np.bool_]
    identity: bytes

    def __len__(self) -> int:
        return len(self.scored)


def padded(examples: Sequence[Example]) -> Batch:
    """Returns sequences side by side, filled up with zeros that are not scored; states start from zero."""
    num_steps = max(len(example) for example in examples)
    arrays = []
    for name in ("inputs", "targets", "scored"):
        first = getattr(examples[0], name)
        array = np.zeros((num_steps, len(examples), *first.shape[1:]), first.dtype)
        for number, example in enumerate(examples):
            array[: len(example), number] = getattr(example, name)
        arrays.append(array)
    inputs, targets, scored = arrays
    return Batch(inputs, targets, scored, starts=True)


def cut(batch: Batch, unroll: int) -> list[Batch]:
    """Returns a batch in pieces of at most `unroll` steps; states are carried from one to the next."""
    return [
        Batch(
            batch.inputs[start : start + unroll],
            batch.targets[start : start + unroll],
            batch.scored[start : start + unroll],
            starts=start == 0,
        )
        for start in range(0, len(batch.scored), unroll)
    ]
