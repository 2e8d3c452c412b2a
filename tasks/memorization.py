"""Memorization: some symbols are read, then reproduced in order."""

import itertools
import random
import string
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from archsearch.seeds import derive, scalar_generator
from archsearch.trials.ngram import ngram_accuracy
from archsearch.trials.problems import Problem, Split, of_split
from archsearch.trials.task import Batch, HeldOut, Task

CHANCE_BATCH_SIZE = 20
CHANCE_BATCHES = 2_000


@dataclass(frozen=True)
class Memorization(Task):
    """Reads `num_symbols` random letters, then reproduces them in order.

    With five symbols, `q a m a z` is read and `q a m a z` asked for, each true symbol being read before the next one
    is asked for (teacher forcing). There is no separator: the number of symbols is fixed, so a cell can know when to
    begin.

        read     q a m a z q a m a
        predict  . . . . q a m a z      (dots are not scored)

    A batch is one problem per sequence, `2 * num_symbols - 1` steps, each from zero states. The letters of a problem
    are drawn independently; its hash tells its split. The ceiling is 1. The paper's screen (R6) is 95 % on this task.

    Source: Jozefowicz 2015, sec. 3.1 and 3.5; R6, R33. Epoch and sizes are our choice (R32).

    Attributes:
        num_symbols: Letters to remember.
        num_letters: Size of the alphabet, at most 26.
        epoch: Training steps between two validations.
        validation_problems: Problems of the validation split, rounded down to whole batches.
        test_problems: Problems of the test split, likewise.
    """

    num_symbols: int = 5
    num_letters: int = 26
    epoch: int = 100
    validation_problems: int = 1_000
    test_problems: int = 1_000

    def __post_init__(self) -> None:
        """Checks the fields, and that each split has a problem.

        Raises:
            ConfigError: A field has a value that cannot work.
        """
        self.check_integer("num_symbols", 1, 1_000)
        self.check_integer("epoch", 1, 1_000_000_000)
        for field in ("validation_problems", "test_problems"):
            self.check_integer(field, 1, 10_000_000)
        self.check_integer("num_letters", 2, 26)
        splits: tuple[Split, ...] = ("training", "validation", "test")
        for split in splits:
            next(self._problems(split, 0))

    @property
    def symbols(self) -> tuple[str, ...]:
        """The letters."""
        return tuple(string.ascii_lowercase[: self.num_letters])

    def draw(self, rng: random.Random) -> Problem:
        """Returns a random problem of any split: the letters twice, the second time scored."""
        letters = bytes(rng.choices(range(self.num_letters), k=self.num_symbols))
        scored = bytes(self.num_symbols) + b"\1" * self.num_symbols
        return Problem(symbols=letters * 2, scored=scored, guesses=letters * 2, identity=letters)

    def epoch_steps(self, batch_size: int, unroll: int) -> int:  # noqa: ARG002 - counted in steps, whatever their size
        """Returns the number of training steps between two validations."""
        return self.epoch

    def training(self, seed: int, batch_size: int, unroll: int) -> Iterator[Batch]:  # noqa: ARG002 - a problem is whole
        """Yields training batches without end; equal seeds give equal batches."""
        problems = self._problems("training", seed)
        while True:
            yield _batch(list(itertools.islice(problems, batch_size)))

    def held_out(self, split: HeldOut, batch_size: int, unroll: int) -> Iterator[Batch]:  # noqa: ARG002 - as above
        """Yields all batches of a held-out split, the same at every call."""
        seed = derive("Memorization", self.version, self.num_symbols, self.num_letters, split)
        problems = self._problems(split, seed)
        size = self.validation_problems if split == "validation" else self.test_problems
        for _ in range(max(1, size // batch_size)):
            yield _batch(list(itertools.islice(problems, batch_size)))

    def chance(self) -> float:
        """Returns the validation accuracy of the best n-gram of order up to 3."""
        training = self.training(derive("chance", self.digest), CHANCE_BATCH_SIZE, 1)
        held_out = self.held_out("validation", CHANCE_BATCH_SIZE, 1)
        return ngram_accuracy(itertools.islice(training, CHANCE_BATCHES), held_out, self.num_letters)

    def ceiling(self) -> float | None:
        """Returns 1: what is asked for has been read."""
        return 1.0

    def _problems(self, split: Split, seed: int) -> Iterator[Problem]:
        rng = scalar_generator(seed, "problems")
        return of_split((self.draw(rng) for _ in itertools.repeat(None)), split, self.name)


def _batch(problems: list[Problem]) -> Batch:
    symbols = np.array([list(problem.symbols) for problem in problems], np.int64).T
    scored = np.array([list(problem.scored) for problem in problems], np.bool_).T
    symbols, scored = np.ascontiguousarray(symbols), np.ascontiguousarray(scored)
    return Batch(symbols[:-1], symbols[1:], scored[1:], starts=True)
