"""The executor that computes one trial at a time in a process beside this one, without Ray."""

import logging
import time

from archsearch.run.execution import Limits
from archsearch.run.executor import TrialEvaluator
from archsearch.run.supervisor import Supervisor
from archsearch.trials.trial import Trial, TrialResult

_logger = logging.getLogger(__name__)


class WatchedExecutor:
    """Computes one trial at a time in one process, which can be ended when a trial hangs, crashes or grows too large.

    Args:
        evaluator: What trains; see `TrialProcess`.
        limits: Of each trial.
    """

    num_slots = 1

    def __init__(self, evaluator: TrialEvaluator, limits: Limits) -> None:
        self._supervisor = Supervisor(evaluator, limits)
        self._trial: Trial | None = None

    def submit(self, trial: Trial) -> None:
        """Starts a trial."""
        self._trial = trial
        self._supervisor.begin(trial)

    def wait(self, timeout_seconds: float) -> list[tuple[Trial, TrialResult]]:
        """Returns the trial if it has finished, as soon as it has, or none after the time.

        Raises:
            ArchSearchError: The trial was asked for wrongly, or the process does not start.
        """
        if self._trial is None:
            time.sleep(timeout_seconds)
            return []
        result = self._supervisor.poll(timeout_seconds)
        for note in self._supervisor.take_notes():
            _logger.warning("%s", note)
        if result is None:
            return []
        trial, self._trial = self._trial, None
        return [(trial, result)]

    def collect(self) -> list[tuple[Trial, TrialResult]]:
        """Returns the trial if it has finished by now."""
        return self.wait(0.0)

    def close(self) -> None:
        """Ends the process."""
        self._supervisor.close()
        self._trial = None
