"""Parity: whether the ones so far are even or odd, at every step."""

import random
from dataclasses import dataclass

import numpy as np

from archsearch.trials.examples import Example
from archsearch.trials.generated import MAX_LENGTH, GeneratedTask
from archsearch.trials.interface import Interface


@dataclass(frozen=True)
class Parity(GeneratedTask):
    """Reads bits and labels each step with the parity of the ones up to there.

        read     0 1 1 0 1
        predict  0 1 0 0 1

    A single bit changes every label after it, so nothing short of the whole past will do. The length of each problem is
    drawn uniformly. The ceiling is 1; chance is one half.

    Source: Schmidhuber, Wierstra & Gomez 2005 and many others; one bit of state suffices.

    Attributes:
        min_length: Of a problem.
        max_length: Likewise.
    """

    min_length: int = 10
    max_length: int = 30

    def __post_init__(self) -> None:
        """Checks the fields.

        Raises:
            ConfigError: A field has a value that cannot work.
        """
        self.check_integer("min_length", 1, MAX_LENGTH)
        self.check_integer("max_length", self.min_length, MAX_LENGTH)
        super().__post_init__()

    @property
    def symbols(self) -> tuple[str, ...]:
        """The two bits."""
        return ("0", "1")

    @property
    def interface(self) -> Interface:
        """Reads a bit, predicts a bit."""
        return Interface.of_symbols(2)

    def draw(self, rng: random.Random) -> Example:
        """Returns random bits."""
        bits = np.array(rng.choices((0, 1), k=rng.randint(self.min_length, self.max_length)), np.int64)
        return Example(bits, np.cumsum(bits) % 2, np.ones(len(bits), np.bool_), bytes(bits.astype(np.uint8)))

    def chance(self) -> float:
        """Returns one half: without the whole past, either is as likely."""
        return 0.5

    def ceiling(self) -> float | None:
        """Returns 1: the parity follows from what was read."""
        return 1.0
