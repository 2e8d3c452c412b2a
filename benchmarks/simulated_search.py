"""A large search without training: results are drawn from the trial's key, and workers have a clock of their own."""

import hashlib
import heapq
import math
import time

from archsearch.graph.catalog import zoo_cell
from archsearch.mutation.bounds import Bounds
from archsearch.mutation.combine_ancestors import CombineAncestors
from archsearch.mutation.insert_activation import InsertActivation
from archsearch.mutation.remove_node import RemoveNode
from archsearch.mutation.replace_by_ancestor import ReplaceByAncestor
from archsearch.mutation.swap_activation import SwapActivation
from archsearch.mutation.swap_elementwise import SwapElementwise
from archsearch.run.unit import Finished, Unit
from archsearch.search.plan import Founder, SearchPlan, TaskPlan
from archsearch.trials.setting import SettingSpace
from archsearch.trials.trial import Recipe, Trial, TrialResult

TASKS = ("arithmetic", "xml", "penn_treebank")
INIT_SCALES, LEARNING_RATES = (0.3, 0.7, 1.0, 1.4, 2.0, 2.8), (0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
SPACE = SettingSpace(INIT_SCALES, LEARNING_RATES, (1.0, 2.5, 5.0, 10.0, 20.0), (1, 2, 3, 4), (250_000,))
ENVIRONMENT = {"engine": "native", "threads": "1", "cpu": "simulated", "torch": "2.13.0", "archsearch": "0.1.0"}


def make_plan(num_candidates: int, lookahead: int) -> SearchPlan:
    """Returns a search of the paper's size per cell: three tasks, 840 settings for founders, 20 a stage."""
    screen = SettingSpace(INIT_SCALES, LEARNING_RATES, (1.0, 2.5, 5.0, 10.0, 20.0), (1, 2, 3, 4), (25_000,))
    return SearchPlan(
        root_seed=1,
        recipe=Recipe(),
        founders=tuple(Founder(name, zoo_cell(name).canonical()) for name in ("gru", "lstm")),
        screen=TaskPlan("memorization", "screen", screen, max_steps=1_000_000, num_settings=1),
        tasks=tuple(TaskPlan(name, name, SPACE, max_steps=1_000_000, num_settings=20) for name in TASKS),
        num_candidates=num_candidates,
        transformations=(
            *(SwapActivation(), SwapElementwise(), InsertActivation()),
            *(RemoveNode(), ReplaceByAncestor(), CombineAncestors()),
        ),
        bounds=Bounds(max_nodes=60, max_parameters=530_000, max_multiply_adds=530_000),
        lookahead=lookahead,
        on_duplicate="reexamine",
    )


def uniform(*names: str) -> float:
    """Returns a number in 0..1 that depends on the names alone."""
    return int.from_bytes(hashlib.blake2b("/".join(names).encode(), digest_size=6).digest(), "big") / 2**48


def draw_result(trial: Trial) -> TrialResult:
    """Returns what training might have given: a level of the cell's, noise of the setting's, 10 to 29 epochs."""
    noise = uniform("noise", trial.key)
    num_epochs = 10 + int(20 * uniform("epochs", trial.key))
    if noise < 0.05:
        error = "loss is not finite at step 300; the best accuracy before counts"
        return TrialResult("diverged", None, steps=300, seconds=12.5, error=error, environment=ENVIRONMENT)
    if trial.task == "memorization":
        best = 0.9 + 0.15 * uniform("screen", trial.cell)
    else:
        best = 0.3 + 0.3 * uniform("level", trial.cell, trial.task) + 0.1 * noise
    best = min(best, 1.0)
    curve = []
    for epoch in range(num_epochs):
        share = 1 - math.exp(-epoch / 4)
        curve.append((1000 * (epoch + 1), 3.0 - 2.0 * share - noise / 10, best * share))
    return TrialResult("ok", best, tuple(curve), 1000 * num_epochs, 60.0 * num_epochs, 250_113, 128, "", ENVIRONMENT)


class SimulatedWorkers:
    """An executor of many workers, whose trials end by a clock that jumps to the next end.

    Args:
        num_workers: Trials in flight.
        at_once: Results that `wait` gives back together.

    Attributes:
        cpu_seconds: Spent on drawing results, which is none of the driver's.
    """

    def __init__(self, num_workers: int, at_once: int) -> None:
        self.num_slots = num_workers
        self.cpu_seconds = 0.0
        self._at_once = at_once
        self._now = 0.0
        self._num_submitted = 0
        self._running: list[tuple[float, int, Unit]] = []

    def submit(self, unit: Unit) -> None:
        """Takes a trial that will run between 10 and 30 minutes."""
        self._num_submitted += 1
        end = self._now + 600 + 1200 * uniform("duration", unit[0].key)
        heapq.heappush(self._running, (end, self._num_submitted, unit))

    def wait(self, timeout_seconds: float) -> list[Finished]:  # noqa: ARG002 - the clock jumps
        """Returns the next trials to end."""
        begin = time.process_time()
        finished = []
        while self._running and len(finished) < self._at_once:
            self._now, _, unit = heapq.heappop(self._running)
            finished.append((unit, tuple(map(draw_result, unit))))
        self.cpu_seconds += time.process_time() - begin
        return finished

    def collect(self) -> list[Finished]:
        """Returns nothing: `wait` gave everything."""
        return []

    def close(self) -> None:
        """Drops what has not ended."""
        self._running.clear()
