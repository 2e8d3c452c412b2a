"""A run in numbers, added up step by step."""

from collections import Counter, defaultdict
from typing import Any

from archsearch.mutation.rejections import TESTS
from archsearch.run.step_times import StepTimes
from archsearch.search.knowledge import Knowledge
from archsearch.search.outcome import EXHAUSTED, IN_FLIGHT, KNOWN, NO_CHILD, StepOutcome
from archsearch.trials.trial import NOT_REPRODUCIBLE

_NAMED = frozenset({KNOWN, IN_FLIGHT, EXHAUSTED, NO_CHILD, *TESTS.values()})


class Account:
    """Counts what consumed steps did and cost.

    Attributes:
        training_seconds: Spent on each cell, by digest.
    """

    def __init__(self) -> None:
        self.training_seconds: dict[str, float] = defaultdict(float)
        self._step_times = StepTimes()
        self._kinds: Counter[str] = Counter()
        self._stages: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._first: dict[str, tuple[int, float]] = {}
        self._num_saved = 0
        self._seconds_saved = 0.0
        self._seconds = 0.0
        self._num_recorded = 0

    def add(self, outcome: StepOutcome) -> None:
        """Counts one more step, which must come in the order of its number."""
        self._kinds[outcome.kind] += 1
        self._step_times.add(outcome)
        if outcome.kind == "propose":
            self._stages[outcome.stage] += 1
        for entry in outcome.examined:
            self._statuses[entry.result.status] += 1
            self._num_recorded += bool(entry.result.recorded_in)
            self.training_seconds[entry.cell] += entry.result.seconds
            self._seconds += entry.result.seconds
        if outcome.kind == "propose" and outcome.cells:
            cost = len(outcome.examined), sum(entry.result.seconds for entry in outcome.examined)
            self._first.setdefault(outcome.cells[0].digest, cost)
        for digest, reason in outcome.dropped:
            self._add_dropped(digest, reason)

    def _add_dropped(self, digest: str, reason: str) -> None:
        """Counts a child drawn and dropped, and what training a known one anew would have cost.

        A cell met again is charged the trials of the step that first proposed it; a founder, which has had its
        settings, is charged nothing.
        """
        self._dropped[reason if reason in _NAMED else "out of bounds"] += 1
        if reason in {KNOWN, IN_FLIGHT} and digest in self._first:
            num_trials, seconds = self._first[digest]
            self._num_saved += num_trials
            self._seconds_saved += seconds

    def step_milliseconds(self, knowledge: Knowledge) -> dict[str, float]:
        """Returns the time of a training step of each listed cell of which it is known, by digest.

        Args:
            knowledge: The fold of the same steps.
        """
        times = {digest: self._step_times.milliseconds(digest, knowledge) for _, digest in knowledge.listed}
        return {digest: time for digest, time in times.items() if time is not None}

    def summary(self, knowledge: Knowledge) -> dict[str, Any]:
        """Returns steps, stages, failures by kind, duplicates and what they would have cost.

        Args:
            knowledge: The fold of the same steps.
        """
        statuses = self._statuses
        return {
            "candidates": self._kinds["propose"],
            "reevaluations": self._kinds["reevaluate"],
            "stages": dict(sorted(self._stages.items())),
            "trials": sum(statuses.values()),
            "statuses": dict(sorted(statuses.items())),
            **({"recorded_in_other_runs": self._num_recorded} if self._num_recorded else {}),
            "reproducible": not any(statuses[status] for status in NOT_REPRODUCIBLE),
            "baseline": {task: knowledge.baseline.get(task) for task in knowledge.tasks},
            "listed": len(knowledge.listed),
            "duplicates": {
                "dropped": dict(sorted(self._dropped.items())),
                "trials_saved": self._num_saved,
                "training_seconds_saved": round(self._seconds_saved, 3),
            },
            "training_seconds": round(self._seconds, 3),
        }
