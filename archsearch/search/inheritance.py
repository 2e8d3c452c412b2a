"""Which settings a cell is tried with next."""

import heapq
import random
from collections.abc import Sequence
from functools import cached_property

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
    pools = _Pools(parent, founders, rules)
    drawn: list[Setting] = []
    everything: dict[Setting, None] | None = None  # what is left of it, in order
    for _ in range(min(task.num_settings, task.max_settings - len(used))):
        fresh = [setting for setting in pools.choose(rng) if setting not in used]
        if not fresh:
            if everything is None:
                everything = dict.fromkeys(setting for setting in task.space.all() if setting not in used)
            fresh = list(everything)
        setting = rng.choice(fresh)
        used.add(setting)
        if everything is not None:
            everything.pop(setting, None)
        drawn.append(setting)
    return tuple(drawn)


class _Pools:
    """R25's pools, each made once however many settings are drawn from it."""

    def __init__(self, parent: TaskHistory | None, founders: Sequence[TaskHistory], rules: Inheritance) -> None:
        self._parent = parent
        self._founders = founders
        self._rules = rules

    def choose(self, rng: random.Random) -> Sequence[Setting]:
        """Draws one of the pools; an empty one stands for fully random."""
        parent, rules = self._parent, self._rules
        if parent is None:
            return ()
        share = rng.random()
        if len(parent.tried) >= rules.well_explored:
            return self._best_of_parent if share < rules.from_well_explored else ()
        if share < rules.from_founders:
            return self._best_of_founders
        if share < rules.from_founders + rules.from_parent:
            return parent.tried_in_order
        return ()

    @cached_property
    def _best_of_parent(self) -> list[Setting]:
        assert self._parent is not None  # checked by `choose`
        return best_settings((self._parent,), self._rules.best)

    @cached_property
    def _best_of_founders(self) -> list[Setting]:
        return best_settings(self._founders, self._rules.best)


def best_settings(histories: Sequence[TaskHistory], count: int) -> list[Setting]:
    """Returns the `count` best settings over all histories, best first, each once, ties by setting."""
    ranked = heapq.merge(*(history.ranked() for history in histories), key=lambda pair: (-pair[0], pair[1]))
    best: dict[Setting, None] = {}  # a setting that comes again was better where it came first
    for _, setting in ranked:
        if len(best) == count:
            break
        best[setting] = None
    return list(best)
