"""Counting: how long it is since the spike before."""

import random
from dataclasses import dataclass

import numpy as np

from archsearch.trials.examples import Example
from archsearch.trials.generated import MAX_LENGTH, GeneratedTask
from archsearch.trials.interface import Interface
from archsearch.trials.metric import MSE, Metric


@dataclass(frozen=True)
class Counting(GeneratedTask):
    """Reads a train of spikes and gives, at each but the first, the time since the one before it.

        read     1 0 0 1 0 1
        predict  . . . 3 . 2      (dots are not scored)

    Times are divided by the longest one. Between spikes nothing happens: the cell must count steps. An error of 0 is
    possible; chance is the variance of the times, which are drawn uniformly.

    Source: Gers & Schmidhuber 2000, Recurrent nets that time and count (measuring spike delays); sizes are our choice.

    Attributes:
        num_spikes: In a problem.
        longest: Steps between two spikes at the most.
    """

    num_spikes: int = 6
    longest: int = 10

    def __post_init__(self) -> None:
        """Checks the fields.

        Raises:
            ConfigError: A field has a value that cannot work.
        """
        self.check_integer("num_spikes", 2, MAX_LENGTH // 2)
        self.check_integer("longest", 2, MAX_LENGTH // (self.num_spikes - 1))
        super().__post_init__()

    @property
    def interface(self) -> Interface:
        """Reads whether there is a spike, predicts a time."""
        return Interface(0, 1, 1, "squared_error")

    @property
    def metric(self) -> Metric:
        """The mean squared error of a time."""
        return MSE

    def draw(self, rng: random.Random) -> Example:
        """Returns a random train of spikes."""
        times = [rng.randint(1, self.longest) for _ in range(self.num_spikes - 1)]
        places = np.cumsum([0, *times])
        inputs, targets = (np.zeros((int(places[-1]) + 1, 1), np.float32) for _ in range(2))
        inputs[places] = 1.0
        targets[places[1:], 0] = np.array(times) / self.longest
        scored = np.zeros(len(inputs), np.bool_)
        scored[places[1:]] = True
        return Example(inputs, targets, scored, bytes(str(times), "ascii"))

    def chance(self) -> float:
        """Returns the variance of a whole number drawn uniformly from 1 to `longest`, divided by it."""
        return (self.longest**2 - 1) / 12 / self.longest**2

    def ceiling(self) -> float | None:
        """Returns 0: the time follows from what was read."""
        return 0.0
