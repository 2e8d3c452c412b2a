"""What a confirmation says of a cell, in one plain sentence."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from archsearch.studies.contestants import Contestant
from archsearch.studies.verdicts import Judgement

Causes = Mapping[str, Sequence[str]]
"""By task, why seeds have no value."""


class Terms(Protocol):
    """On what terms cells were compared."""

    @property
    def baseline(self) -> Contestant:
        """The cell compared with."""

    @property
    def num_seeds(self) -> int:
        """Trainings per cell and task."""


def sentence_of(title: str, judgement: Judgement, terms: Terms, causes: Causes, of_baseline: Causes) -> str:
    """Returns the verdict on a cell with the numbers it rests on.

    Args:
        title: What to call the cell.
        judgement: The verdict.
        terms: On what terms it was compared.
        causes: Why seeds of the cell have no value.
        of_baseline: Likewise of the baseline.
    """
    other, tasks = terms.baseline.title, len(judgement.ratios)
    everywhere = "" if tasks == 1 else " on every task"
    if judgement.fitness is None:
        why = {task: [_counted(title, causes[task]), _counted(other, of_baseline[task])] for task in judgement.failed}
        failed = ", ".join(
            f"{count} of {terms.num_seeds} on {task} ({'; '.join(filter(None, why[task]))})"
            for task, count in judgement.failed.items()
        )
        return f"{title} cannot be compared with the {other}: pairs without a result: {failed}."
    fitness = judgement.fitness
    if judgement.verdict == "better":
        return f"{title} is better than the {other}{everywhere}: fitness {fitness}."
    if judgement.verdict == "worse":
        # the least mean ratio, which is the fitness, may be another task's, and lie within its limits
        worst = min(judgement.ratios, key=lambda task: judgement.ratios[task].high)
        said = f": fitness {fitness}" if tasks == 1 else f" on {worst}: ratio {judgement.ratios[worst]}"
        return f"{title} is worse than the {other}{said}."
    return f"{title} is not distinguishable from the {other}: fitness {fitness}."


def _counted(title: str, causes: Sequence[str]) -> str:
    """Returns how often a cell had no value for which cause, nothing if it always had one."""
    return f"{title}: {', '.join(f'{count} {cause}' for cause, count in Counter(causes).items())}" if causes else ""
