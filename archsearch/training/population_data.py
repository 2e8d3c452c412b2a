"""Minibatches as a population reads them: many at once, side by side, of a few shapes.

Shapes: `n` minibatches, `S` streams of data, `T` time steps, `B` sequences, `F` numbers read and `K` predicted.

A minibatch may be filled up to a larger shape. Steps are added at the end, where no later minibatch waits for
the states, and sequences beside the others; neither is scored.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from archsearch.errors import ShapeError
from archsearch.training.minibatch import Minibatch, check_range
from archsearch.trials.interface import Interface

Shape = tuple[int, int]
"""`(T, B)`."""

NUM_ABREAST = 64
"""Minibatches that are handed over at once, at the most."""


MAX_SHAPES = 8
"""Shapes of minibatches for which memory is held at once; beyond them, that used longest ago goes."""


class UnequalStreamsError(Exception):
    """The streams of a population do not have minibatches of equal lengths, and none may be filled up."""


@dataclass(frozen=True)
class Chunk:
    """Minibatches of one shape that follow each other.

    Attributes:
        inputs: `[n, S, T, B]` symbols, int64, or `[n, S, T, B, F]` numbers.
        targets: `[n, S, T, B]` classes, int64, or `[n, S, T, B, K]` numbers.
        scored: `[n, S, T, B]` bool.
        starts: `[n, S]` bool: whether the states are zero before the first step.
        batch_sizes: `[n, S]`: sequences before any were added, as a number of the model's type.
    """

    inputs: Tensor
    targets: Tensor
    scored: Tensor
    starts: Tensor
    batch_sizes: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def shape(self) -> Shape:
        """`(T, B)`."""
        return self.scored.shape[2], self.scored.shape[3]

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All of it."""
        return self.inputs, self.targets, self.scored, self.starts, self.batch_sizes

    @classmethod
    def empty(cls, like: "Chunk", num_minibatches: int, device: torch.device) -> "Chunk":
        """Returns room for minibatches like others."""
        return cls(
            *(torch.zeros((num_minibatches, *part.shape[1:]), dtype=part.dtype, device=device) for part in like.tensors)
        )

    @classmethod
    def joined(cls, chunks: Sequence["Chunk"]) -> "Chunk":
        """Returns the minibatches of chunks of one shape, one after another."""
        return cls(*(torch.cat(parts) for parts in zip(*(chunk.tensors for chunk in chunks), strict=True)))

    def take(self, other: "Chunk") -> None:
        """Copies a chunk of at most as many minibatches, without waiting for it."""
        for mine, theirs in zip(self.tensors, other.tensors, strict=True):
            source = theirs.pin_memory() if mine.is_cuda else theirs
            mine[: len(theirs)].copy_(source, non_blocking=True)

    def of(self, number: Tensor, streams: Tensor) -> tuple[Tensor, ...]:
        """Returns one minibatch for each member, its parts in the order of the attributes.

        Args:
            number: Which one, an integer where the chunk is.
            streams: `[P]`: the stream that each member reads.
        """
        rows = number * self.scored.shape[1] + streams
        return tuple(part.flatten(0, 1).index_select(0, rows) for part in self.tensors)


