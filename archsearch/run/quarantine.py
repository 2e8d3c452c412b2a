"""Cells that crash are not tried again: a verdict that follows from results alone."""

from collections.abc import Sequence

from archsearch.trials.metric import ACCURACY
from archsearch.trials.trial import Trial, TrialResult


class Quarantine:
    """The cells of a run under which a trial crashed.

    Trials that a step asks for together are all run, also after one of them has crashed; those that a later stage or a
    later step asks for are not. A cell is in one step at a time, and a step asks only after all results it asked for
    before. So what is answered here is the same with any number of workers, and after any interruption.
    """

    def __init__(self) -> None:
        self._crashed: dict[str, tuple[str, str]] = {}
        self._metrics: dict[str, str] = {}  # of the tasks; the baseline has a value on each before any cell is found

    def see(self, trial: Trial, result: TrialResult) -> None:
        """Takes note of a result that the search is told."""
        if result.value is not None:
            self._metrics[trial.task] = result.metric
        if result.status == "crashed":
            found = (trial.key, result.error)
            self._crashed[trial.cell] = min(found, self._crashed.get(trial.cell, found))  # whichever ended first

    def verdicts(self, trials: Sequence[Trial]) -> list[TrialResult | None]:
        """Returns results for trials just asked for: None where the trial must be run."""
        return [self._verdict(trial) if trial.cell in self._crashed else None for trial in trials]

    def _verdict(self, trial: Trial) -> TrialResult:
        key, error = self._crashed[trial.cell]
        metric = self._metrics.get(trial.task, ACCURACY.name)
        text = f"not run: trial {key} {error}"
        return TrialResult("quarantined", None, error=text, cause={"crashed": key}, metric=metric)
