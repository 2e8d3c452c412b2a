"""What may be said of a cell beside another one, over all tasks.

A cell's fitness is the least of its true ratios. The lower limit of the fitness is the least of the lower limits, with
no correction for the number of tasks: "better on every task" is claimed only if each task by itself allows it, which
errs no more often than the task with the least ratio does (intersection-union test: Berger 1982, "Multiparameter
hypothesis testing and acceptance sampling", Technometrics 24). The upper limit is the least of the upper limits, each
with its share of the error (Bonferroni), since any of the tasks might put it too low.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from archsearch.studies.intervals import Interval, log_ratios, ratio_interval

Verdict = Literal["better", "not_distinguishable", "worse", "not_comparable"]
Values = Mapping[str, Sequence[float | None]]
"""By task, one value per replicate, larger is better; None where a training had no result."""


@dataclass(frozen=True)
class Judgement:
    """A cell beside another one.

    Attributes:
        verdict: `better` on every task, `worse` on one at least, `not_distinguishable`, or `not_comparable` because
            trainings failed.
        ratios: By task; tasks on which a training failed are left out.
        fitness: The least ratio; None if a task is left out.
        failed: Pairs of which one has no result, by task, where there were any.
    """

    verdict: Verdict
    ratios: Mapping[str, Interval]
    fitness: Interval | None
    failed: Mapping[str, int]


def judge(values: Values, others: Values, confidence: float, num_comparisons: int = 1) -> Judgement:
    """Compares a cell with another one, pair by pair.

    Args:
        values: Of the cell.
        others: Of the other, for the same tasks and replicates.
        confidence: That all limits of all comparisons hold at once (for each task's ratios, and for the fitness).
        num_comparisons: Cells that are compared; each gets its share of the error (Bonferroni).
    """
    error = (1 - confidence) / 2 / num_comparisons
    logs = {task: log_ratios(values[task], others[task]) for task in others}
    whole = {task: pairs for task, pairs in logs.items() if pairs is not None}
    ratios = {task: ratio_interval(pairs, error, error) for task, pairs in whole.items()}
    if len(whole) < len(logs):
        failed = {task: _num_missing(values[task], others[task]) for task in logs if task not in whole}
        return Judgement("not_comparable", ratios, None, failed)
    fitness = Interval(
        min(ratio.low for ratio in ratios.values()),
        min(ratio.estimate for ratio in ratios.values()),
        min(ratio_interval(pairs, error, error / len(whole)).high for pairs in whole.values()),
    )
    verdict: Verdict = "not_distinguishable"
    if fitness.low > 1:
        verdict = "better"
    elif fitness.high < 1:
        verdict = "worse"
    return Judgement(verdict, ratios, fitness, {})


def _num_missing(values: Sequence[float | None], others: Sequence[float | None]) -> int:
    return sum(not (value and other) for value, other in zip(values, others, strict=True))
