"""The evaluator of the real command line, sabotaged: real trainings, or the simulation's answers in their place."""

from typing import Any

from archsearch.training.evaluate import Evaluator
from archsearch.trials.trial import Trial, TrialResult
from faults.sabotage import Sabotage, is_simulated


class SabotagedEvaluator(Evaluator):
    """Trains, or answers from the simulation, and lets go wrong what the environment variable of the suite orders."""

    def evaluate(self, trial: Trial) -> TrialResult:
        """Returns what came of the trial."""
        return Sabotage.from_environment().evaluate(trial) if is_simulated() else super().evaluate(trial)

    def _train(self, trial: Trial, *arguments: Any) -> None:
        """Trains; faults come where a cell's own code runs."""
        Sabotage.from_environment().before(trial)
        super()._train(trial, *arguments)
