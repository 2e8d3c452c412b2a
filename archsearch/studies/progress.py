"""How the best fitness of a search grew with what was spent."""

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

from archsearch.run.reading import Run
from archsearch.search.knowledge import CellRecord, Knowledge
from archsearch.search.outcome import StepOutcome
from archsearch.studies.continued_steps import ContinuedSteps
from archsearch.studies.values import rescaled

Budget = Literal["trials", "training_steps", "training_seconds"]
BUDGETS: tuple[Budget, ...] = ("trials", "training_steps", "training_seconds")


@dataclass(frozen=True)
class StepProgress:
    """A consumed step, as far as progress goes.

    Attributes:
        spent: What it cost, by budget.
        fitness: Of the found cell that it examined, None if that did not pass every gate.
    """

    spent: Mapping[Budget, float]
    fitness: float | None


@dataclass(frozen=True)
class Progress:
    """A search as its steps: the founders' first, with no fitness, since they are the same in every search.

    Attributes:
        steps: In the order consumed.
    """

    steps: tuple[StepProgress, ...]

    def curve(self, budget: Budget) -> "Curve":
        """Returns the best fitness of a found cell against a budget."""
        return Curve(
            tuple(accumulate(step.spent[budget] for step in self.steps)),
            tuple(accumulate((step.fitness or 0.0 for step in self.steps), max)),
        )


@dataclass(frozen=True)
class Curve:
    """A staircase.

    Attributes:
        spent: After each step, in all.
        best: The best fitness by then; 0 before a cell was found.
    """

    spent: tuple[float, ...]
    best: tuple[float, ...]

    @property
    def founders(self) -> float:
        """What the founders cost."""
        return self.spent[0]

    @property
    def total(self) -> float:
        """What the whole search cost."""
        return self.spent[-1]

    def at(self, spent: float) -> float:
        """Returns the best fitness when so much was spent."""
        index = bisect.bisect_right(self.spent, spent)
        return self.best[index - 1] if index else 0.0

    def mean(self, begin: float, end: float) -> float:
        """Returns the area under the curve between two amounts, divided by their distance; at one point, its height."""
        if end <= begin:
            return self.at(end)
        inner = [spent for spent in self.spent if begin < spent < end]
        edges = [begin, *inner, end]
        area = sum(self.at(left) * (right - left) for left, right in pairwise(edges))
        return area / (end - begin)


def progress_of(run: Run, baseline: Mapping[str, float], goes_on: bool = True) -> Progress:
    """Returns a run's progress, with ratios to a given baseline instead of the run's own.

    A run's own baseline is the best of noisy trainings of its own; dividing by one that all compared runs share takes
    that luck out of the comparison.

    Args:
        run: What to look at.
        baseline: Best value of the baseline by task.
        goes_on: Whether a longer training of a setting went on where the shorter one ended, so that the steps of that
            one count once.
    """
    num_cells = sum(len(outcome.cells) for outcome in run.outcomes)  # a list that long never drops one
    knowledge, continued = Knowledge(run.tasks, num_cells), ContinuedSteps()
    steps = []
    for outcome in run.outcomes:
        knowledge = knowledge.fold(outcome)
        spent: dict[Budget, float] = {
            "trials": len(outcome.examined),
            "training_steps": sum(
                continued.add(entry) if goes_on else entry.result.steps for entry in outcome.examined
            ),
            "training_seconds": sum(entry.result.seconds for entry in outcome.examined),
        }
        steps.append(StepProgress(spent, _fitness(knowledge, outcome, baseline)))
    return Progress(tuple(steps))


def shared_baseline(runs: Sequence[Run]) -> dict[str, float]:
    """Returns the mean over runs of their baselines, by task."""
    return {task: sum(run.knowledge.baseline[task] for run in runs) / len(runs) for task in runs[0].tasks}


def _fitness(knowledge: Knowledge, outcome: StepOutcome, baseline: Mapping[str, float]) -> float | None:
    """Returns the best fitness among the cells of a step that are listed and no founders."""
    listed = {digest for _, digest in knowledge.listed}
    records = [knowledge.cells[cell.digest] for cell in outcome.cells if cell.digest in listed]
    found = [record for record in records if record.digest not in knowledge.founders]
    return max((_rescaled(knowledge, record, baseline) for record in found), default=None)


def _rescaled(knowledge: Knowledge, record: CellRecord, baseline: Mapping[str, float]) -> float:
    ratios = knowledge.ratios(record)
    return min(rescaled(ratio, knowledge.baseline[task], baseline[task]) for task, ratio in ratios.items())
