"""What a confirmation says of a cell, in one plain sentence."""

from typing import Protocol

from archsearch.studies.contestants import Contestant
from archsearch.studies.verdicts import Judgement


class Terms(Protocol):
    """On what terms cells were compared."""

    @property
    def baseline(self) -> Contestant:
        """The cell compared with."""

    @property
    def num_seeds(self) -> int:
        """Trainings per cell and task."""


def sentence_of(title: str, judgement: Judgement, terms: Terms) -> str:
    """Returns the verdict on a cell with the numbers it rests on."""
    other, tasks = terms.baseline.title, len(judgement.ratios)
    everywhere = "" if tasks == 1 else " on every task"
    if judgement.fitness is None:
        failed = ", ".join(f"{count} of {terms.num_seeds} on {task}" for task, count in judgement.failed.items())
        return f"{title} cannot be compared with the {other}: pairs without a result: {failed}."
    fitness = judgement.fitness
    span = f"{fitness.low:.3f} to {fitness.high:.3f}"
    if judgement.verdict == "better":
        return f"{title} is better than the {other}{everywhere}: fitness {fitness.estimate:.3f} ({span})."
    if judgement.verdict == "worse":
        return f"{title} is worse than the {other}{_worst(judgement)}: fitness {fitness.estimate:.3f} ({span})."
    return f"{title} is not distinguishable from the {other}: fitness {fitness.estimate:.3f} ({span})."


def _worst(judgement: Judgement) -> str:
    """Returns the task that the fitness comes from, if there are several."""
    if len(judgement.ratios) == 1:
        return ""
    return f" on {min(judgement.ratios, key=lambda task: judgement.ratios[task].high)}"
