"""Adding: the sum of the two marked numbers of a sequence."""

import random
from dataclasses import dataclass

import numpy as np

from archsearch.trials.examples import Example
from archsearch.trials.generated import MAX_LENGTH, GeneratedTask
from archsearch.trials.interface import Interface
from archsearch.trials.metric import MSE, Metric


@dataclass(frozen=True)
class Adding(GeneratedTask):
    """Reads numbers from 0 to 1, two of them marked, and gives the sum of the two at the end.

        read     0.3 0.8 0.1 0.5 0.9
                 -   x   -   x   -
        predict  .   .   .   .   1.3      (dots are not scored)

    One mark falls in the first half, one in the second. An error of 0 is possible; always to say 1 has a mean squared
    error of 1/6, which is chance.

    Source: Hochreiter & Schmidhuber 1997, Long short-term memory, sec. 5.4; numbers from 0 to 1 as in Le 2015,
    arxiv.org/abs/1504.00941.

    Attributes:
        length: Numbers in a sequence.
    """

    length: int = 30

    def __post_init__(self) -> None:
        """Checks the fields.

        Raises:
            ConfigError: A field has a value that cannot work.
        """
        self.check_integer("length", 2, MAX_LENGTH)
        super().__post_init__()

    @property
    def interface(self) -> Interface:
        """Reads a number and its mark, predicts a number."""
        return Interface(0, 2, 1, "squared_error")

    @property
    def metric(self) -> Metric:
        """The mean squared error of the sum."""
        return MSE

    def draw(self, rng: random.Random) -> Example:
        """Returns random numbers and marks."""
        half = self.length // 2
        inputs = np.zeros((self.length, 2), np.float32)
        inputs[:, 0] = [rng.random() for _ in range(self.length)]
        marked = [rng.randrange(half), rng.randrange(half, self.length)]
        inputs[marked, 1] = 1.0
        targets = np.zeros((self.length, 1), np.float32)
        targets[-1] = inputs[marked, 0].sum()
        scored = np.zeros(self.length, np.bool_)
        scored[-1] = True
        return Example(inputs, targets, scored, inputs.tobytes())

    def chance(self) -> float:
        """Returns the variance of the sum of two numbers drawn uniformly from 0 to 1."""
        return 1 / 6

    def ceiling(self) -> float | None:
        """Returns 0: the sum follows from what was read."""
        return 0.0
