"""Which settings a cell is tried with next."""

import random
from collections.abc import Sequence

from archsearch.search.knowledge import TaskHistory
from archsearch.search.plan import Inheritance, TaskPlan
from archsearch.trials.setting import Setting


def draw_fresh_settings(
    rng: random.Random,
    task: TaskPlan,
    history: TaskHistory,
    parent: TaskHistory | None,
    founders: Sequence[TaskHistory],
    rules: Inheritance,
) -> tuple[Setting, ...]:
    """Draws settings that the cell has not had on the task, at most `task.num_settings` (R4, R7, R8, R25).

    A pool that has nothing fresh left is replaced by the fully random one. Fewer settings come back when the cell has
    had all it may get.

    Args:
        rng: The step's own generator.
        task: The task.
        history: The cell's results on it so far.
        parent: The recorded parent's results on it; None for a founder, which draws at random.
        founders: The founders' results on it.
        rules: The shares of R25.
    """
    used = set(history.tried)
    everything = task.space.all()
    drawn: list[Setting] = []
    for _ in range(min(task.num_settings, task.max_settings - len(used))):
        pool = _choose_pool(rng, parent, founders, rules)
        fresh = [setting for setting in pool if setting not in used]
        if not fresh:
            fresh = [setting for setting in everything if setting not in used]
        setting = rng.choice(fresh)
        used.add(setting)
        drawn.append(setting)
    return tuple(drawn)


def _choose_pool(
    rng: random.Random, parent: TaskHistory | None, founders: Sequence[TaskHistory], rules: Inheritance
) -> Sequence[Setting]:
    """Returns one of R25's pools; an empty one stands for fully random."""
    if parent is None:
        return ()
    share = rng.random()
    if len(parent.tried) >= rules.well_explored:
        return best_settings((parent,), rules.best) if share < rules.from_well_explored else ()
    if share < rules.from_founders:
        return best_settings(founders, rules.best)
    if share < rules.from_founders + rules.from_parent:
        return sorted(parent.tried)
    return ()


def best_settings(histories: Sequence[TaskHistory], count: int) -> list[Setting]:
    """Returns the `count` best settings over all histories, best first, each once, ties by setting."""
    best: dict[Setting, float] = {}
    for history in histories:
        for quality, setting in history.ranked():
            best[setting] = max(best.get(setting, quality), quality)
    return sorted(best, key=lambda setting: (-best[setting], setting))[:count]
