"""Evaluators in which trials go wrong as a row of the suite wants it."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared_faults import FaultyEvaluator
from shared_simulation import answer

from archsearch.trials.trial import Trial, TrialResult

SABOTAGE = "ARCHSEARCH_TEST_SABOTAGE"
ALL = "*"
HOLD = "hold"
"""Name of a file in the row's folder; while it is there, no trial ends."""

SECONDS_BETWEEN_LOOKS = 0.02


@dataclass(frozen=True)
class Sabotage(FaultyEvaluator):
    """Answers as the simulation does; faults may be given for a key, `task/digest`, a digest, `task/*` or `*`.

    What was begun is noted in `runs.txt` of the folder.
    """

    def evaluate(self, trial: Trial) -> TrialResult:
        """Returns the drawn accuracy, unless a fault comes first."""
        return self.before(trial) or answer(trial)

    def before(self, trial: Trial) -> TrialResult | None:
        """Notes the trial and lets happen to it what is to happen; a fault may be a result."""
        if self.folder is not None:
            with (self.folder / "runs.txt").open("a") as file:
                file.write(f"{trial.key}\n")
        names = (trial.key, f"{trial.task}/{trial.cell}", trial.cell, f"{trial.task}/{ALL}", ALL)
        fault = next((self.faults[name] for name in names if name in self.faults), None)
        result = getattr(self, fault)() if fault is not None else None
        time.sleep(self.seconds)
        while self.folder is not None and (self.folder / HOLD).exists():
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return result

    def raise_error(self) -> None:
        """Fails in a training: a place that catches it makes a status of it."""
        raise ArithmeticError("a matrix of 3 rows cannot be inverted")

    def no_accuracy(self) -> TrialResult:
        """Ends as a training that never came to a validation."""
        return TrialResult("failed", None, error="RuntimeError: no accuracy, by order of the suite")

    @classmethod
    def from_environment(cls) -> "Sabotage":
        """Returns what the suite ordered for this process."""
        record: dict[str, Any] = json.loads(os.environ[SABOTAGE])
        folder = record.get("folder")
        return cls(record.get("faults", {}), Path(folder) if folder else None, float(record.get("seconds", 0.0)))


def is_simulated() -> bool:
    """Tells whether trials are answered without training."""
    return bool(json.loads(os.environ[SABOTAGE]).get("simulated", True))
