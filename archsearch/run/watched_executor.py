"""The executor that computes one unit at a time in a process beside this one, without Ray."""

import logging
import time

from archsearch.run.execution import Limits
from archsearch.run.supervisor import Supervisor
from archsearch.run.unit import Finished, TrialEvaluator, Unit

_logger = logging.getLogger(__name__)


class WatchedExecutor:
    """Computes one unit at a time in one process, which can be ended when a trial hangs, crashes or grows too large.

    Args:
        evaluator: What trains; see `TrialProcess`.
        limits: Of each trial.
    """

    num_slots = 1

    def __init__(self, evaluator: TrialEvaluator, limits: Limits) -> None:
        self._supervisor = Supervisor(evaluator, limits)
        self._unit: Unit | None = None

    def submit(self, unit: Unit) -> None:
        """Starts a unit."""
        self._unit = unit
        self._supervisor.begin(unit)

    def wait(self, timeout_seconds: float) -> list[Finished]:
        """Returns the unit if it has finished, as soon as it has, or none after the time.

        Raises:
            ArchSearchError: The trial was asked for wrongly, or the process does not start.
        """
        if self._unit is None:
            time.sleep(timeout_seconds)
            return []
        results = self._supervisor.poll(timeout_seconds)
        for note in self._supervisor.take_notes():
            _logger.warning("%s", note)
        if results is None:
            return []
        unit, self._unit = self._unit, None
        return [(unit, results)]

    def collect(self) -> list[Finished]:
        """Returns the unit if it has finished by now."""
        return self.wait(0.0)

    def close(self) -> None:
        """Ends the process."""
        self._supervisor.close()
        self._unit = None
