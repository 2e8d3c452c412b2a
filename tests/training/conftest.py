"""A small task, and trials on it."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from archsearch.graph.catalog import zoo_cell
from archsearch.seeds import array_generator
from archsearch.trials.setting import Setting
from archsearch.trials.task import Batch, HeldOut, Task
from archsearch.trials.trial import Recipe, Trial


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


@pytest.fixture
def recall_task() -> RecallTask:
    return RecallTask("recall")


@pytest.fixture
def setting() -> Setting:
    return Setting(1.0, 0.5, 5.0, 1, 500)


@pytest.fixture
def make_trial(setting: Setting) -> Callable[..., Trial]:
    """Returns a function from a task to a short trial of a GRU; keywords replace fields."""

    def make(task: Task, **fields: Any) -> Trial:
        trial = Trial(
            cell="c_gru",
            graph=zoo_cell("gru"),
            task=task.name,
            task_digest=task.digest,
            recipe=Recipe(batch_size=4, unroll=6),
            setting=setting,
            replicate=0,
            max_steps=12,
            root_seed=1,
        )
        return replace(trial, **fields)

    return make
