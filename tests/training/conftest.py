"""A small task, and trials on it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from shared_recall import RecallTask

from archsearch.graph.catalog import zoo_cell
from archsearch.trials.setting import Setting
from archsearch.trials.task import Task
from archsearch.trials.trial import Recipe, Trial


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
