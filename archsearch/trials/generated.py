"""Tasks of generated problems, each a whole sequence from zero states.

Shapes: `T` time steps, `B` sequences.
"""

import abc
import functools
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

from archsearch.seeds import derive, scalar_generator
from archsearch.trials.examples import Example, padded
from archsearch.trials.problems import Split, of_split
from archsearch.trials.task import Batch, HeldOut, Task

SIZES = ("epoch", "validation_problems", "test_problems")
MAX_LENGTH = 100_000  # steps of a problem: it is drawn whole, as are all held-out ones


@dataclass(frozen=True)
class GeneratedTask(Task):
    """A task whose problems are drawn; the hash of a problem tells its split, so no seed brings it into another.

    Attributes:
        epoch: Training steps between two validations.
        validation_problems: Of the validation split.
        test_problems: Of the test split.
    """

    epoch: int = 100
    validation_problems: int = 1_000
    test_problems: int = 1_000

    def __post_init__(self) -> None:
        """Checks the sizes, and that each split has a problem.

        Raises:
            ConfigError: A field has a value that cannot work.
        """
        self.check_integer("epoch", 1, 1_000_000_000)
        for size in ("validation_problems", "test_problems"):
            self.check_integer(size, 1, 10_000_000)
        splits: tuple[Split, ...] = ("training", "validation", "test")
        for split in splits:
            next(self.problems(split, scalar_generator(0)))

    @abc.abstractmethod
    def draw(self, rng: random.Random) -> Example:
        """Returns a random problem of any split."""

    def problems(self, split: Split, rng: random.Random) -> Iterator[Example]:
        """Yields random problems of one split without end."""
        return of_split((self.draw(rng) for _ in itertools.repeat(None)), split, self.name)

    def epoch_steps(self, batch_size: int, unroll: int) -> int:  # noqa: ARG002 - counted in steps, whatever their size
        """Returns the number of training steps between two validations."""
        return self.epoch

    def training(self, seed: int, batch_size: int, unroll: int) -> Iterator[Batch]:  # noqa: ARG002 - a problem is whole
        """Yields training batches without end; equal seeds give equal batches."""
        problems = self.problems("training", scalar_generator(seed, "problems"))
        while True:
            yield padded(list(itertools.islice(problems, batch_size)))

    def held_out(self, split: HeldOut, batch_size: int, unroll: int) -> Iterator[Batch]:  # noqa: ARG002 - as above
        """Yields all batches of a held-out split, the same at every call."""
        examples = held_out_examples(self, split)
        for start in range(0, len(examples), batch_size):
            yield padded(examples[start : start + batch_size])

    @property
    def data_name(self) -> str:
        """Names what a problem depends on: all fields but the task's name and the sizes."""
        fields = sorted(self.identity_fields().items())
        values = [f"{name}={value!r}" for name, value in fields if name not in ("name", *SIZES)]
        return " ".join([type(self).__qualname__, str(self.version), *values])


@functools.lru_cache(maxsize=16)
def held_out_examples(task: GeneratedTask, split: HeldOut) -> list[Example]:
    """Returns the problems of a held-out split. Kept in memory: 9 of 10 problems drawn belong elsewhere."""
    problems = task.problems(split, scalar_generator(derive(task.data_name, split)))
    size = task.validation_problems if split == "validation" else task.test_problems
    return list(itertools.islice(problems, size))
