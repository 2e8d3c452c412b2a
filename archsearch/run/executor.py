"""Where trials are computed: the interface, and the executor that stays in this process."""

from collections import deque
from typing import Protocol

from archsearch.trials.trial import Trial, TrialResult


class TrialEvaluator(Protocol):
    """Trains a trial; a cell's own failure comes back as a status."""

    def evaluate(self, trial: Trial) -> TrialResult:
        """Returns what came of the trial."""


class Executor(Protocol):
    """Computes trials, at most `num_slots` at once."""

    @property
    def num_slots(self) -> int:
        """Trials that may be in flight at once."""

    def submit(self, trial: Trial) -> None:
        """Takes a trial; there must be a free slot."""

    def wait(self, timeout_seconds: float) -> list[tuple[Trial, TrialResult]]:
        """Returns finished trials, as soon as there is one, or none after the time."""

    def collect(self) -> list[tuple[Trial, TrialResult]]:
        """Returns the trials that have finished by now, without starting or awaiting any."""

    def close(self) -> None:
        """Ends everything this executor started; trials in flight are dropped."""


class SerialExecutor:
    """Computes one trial at a time in this process.

    Args:
        evaluator: What trains.
    """

    num_slots = 1

    def __init__(self, evaluator: TrialEvaluator) -> None:
        self._evaluator = evaluator
        self._trials: deque[Trial] = deque()

    def submit(self, trial: Trial) -> None:
        """Takes a trial; it runs in the next `wait`."""
        self._trials.append(trial)

    def wait(self, timeout_seconds: float) -> list[tuple[Trial, TrialResult]]:  # noqa: ARG002 - one trial, however long
        """Runs the trial taken and returns it."""
        if not self._trials:
            return []
        trial = self._trials.popleft()
        return [(trial, self._evaluator.evaluate(trial))]

    def collect(self) -> list[tuple[Trial, TrialResult]]:
        """Returns nothing: what finished was returned by `wait`."""
        return []

    def close(self) -> None:
        """Drops what was not begun."""
        self._trials.clear()
