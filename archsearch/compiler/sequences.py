"""How the sequences of a batch lie in a tensor, and so how a cell is unrolled along them, either way.

Shapes: `T` time steps, `B` sequences, `I` input features, `H` hidden units, `N` time steps of all sequences together.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from archsearch.compiler.engines import Unroll
from archsearch.errors import ShapeError

Unrolled = tuple[Tensor, tuple[Tensor, ...]]


class Sequences(ABC):
    """A layout of sequences."""

    @abstractmethod
    def unroll(
        self, engine: Unroll, x: Tensor, states: tuple[Tensor, ...], parameters: Mapping[str, Tensor], is_reversed: bool
    ) -> Unrolled:
        """Unrolls a cell over each sequence.

        Args:
            engine: Runs the cell.
            x: Inputs, in this layout, features last.
            states: `[1, B, H]` each, before the first step that is taken.
            parameters: As the engine takes them.
            is_reversed: Whether the steps are taken from a sequence's last to its first.

        Returns:
            Outputs, in this layout and at the places of their inputs, and the states after the last step that is
            taken, `[1, B, H]` each.
        """


class EqualSequences(Sequences):
    """Sequences of one length: `[T, B, features]`."""

    def unroll(
        self, engine: Unroll, x: Tensor, states: tuple[Tensor, ...], parameters: Mapping[str, Tensor], is_reversed: bool
    ) -> Unrolled:
        """See `Sequences.unroll`."""
        if not is_reversed:
            return engine(x, states, parameters)
        output, after = engine(x.flip(0), states, parameters)
        return output.flip(0), after


class _Run(NamedTuple):
    """Time steps, one after another, that the same sequences take part in."""

    num_steps: int
    batch_size: int


class PackedSequences(Sequences):
    """Sequences from the longest to the shortest, as a `PackedSequence` has them: `[N, features]`, time first.

    Sequences end, and in reverse begin, between runs of time steps. Each run is a whole unroll of its own, so that any
    engine does, and a state is what it was at the sequence's own end.

    Args:
        batch_sizes: How many sequences have each time step.

    Raises:
        ShapeError: They are not those of sequences from the longest to the shortest.
    """

    def __init__(self, batch_sizes: list[int]) -> None:
        if not batch_sizes or batch_sizes[-1] < 1 or batch_sizes != sorted(batch_sizes, reverse=True):
            raise ShapeError(
                "RecurrentLayer: expected a PackedSequence whose batch_sizes never grow and are at least 1, got "
                f"{batch_sizes}. Build it with torch.nn.utils.rnn.pack_padded_sequence or pack_sequence."
            )
        self._runs = [_Run(len(list(steps)), size) for size, steps in groupby(batch_sizes)]

    def unroll(
        self, engine: Unroll, x: Tensor, states: tuple[Tensor, ...], parameters: Mapping[str, Tensor], is_reversed: bool
    ) -> Unrolled:
        """See `Sequences.unroll`."""
        # split once: a slice of its own for each run would have a gradient as long as all of x
        pieces = x.split_with_sizes([run.num_steps * run.batch_size for run in self._runs])
        inputs = [piece.reshape(*run, -1) for piece, run in zip(pieces, self._runs, strict=True)]
        walk = self._walk_backwards if is_reversed else self._walk_forwards
        outputs, after = walk(engine, inputs, states, parameters)
        return torch.cat([output.flatten(0, 1) for output in outputs]), after

    def _walk_forwards(
        self, engine: Unroll, inputs: list[Tensor], states: tuple[Tensor, ...], parameters: Mapping[str, Tensor]
    ) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        outputs, ended = [], []
        for x, num_left in zip(inputs, [*self._sizes()[1:], 0], strict=True):
            output, after = engine(x, states, parameters)
            outputs.append(output)
            ended.append(tuple(state[:, num_left:] for state in after))
            states = tuple(state[:, :num_left] for state in after)
        # the shortest sequences, last in the batch, ended first
        return outputs, tuple(torch.cat(rows, 1) for rows in zip(*reversed(ended), strict=True))

    def _walk_backwards(
        self, engine: Unroll, inputs: list[Tensor], states: tuple[Tensor, ...], parameters: Mapping[str, Tensor]
    ) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        sizes = self._sizes()[::-1]
        new_rows = [size - begun for size, begun in zip(sizes, [0, *sizes], strict=False)]
        beginnings = zip(*(state.split_with_sizes(new_rows, 1) for state in states), strict=True)
        outputs: list[Tensor] = []
        after: tuple[Tensor, ...] = ()
        for x, first in zip(reversed(inputs), beginnings, strict=True):
            before = tuple(torch.cat(pair, 1) for pair in zip(after, first, strict=True)) if outputs else first
            output, after = engine(x.flip(0), before, parameters)
            outputs.append(output.flip(0))
        return outputs[::-1], after

    def _sizes(self) -> list[int]:
        return [run.batch_size for run in self._runs]


def sequences_of(packed: PackedSequence) -> PackedSequences:
    """Returns the layout of a packed sequence.

    Raises:
        ShapeError: Its batch sizes are none, or are not those of its data.
    """
    given = packed.batch_sizes
    if given.dim() != 1 or given.dtype != torch.int64:
        raise ShapeError(
            "RecurrentLayer: expected a PackedSequence whose batch_sizes are a vector of torch.int64, got "
            f"{given.dtype} of shape {list(given.shape)}. Build it with torch.nn.utils.rnn.pack_padded_sequence or "
            "pack_sequence."
        )
    batch_sizes = given.tolist()
    if sum(batch_sizes) != packed.data.shape[0]:
        raise ShapeError(
            f"RecurrentLayer: expected a PackedSequence of {sum(batch_sizes)} time steps, the sum of its batch_sizes, "
            f"got data {list(packed.data.shape)}. Build it with torch.nn.utils.rnn.pack_padded_sequence or "
            "pack_sequence."
        )
    return PackedSequences(batch_sizes)
