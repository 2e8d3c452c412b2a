"""A small task for tests of training: `from shared_recall import RecallTask`."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from archsearch.seeds import array_generator
from archsearch.trials.task import Batch, HeldOut, Task


@dataclass(frozen=True)
class RecallTask(Task):
    """Random symbols; asks for the symbol read `delay` steps before, so that states must outlive a minibatch.

    `scored_share` of the positions count. The states start anew at every `starts_every`-th batch; 0 for the first only.
    """

    delay: int = 1
    scored_share: float = 1.0
    starts_every: int = 0
    epoch: int = 4
    num_held_out: int = 3

    @property
    def symbols(self) -> tuple[str, ...]:
        return ("a", "b", "c")

    def epoch_steps(self, batch_size: int, unroll: int) -> int:  # noqa: ARG002 - counted in steps
        return self.epoch

    def training(self, seed: int, batch_size: int, unroll: int) -> Iterator[Batch]:
        rng = array_generator(seed)
        past = rng.integers(3, size=(self.delay, batch_size))
        for index in itertools.count():
            window = np.concatenate([past, rng.integers(3, size=(unroll, batch_size))])
            past = window[unroll:]
            scored = rng.random((unroll, batch_size)) < self.scored_share
            starts = index % self.starts_every == 0 if self.starts_every else index == 0
            yield Batch(window[self.delay :], window[:unroll], scored, starts)

    def held_out(self, split: HeldOut, batch_size: int, unroll: int) -> Iterator[Batch]:
        seed = 1 if split == "validation" else 2
        return itertools.islice(self.training(seed, batch_size, unroll), self.num_held_out)

    def chance(self) -> float:
        return 1 / 3

    def ceiling(self) -> float | None:
        return 1.0
