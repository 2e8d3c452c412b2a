"""What is handed to a worker at once: one trial, or several that train together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from archsearch.trials.metric import ACCURACY
from archsearch.trials.task import Task
from archsearch.trials.trial import Trial, TrialResult

Unit = tuple[Trial, ...]
Results = tuple[TrialResult, ...]
"""Of a unit's trials, in their order."""

Finished = tuple[Unit, Results]
GroupTrials = Callable[[Sequence[Trial]], Sequence[Unit]]


class TrialEvaluator(Protocol):
    """Trains a trial; a cell's own failure comes back as a status.

    One that also trains several at once has two methods more: `group` takes trials and returns them in units,
    `evaluate_together` takes a unit and returns its results. One that has `tasks`, by name, tells by them what each
    measures.
    """

    def evaluate(self, trial: Trial) -> TrialResult:
        """Returns what came of the trial."""


def one_by_one(trials: Sequence[Trial]) -> list[Unit]:
    """Returns a unit for each trial."""
    return [(trial,) for trial in trials]


def grouping_of(evaluator: TrialEvaluator) -> GroupTrials:
    """Returns what makes units of trials that are asked for together."""
    group: GroupTrials = getattr(evaluator, "group", one_by_one)
    return group


def evaluate_unit(evaluator: TrialEvaluator, unit: Unit) -> Results:
    """Returns what came of each trial."""
    if len(unit) == 1:
        return (evaluator.evaluate(unit[0]),)
    together = getattr(evaluator, "evaluate_together", None)
    return tuple(map(evaluator.evaluate, unit)) if together is None else tuple(together(unit))


def metric_name(evaluator: TrialEvaluator, task: str) -> str:
    """Returns what a task measures, for results that do not come from the evaluator; accuracy where it does not tell.

    An evaluator tells it by its `tasks`, by name.
    """
    tasks: Mapping[str, Task] = getattr(evaluator, "tasks", {})
    return tasks[task].metric.name if task in tasks else ACCURACY.name


def pairs(finished: Sequence[Finished]) -> list[tuple[Trial, TrialResult]]:
    """Returns each trial with its result."""
    return [pair for unit, results in finished for pair in zip(unit, results, strict=True)]


def name_of(unit: Unit) -> str:
    """Returns what people are told of a unit."""
    text = f"trial {unit[0].key}"
    return text if len(unit) == 1 else f"{text} and {len(unit) - 1} that train with it"
