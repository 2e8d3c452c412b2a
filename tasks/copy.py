"""Copy: symbols are read, and reproduced after a delay."""

import random
import string
from dataclasses import dataclass

import numpy as np

from archsearch.trials.examples import Example
from archsearch.trials.generated import MAX_LENGTH, GeneratedTask
from archsearch.trials.interface import Interface

BLANK, GO = "_", ":"


@dataclass(frozen=True)
class Copy(GeneratedTask):
    """Reads letters, waits, and writes the letters at a sign.

        read     b a c _ _ _ _ : _ _ _
        predict  . . . . . . . . b a c      (dots are not scored)

    Unlike in memorization, the right letters are not read back: all must be kept over the whole delay. The ceiling is
    1; chance is a random letter.

    Source: Hochreiter & Schmidhuber 1997, Long short-term memory, in the form of Arjovsky 2016, Unitary evolution
    recurrent neural networks; arxiv.org/abs/1511.06464.

    Attributes:
        num_symbols: Letters to keep.
        num_letters: Size of the alphabet, at most 26.
        delay: Blanks between reading and writing.
    """

    num_symbols: int = 8
    num_letters: int = 8
    delay: int = 20

    def __post_init__(self) -> None:
        """Checks the fields.

        Raises:
            ConfigError: A field has a value that cannot work.
        """
        self.check_integer("num_symbols", 1, MAX_LENGTH)
        self.check_integer("num_letters", 2, 26)
        self.check_integer("delay", 0, MAX_LENGTH)
        super().__post_init__()

    @property
    def symbols(self) -> tuple[str, ...]:
        """The letters, the blank and the sign to write."""
        return (*string.ascii_lowercase[: self.num_letters], BLANK, GO)

    @property
    def interface(self) -> Interface:
        """Reads letters, blanks and the sign; predicts letters."""
        return Interface(len(self.symbols), 0, self.num_letters, "cross_entropy")

    def draw(self, rng: random.Random) -> Example:
        """Returns random letters."""
        letters = rng.choices(range(self.num_letters), k=self.num_symbols)
        blank, sign = self.num_letters, self.num_letters + 1
        inputs = [*letters, *[blank] * self.delay, sign, *[blank] * self.num_symbols]
        targets = np.zeros(len(inputs), np.int64)
        targets[-self.num_symbols :] = letters
        scored = np.zeros(len(inputs), np.bool_)
        scored[-self.num_symbols :] = True
        return Example(np.array(inputs, np.int64), targets, scored, bytes(letters))

    def chance(self) -> float:
        """Returns the accuracy of a random letter."""
        return 1 / self.num_letters

    def ceiling(self) -> float | None:
        """Returns 1: what is asked for has been read."""
        return 1.0
