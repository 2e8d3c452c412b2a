"""Evaluators that train several trials at once: `shared_units` in tests."""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shared_simulation import answer, uniform

from archsearch.run.unit import Unit
from archsearch.trials.trial import Trial, TrialResult

MOST = 3


def group(trials: Sequence[Trial]) -> list[Unit]:
    """Groups the trials of a cell on a task, a few at a time."""
    alike: dict[tuple[object, ...], list[Trial]] = {}
    for trial in trials:
        alike.setdefault((trial.cell, trial.task, trial.max_steps), []).append(trial)
    return [
        tuple(together[start : start + MOST]) for together in alike.values() for start in range(0, len(together), MOST)
    ]


def answer_together(unit: Unit) -> list[TrialResult]:
    """Returns results that tell, in their last digits, which trials trained together: as rounding may."""
    digits = 1e-9 * uniform(*(trial.key for trial in unit))
    results = [answer(trial) for trial in unit]
    return [result if result.value is None else replace(result, value=result.value + digits) for result in results]


@dataclass(frozen=True)
class GroupingEvaluator:
    """Answers as the simulation does, up to the last digits.

    Attributes:
        folder: For notes: a line per unit.
        interrupt_after: Units, after which Ctrl-C comes.
        killed: Key of a trial under which, in company, the process is ended.
    """

    folder: Path
    interrupt_after: int | None = None
    killed: str = ""

    def group(self, trials: Sequence[Trial]) -> list[Unit]:
        """See `group`."""
        return group(trials)

    def evaluate(self, trial: Trial) -> TrialResult:
        """Returns what the trial comes to by itself."""
        return self.evaluate_together((trial,))[0]

    def evaluate_together(self, unit: Unit) -> list[TrialResult]:
        """Returns what the trials come to together."""
        if self.interrupt_after is not None and len(self.units) >= self.interrupt_after:
            raise KeyboardInterrupt
        with (self.folder / "units.txt").open("a") as file:
            file.write(" ".join(trial.key for trial in unit) + "\n")
        if len(unit) > 1 and self.killed in {trial.key for trial in unit}:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer_together(unit)

    @property
    def units(self) -> list[list[str]]:
        """The keys of each unit begun."""
        path = self.folder / "units.txt"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []
