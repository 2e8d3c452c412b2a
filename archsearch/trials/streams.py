"""Tasks whose data are endless streams of generated problems.

Shapes: `T` time steps, `B` parallel streams.
"""

import abc
import functools
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archsearch.seeds import derive, scalar_generator
from archsearch.trials.ngram import ngram_accuracy
from archsearch.trials.problems import Problem, Split, of_split
from archsearch.trials.task import Batch, HeldOut, Task

# Only for chance and ceiling, which are asked for without a recipe: the paper's minibatch (R27).
BATCH_SIZE = 20
UNROLL = 35
CHANCE_BATCHES = 1_000  # what the n-grams are fitted on: 700,000 symbols, about what one trial of a search reads

SIZES = ("epoch", "validation_size", "test_size")


@dataclass(frozen=True)
class StreamTask(Task):
    """A task of `B` parallel streams, each a row of problems without a gap; states are carried over all borders.

    A stream is read in pieces of `unroll` steps; each position asks for the symbol after it. The hash of a problem
    tells which split it belongs to, so no seed can bring a held-out problem into training. Stream `b` of a held-out
    split is the same whatever the batch size.

    Source: Jozefowicz 2015, sec. 3.5; R27. Sizes are our choice (R32).

    Attributes:
        epoch: Training steps between two validations.
        validation_size: Positions of the validation split, scored or not, over all streams.
        test_size: Positions of the test split.
    """

    epoch: int = 100
    validation_size: int = 14_000
    test_size: int = 14_000

    def __post_init__(self) -> None:
        """Checks the sizes, and that each split has a problem.

        Raises:
            ConfigError: A field has a value that cannot work.
        """
        self.check_integer("epoch", 1, 1_000_000_000)
        for size in ("validation_size", "test_size"):  # held in memory: 24 bytes a position
            self.check_integer(size, 1, 20_000_000)
        splits: tuple[Split, ...] = ("training", "validation", "test")
        for split in splits:
            next(self.problems(split, scalar_generator(0)))

    @abc.abstractmethod
    def draw(self, rng: random.Random) -> Problem:
        """Returns a random problem of any split."""

    def problems(self, split: Split, rng: random.Random) -> Iterator[Problem]:
        """Yields random problems of one split without end."""
        return of_split((self.draw(rng) for _ in itertools.repeat(None)), split, self.name)

    def epoch_steps(self, batch_size: int, unroll: int) -> int:  # noqa: ARG002 - counted in steps, whatever their size
        """Returns the number of training steps between two validations."""
        return self.epoch

    def training(self, seed: int, batch_size: int, unroll: int) -> Iterator[Batch]:
        """Yields training batches without end; equal seeds give equal batches."""
        streams = self.streams("training", seed, batch_size)
        for step in itertools.count():
            yield _batch(_read(streams, unroll), starts=step == 0)

    def held_out(self, split: HeldOut, batch_size: int, unroll: int) -> Iterator[Batch]:
        """Yields all batches of a held-out split, the same at every call; the last may have fewer steps."""
        for number, window in enumerate(_held_out_windows(self, split, batch_size, unroll)):
            yield _batch(window, starts=number == 0)

    def chance(self) -> float:
        """Returns the validation accuracy of the best n-gram of order up to 3."""
        training = self.training(derive("chance", self.data_name), BATCH_SIZE, UNROLL)
        held_out = self.held_out("validation", BATCH_SIZE, UNROLL)
        return ngram_accuracy(itertools.islice(training, CHANCE_BATCHES), held_out, len(self.symbols))

    def ceiling(self) -> float | None:
        """Returns the validation accuracy of the guesses that the problems carry."""
        hits = total = 0
        for symbols, scored, guesses in _held_out_windows(self, "validation", BATCH_SIZE, UNROLL):
            hits += int(np.sum((symbols == guesses)[1:] * scored[1:]))
            total += int(np.sum(scored[1:]))
        return hits / total if total else None

    @property
    def data_name(self) -> str:
        """Names what a problem depends on: all fields but the task's name and the sizes."""
        fields = sorted(self.identity_fields().items())
        values = [f"{name}={value!r}" for name, value in fields if name not in ("name", *SIZES)]
        return " ".join([type(self).__qualname__, str(self.version), *values])

    def streams(self, split: Split, seed: int, num_streams: int) -> "list[Stream]":
        """Returns streams of one split at their beginning; each depends on the seed and its number alone."""
        generators = (scalar_generator(seed, "stream", number) for number in range(num_streams))
        return [Stream(self.problems(split, rng)) for rng in generators]


@functools.lru_cache(maxsize=16)
def _held_out_windows(task: StreamTask, split: HeldOut, batch_size: int, unroll: int) -> tuple[NDArray[np.int64], ...]:
    """Returns the `[3, T + 1, B]` windows of a held-out split.

    Kept in memory: 9 of 10 problems drawn belong elsewhere, and every trial asks for the same.
    """
    streams = task.streams(split, derive(task.data_name, split), batch_size)
    size = task.validation_size if split == "validation" else task.test_size
    length = max(1, size // batch_size)
    return tuple(_read(streams, min(unroll, length - start)) for start in range(0, length, unroll))


class Stream:
    """Problems one after the other, read in windows that overlap by one position."""

    def __init__(self, problems: Iterator[Problem]) -> None:
        self._problems = problems
        self._symbols: list[int] = []
        self._scored: list[int] = []
        self._guesses: list[int] = []

    def read(self, num_steps: int) -> tuple[list[int], list[int], list[int]]:
        """Returns the next `num_steps + 1` symbols, whether each is scored, and the generator's guesses."""
        symbols, scored, guesses = rows = (self._symbols, self._scored, self._guesses)
        while len(symbols) <= num_steps:
            problem = next(self._problems)
            symbols.extend(problem.symbols)
            scored.extend(problem.scored)
            guesses.extend(problem.guesses)
        window = (symbols[: num_steps + 1], scored[: num_steps + 1], guesses[: num_steps + 1])
        for row in rows:
            del row[:num_steps]
        return window


def _read(streams: list[Stream], num_steps: int) -> NDArray[np.int64]:
    """Returns `[3, T + 1, B]` symbols, scored, guesses."""
    return np.array([stream.read(num_steps) for stream in streams], np.int64).transpose(1, 2, 0)


def _batch(window: NDArray[np.int64], starts: bool) -> Batch:
    symbols = np.ascontiguousarray(window[0])
    return Batch(symbols[:-1], symbols[1:], np.ascontiguousarray(window[1, 1:]) != 0, starts)
