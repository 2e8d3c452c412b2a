"""Where trials are computed: the interface, and the executor that stays in this process."""

from collections import deque
from typing import Protocol

from archsearch.run.unit import Finished, TrialEvaluator, Unit, evaluate_unit


class Executor(Protocol):
    """Computes units of trials, at most `num_slots` at once."""

    @property
    def num_slots(self) -> int:
        """Units that may be in flight at once."""

    def submit(self, unit: Unit) -> None:
        """Takes a unit; there must be a free slot."""

    def wait(self, timeout_seconds: float) -> list[Finished]:
        """Returns finished units, as soon as there is one, or none after the time."""

    def collect(self) -> list[Finished]:
        """Returns the units that have finished by now, without starting or awaiting any."""

    def close(self) -> None:
        """Ends everything this executor started; units in flight are dropped."""


class SerialExecutor:
    """Computes one unit at a time in this process.

    Args:
        evaluator: What trains.
    """

    num_slots = 1

    def __init__(self, evaluator: TrialEvaluator) -> None:
        self._evaluator = evaluator
        self._units: deque[Unit] = deque()

    def submit(self, unit: Unit) -> None:
        """Takes a unit; it runs in the next `wait`."""
        self._units.append(unit)

    def wait(self, timeout_seconds: float) -> list[Finished]:  # noqa: ARG002 - one unit, however long
        """Runs the unit taken and returns it."""
        if not self._units:
            return []
        unit = self._units.popleft()
        return [(unit, evaluate_unit(self._evaluator, unit))]

    def collect(self) -> list[Finished]:
        """Returns nothing: what finished was returned by `wait`."""
        return []

    def close(self) -> None:
        """Drops what was not begun."""
        self._units.clear()
