"""Studies without training: `from shared_studies import …`. Values are a pure function of the trial."""

from collections.abc import Callable
from pathlib import Path

from shared_simulation import SilentObserver, SimulatedEvaluator, make_plan, uniform

from archsearch.run.execution import Execution
from archsearch.run.folder import RunFolder
from archsearch.run.reading import Run, load_run
from archsearch.run.session import run_search
from archsearch.run.unit import TrialEvaluator
from archsearch.studies.confirm import ConfirmationPlan
from archsearch.studies.contestants import choose_contestants
from archsearch.studies.replicates import CONFIRMING_REPLICATE
from archsearch.studies.sitting import Sitting, open_sitting
from archsearch.trials.trial import Trial, TrialResult

PLAN = make_plan()


class SilentStudyObserver:
    """Hears everything and says nothing."""

    def begin(self, what: str, num_recorded: int, num_trials: int) -> None:
        """Does nothing."""

    def trial_finished(self, trial: Trial, result: TrialResult) -> None:
        """Does nothing."""

    def end(self) -> None:
        """Does nothing."""


class StudyEvaluator:
    """Answers at once; counts the trials, and can be interrupted after some of them.

    Args:
        value: Of a trial, on validation and test data alike; None for a diverged one.
        interrupt_after: Trials.
    """

    def __init__(self, value: Callable[[Trial], float | None], interrupt_after: int | None = None) -> None:
        self.trials: list[Trial] = []
        self._value = value
        self._interrupt_after = interrupt_after

    def evaluate(self, trial: Trial) -> TrialResult:
        """Returns the value."""
        if self._interrupt_after is not None and len(self.trials) >= self._interrupt_after:
            raise KeyboardInterrupt
        self.trials.append(trial)
        value = self._value(trial)
        has_test = value is not None and trial.replicate >= CONFIRMING_REPLICATE
        return TrialResult("diverged" if value is None else "ok", value, test_value=value if has_test else None)


def noisy(trial: Trial) -> float:
    """Gives all cells the same level, with noise by cell and replicate, and settings a worth of their own."""
    return 0.5 + 0.1 * uniform("worth", trial.task, trial.setting.key) + 0.02 * uniform("noise", trial.key)


def simulated_run(path: Path) -> Run:
    """Runs a simulated search that finds something."""
    path.mkdir()
    run_search(PLAN, RunFolder(path), SimulatedEvaluator(), 0, SilentObserver())
    return load_run(path)


def confirmation_plan(run: Run, top: int = 3, num_settings: int = 4, num_seeds: int = 3) -> ConfirmationPlan:
    """Returns what a confirmation of the simulated search trains."""
    return ConfirmationPlan(PLAN, choose_contestants(run, PLAN.baseline, top), num_settings, num_seeds, 0.95)


def sit_down(path: Path, evaluator: TrialEvaluator, study: Callable[[Sitting], object]) -> object:
    """Runs a study in this process and returns what it returns."""
    with open_sitting(path, evaluator, Execution(), SilentStudyObserver(), ["archsearch", "study"]) as sitting:
        return study(sitting)