def round_up(number: int, multiple: int) -> int:
    """Returns the least multiple that is not below a number; the number itself for a multiple of 0."""
    return -(-number // multiple) * multiple if multiple else number


def grown(length: int, multiple: int, others: Collection[int]) -> int:
    """Returns what a number of steps is rounded up to: a multiple, or one that there is anyway if that is not more."""
    rounded = round_up(length, multiple)
    return min((other for other in others if length <= other <= rounded), default=rounded)


class Shaper:
    """Decides on the shapes of minibatches, from what has come so far.

    Where lengths are many, they are rounded up ever more, so that the shapes stay few.

    Args:
        multiple: Numbers of steps are rounded up to a multiple of it, where steps may be added.
        most_sequences: Numbers of sequences are filled up to it, and to the largest one so far.
    """

    def __init__(self, multiple: int = 1, most_sequences: int = 0) -> None:
        self._multiple = multiple
        self._most_sequences = most_sequences
        self._lengths: set[int] = set()
        self._fixed: set[int] = set()

    def shape(self, minibatches: Sequence[Minibatch], may_grow: Sequence[bool]) -> Shape:
        """Returns the shape for the same minibatch of all streams.

        Args:
            minibatches: One per stream.
            may_grow: Whether steps may be added to each.

        Raises:
            UnequalStreamsError: One that may not grow is shorter than another.
        """
        lengths = [len(minibatch.inputs) for minibatch in minibatches]
        self._most_sequences = max(self._most_sequences, *(minibatch.batch_size for minibatch in minibatches))
        longest = max(lengths)
        if all(may_grow):
            longest = self._rounded(longest)
        elif any(length != longest for length, may in zip(lengths, may_grow, strict=True) if not may):
            raise UnequalStreamsError(f"minibatches of {', '.join(map(str, lengths))} steps stand side by side")
        else:
            self._fixed.add(longest)
        return longest, self._most_sequences

    def _rounded(self, length: int) -> int:
        largest = max(length, *self._lengths, 0)
        while self._multiple < largest and len(self._lengths | {self._grown(length)}) > MAX_SHAPES:
            self._multiple *= 2
            self._lengths = set(map(self._grown, self._lengths))
        rounded = self._grown(length)
        self._lengths.add(rounded)
        return rounded

    def _grown(self, length: int) -> int:
        return grown(length, self._multiple, self._fixed)


class Chunks:
    """Reads streams abreast and gives what follows each other in one shape together.

    Args:
        streams: Each without end or as long as the others.
        interface: What is read and predicted.
        dtype: Of numbers.
        multiple: See `Shaper`.
        most_sequences: See `Shaper`.
        num_abreast: Minibatches of a chunk, at the most.
    """

    def __init__(
        self,
        streams: Sequence[Iterable[Minibatch]],
        interface: Interface,
        dtype: torch.dtype,
        multiple: int = 1,
        most_sequences: int = 0,
        num_abreast: int = NUM_ABREAST,
    ) -> None:
        self._streams = [iter(stream) for stream in streams]
        self._interface = interface
        self._dtype = dtype
        self._shaper = Shaper(multiple, most_sequences)
        self._num_abreast = num_abreast
        self._next = self._read()
        self._before: Sequence[Minibatch] | None = None
        self._shaped: tuple[Shape, Sequence[Minibatch]] | None = None
        self._failure: Exception | None = None

    def take(self, most: int) -> Chunk | None:
        """Returns the next minibatches, as many as have one shape, `most` at the most; None at the end.

        Raises:
            UnequalStreamsError: See `Shaper`.
            ShapeError: Another number of sequences goes on where the minibatch before ended.
        """
        first = self._advance()
        if first is None:
            return None
        shape, rows = first[0], [first[1]]
        while len(rows) < min(most, self._num_abreast):
            try:
                following = self._advance()
            except Exception as failure:  # of whatever kind: it comes once those before it have been trained on
                self._failure = failure
                break
            if following is None:
                break
            if following[0] != shape:
                self._shaped = following
                break
            rows.append(following[1])
        return _stack(rows, shape, self._interface, self._dtype)

    def _advance(self) -> tuple[Shape, Sequence[Minibatch]] | None:
        if self._failure is not None:
            raise self._failure
        if self._shaped is not None:
            shaped, self._shaped = self._shaped, None
            return shaped
        current, self._next = self._next, self._read() if self._next else None
        if current is None:
            return None
        for before, minibatch in zip(self._before or current, current, strict=True):
            _check_continuation(before, minibatch)
        if self._before is None:  # nothing comes before it
            current = [replace(minibatch, starts=True) for minibatch in current]
        self._before = current
        following = self._next
        may_grow = [following is None or following[stream].starts for stream in range(len(current))]
        return self._shaper.shape(current, may_grow), current

    def _read(self) -> Sequence[Minibatch] | None:
        read = [next(stream, None) for stream in self._streams]
        present = [minibatch for minibatch in read if minibatch is not None]
        return present if len(present) == len(read) else None


def _check_continuation(before: Minibatch, minibatch: Minibatch) -> None:
    """Checks that states can be carried on.

    Raises:
        ShapeError: They cannot.
    """
    if not minibatch.starts and minibatch.batch_size != before.batch_size:
        raise ShapeError(
            f"population: expected {before.batch_size} sequences in a minibatch that goes on where the one before "
            f"ended, got {minibatch.batch_size}. A task whose number of sequences changes must start them anew."
        )


def _stack(rows: Sequence[Sequence[Minibatch]], shape: Shape, interface: Interface, dtype: torch.dtype) -> Chunk:
    """Returns minibatches, one per stream in each row, filled up to a shape.

    Raises:
        IndexError: A symbol is none of the task's.
    """
    sizes = (len(rows), len(rows[0]), *shape)
    reads_symbols, asks_for_classes = bool(interface.num_symbols), interface.loss == "cross_entropy"
    inputs = torch.zeros(sizes, dtype=torch.int64) if reads_symbols else _numbers(sizes, interface.input_size, dtype)
    targets = (
        torch.zeros(sizes, dtype=torch.int64) if asks_for_classes else _numbers(sizes, interface.output_size, dtype)
    )
    scored = torch.zeros(sizes, dtype=torch.bool)
    starts = torch.zeros(sizes[:2], dtype=torch.bool)
    batch_sizes = torch.zeros(sizes[:2], dtype=dtype)
    for number, row in enumerate(rows):
        for stream, minibatch in enumerate(row):
            num_steps, num_sequences = minibatch.inputs.shape[:2]
            place = (number, stream, slice(num_steps), slice(num_sequences))
            inputs[place] = minibatch.inputs.to(inputs.dtype)
            is_scored, asked = _at_all_positions(minibatch, targets)
            scored[place], targets[place] = is_scored, asked
            starts[number, stream] = minibatch.starts
            batch_sizes[number, stream] = num_sequences
    if reads_symbols:
        check_range(inputs, interface.num_symbols)
    if asks_for_classes:
        check_range(targets, interface.output_size)
    return Chunk(inputs, targets, scored, starts, batch_sizes)


def _numbers(sizes: tuple[int, ...], width: int, dtype: torch.dtype) -> Tensor:
    return torch.zeros((*sizes, width), dtype=dtype)


def _at_all_positions(minibatch: Minibatch, like: Tensor) -> tuple[Tensor, Tensor]:
    """Returns `[T, B]`, whether a position is scored, and what is asked for, zeros where nothing is."""
    sizes = tuple(minibatch.inputs.shape[:2])
    wanted = minibatch.targets.to(like.dtype)
    if minibatch.positions is None:
        return torch.ones(sizes, dtype=torch.bool), wanted.view(*sizes, *wanted.shape[1:])
    num_positions = sizes[0] * sizes[1]
    scored = torch.zeros(num_positions, dtype=torch.bool).index_fill_(0, minibatch.positions, True)
    targets = wanted.new_zeros((num_positions, *wanted.shape[1:])).index_copy_(0, minibatch.positions, wanted)
    return scored.view(sizes), targets.view(*sizes, *wanted.shape[1:])
