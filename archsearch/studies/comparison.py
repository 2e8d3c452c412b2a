"""Two searches, or two strategies with several searches each: how fit the best cell was for what was spent.

With several searches on a side, the spread over them gives the intervals: each side's by Student's t, the difference's
by Welch's (Welch 1947, "The generalization of Student's problem", Biometrika 34). With one search on a side there is no
such spread; then its steps are drawn again, with replacement (bootstrap; Efron 1979), and kept in their order, since a
search gets better with time. That shows how much hung on single lucky cells, and not how another seed would have gone:
cells of one search descend from each other.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from archsearch.seeds import array_generator
from archsearch.studies.intervals import Interval, mean_interval
from archsearch.studies.progress import BUDGETS, Budget, Curve, Progress

NUM_RESAMPLES = 1000
NUM_POINTS = 200
Measure = Callable[[Curve], float]


@dataclass(frozen=True)
class Side:
    """The searches on one side.

    Attributes:
        name: For people.
        progresses: One per search.
    """

    name: str
    progresses: tuple[Progress, ...]


@dataclass(frozen=True)
class Comparison:
    """Both sides against one budget.

    Attributes:
        budget: What is spent.
        begin: Where the dearest founders end.
        end: What the cheapest search spent: up to here all can be compared.
        rows: By measure (`fitness` at the end, `area`: the mean of the best fitness from begin to end): the sides, and
            the first side less the second. None if the founders of one search cost more than the whole of another.
    """

    budget: Budget
    begin: float
    end: float
    rows: tuple[tuple[str, Interval, Interval, Interval], ...]


def compare(first: Side, second: Side, confidence: float) -> tuple[Comparison, ...]:
    """Compares two sides against every budget."""
    return tuple(_compare(first, second, budget, confidence) for budget in BUDGETS)


def _compare(first: Side, second: Side, budget: Budget, confidence: float) -> Comparison:
    curves = [progress.curve(budget) for side in (first, second) for progress in side.progresses]
    begin = max(curve.founders for curve in curves)
    end = min(curve.total for curve in curves)
    measures: dict[str, Measure] = {
        "fitness": lambda curve: curve.at(end),
        "area": lambda curve: curve.mean(begin, end),
    }
    if begin > end:
        return Comparison(budget, begin, end, ())
    rows = []
    for name, measure in measures.items():
        draws = [_draws(side, budget, measure) for side in (first, second)]
        values = [[measure(progress.curve(budget)) for progress in side.progresses] for side in (first, second)]
        is_maximum = name == "fitness"
        one, two = (_interval(own, drawn, confidence, is_maximum) for own, drawn in zip(values, draws, strict=True))
        rows.append((name, one, two, _difference(values, draws, confidence, is_maximum)))
    return Comparison(budget, begin, end, tuple(rows))


def _draws(side: Side, budget: Budget, measure: Measure) -> NDArray[np.float64] | None:
    """Returns a measure on searches whose steps were drawn again; None for several searches, which need none."""
    if len(side.progresses) > 1:
        return None
    (progress,) = side.progresses
    founders, *others = progress.steps
    rng = array_generator("compare", side.name, budget)
    drawn = []
    for _ in range(NUM_RESAMPLES if others else 0):
        steps = [others[index] for index in np.sort(rng.integers(0, len(others), len(others)))]
        drawn.append(measure(Progress((founders, *steps)).curve(budget)))
    return np.array(drawn)


def _interval(
    values: Sequence[float], drawn: NDArray[np.float64] | None, confidence: float, is_maximum: bool
) -> Interval:
    if drawn is None:
        error = (1 - confidence) / 2
        return mean_interval(values, error, error)
    return _quantiles(float(np.mean(values)), drawn, confidence, is_maximum)


def _difference(
    values: Sequence[Sequence[float]], draws: Sequence[NDArray[np.float64] | None], confidence: float, is_maximum: bool
) -> Interval:
    """Returns the first side less the second."""
    (one, two), (drawn_one, drawn_two) = values, draws
    mean = float(np.mean(one) - np.mean(two))
    if drawn_one is None and drawn_two is None:
        errors = [float(np.var(side, ddof=1)) / len(side) for side in (one, two)]
        degrees = [error**2 / (len(side) - 1) for error, side in zip(errors, (one, two), strict=True)]
        if not sum(errors):
            return Interval(mean, mean, mean)
        half = float(stats.t.isf((1 - confidence) / 2, sum(errors) ** 2 / sum(degrees))) * math.sqrt(sum(errors))
        return Interval(mean - half, mean, mean + half)
    rng = array_generator("compare", "difference")
    sides = [
        rng.choice(np.asarray(own), (NUM_RESAMPLES, len(own))).mean(axis=1) if drawn is None else drawn
        for own, drawn in zip(values, draws, strict=True)
    ]
    length = min(map(len, sides))
    return _quantiles(mean, sides[0][:length] - sides[1][:length], confidence, is_maximum)


def _quantiles(estimate: float, drawn: NDArray[np.float64], confidence: float, is_maximum: bool) -> Interval:
    """Returns an estimate with quantiles of what was drawn again.

    Of a maximum, which is seldom greater when drawn again, they are widened to hold it.
    """
    if not len(drawn):
        return Interval(estimate, estimate, estimate)
    error = (1 - confidence) / 2
    low, high = (float(limit) for limit in np.quantile(drawn, (error, 1 - error)))
    return Interval(min(low, estimate), estimate, max(high, estimate)) if is_maximum else Interval(low, estimate, high)


def comparison_frame(first: Side, second: Side) -> pd.DataFrame:
    """Returns the curves as rows: side, run, budget, spent, best fitness; one row per run, budget and step."""
    rows = []
    for side in (first, second):
        for number, progress in enumerate(side.progresses, start=1):
            for budget in BUDGETS:
                curve = progress.curve(budget)
                rows += [
                    {"side": side.name, "run": number, "budget": budget, "spent": spent, "best_fitness": best or None}
                    for spent, best in zip(curve.spent, curve.best, strict=True)
                ]
    return pd.DataFrame(rows, columns=["side", "run", "budget", "spent", "best_fitness"])


def mean_curve(side: Side, budget: Budget) -> tuple[list[float], list[float], list[float], list[float]]:
    """Returns points to draw: spent, mean over searches, least, greatest of the best fitness.

    They end with the cheapest search of the side: beyond it, they would not be of all.
    """
    curves = [progress.curve(budget) for progress in side.progresses]
    end = min(curve.total for curve in curves)
    spent = [float(point) for point in np.linspace(0, end, NUM_POINTS)]
    heights = np.array([[curve.at(point) for point in spent] for curve in curves])
    return spent, list(heights.mean(axis=0)), list(heights.min(axis=0)), list(heights.max(axis=0))


def differing_keys(one: object, two: object, where: str = "") -> list[str]:
    """Returns where two nested configurations differ, with both values; of a part that one lacks, just that."""
    if isinstance(one, dict) != isinstance(two, dict):
        return [f"{where}: only one of them has it"]
    if isinstance(one, dict) and isinstance(two, dict):
        keys = [*one, *(key for key in two if key not in one)]
        return [
            found
            for key in keys
            for found in differing_keys(one.get(key), two.get(key), f"{where}.{key}" if where else str(key))
        ]
    return [] if one == two else [f"{where}: {one!r} against {two!r}"]
