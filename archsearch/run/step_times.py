"""How long a training step of each cell takes, as the trials of a search measured it in passing."""

import math
import statistics
from collections.abc import Sequence

from archsearch.search.knowledge import Knowledge
from archsearch.search.outcome import COMPLETED, StepOutcome

_Budget = tuple[int, int]
"""Layers and parameters of a setting: with them goes the time of a step, whatever the rest of the setting."""


class StepTimes:
    """Compares the cells' times with the baseline's, each at equal task, layers and parameters.

    Cells get different settings by chance; a plain mean would say more of these than of the cells.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, dict[tuple[str, _Budget], float]] = {}

    def add(self, outcome: StepOutcome) -> None:
        """Takes note of a step's trials; those of a cell that fell, which no list shows, are left out."""
        if outcome.kind == "propose" and outcome.stage != COMPLETED:
            return
        for entry in outcome.examined:
            seconds = entry.result.step_seconds
            if seconds is not None and seconds > 0:
                budget = entry.setting.num_layers, entry.setting.max_parameters
                of_cell = self._seconds.setdefault(entry.cell, {})
                of_cell[entry.task, budget] = min(seconds, of_cell.get((entry.task, budget), seconds))

    def milliseconds(self, cell: str, knowledge: Knowledge) -> float | None:
        """Returns the time of a cell's training step, a mean over the tasks that count.

        On each task it is the baseline's time (a mean over the budgets it was trained with) times the mean ratio of
        the two at the budgets that both had; of several trials with one budget the fastest counts: other work on the
        machine only adds.

        Args:
            cell: Its digest.
            knowledge: Says which cell is the baseline, and which tasks count.

        Returns:
            Milliseconds; None where some task has no such pair, as in runs of before steps were timed.
        """
        if not knowledge.founders:
            return None
        baseline = knowledge.founders[0]
        times = [_paired(self._of(cell, task), self._of(baseline, task)) for task in knowledge.tasks]
        known = [time for time in times if time is not None]
        return 1000 * statistics.fmean(known) if known and len(known) == len(times) else None

    def _of(self, cell: str, task: str) -> dict[_Budget, float]:
        found = self._seconds.get(cell, {})
        return {budget: seconds for (name, budget), seconds in found.items() if name == task}


def _paired(own: dict[_Budget, float], others: dict[_Budget, float]) -> float | None:
    logarithms: Sequence[float] = [math.log(own[budget] / others[budget]) for budget in own if budget in others]
    if not logarithms:
        return None
    return statistics.fmean(others.values()) * math.exp(statistics.fmean(logarithms))
