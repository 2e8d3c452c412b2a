"""Confidence intervals on ratios, from pairs of trainings that differ in nothing but the cell.

A ratio's interval is Student's on the logarithms of the ratios of pairs (Student 1908, "The probable error of a mean",
Biometrika 6). Of the ways measured (`benchmarks/confirm_coverage.py`, `docs/confirm.md`) it alone keeps its level with
five pairs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import stats

from archsearch.trials.value_texts import interval_text


@dataclass(frozen=True)
class Interval:
    """An estimate between two limits."""

    low: float
    estimate: float
    high: float

    def __str__(self) -> str:
        """Returns estimate and limits, as in `1.012 (0.990 to 1.034)`."""
        return interval_text(self.low, self.estimate, self.high)


def interval_columns(name: str, interval: Interval | None) -> dict[str, float | None]:
    """Returns an interval as columns of a table: `NAME`, `NAME_low`, `NAME_high`; empty ones for none."""
    if interval is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}


def log_ratios(values: Sequence[float | None], others: Sequence[float | None]) -> tuple[float, ...] | None:
    """Returns the logarithms of `value / other`, pair by pair; None if a value is missing or not above zero."""
    pairs = list(zip(values, others, strict=True))
    if not all(value and other and value > 0 and other > 0 for value, other in pairs):
        return None
    return tuple(math.log(value / other) for value, other in pairs if value and other)


def ratio_interval(logs: Sequence[float], error_below: float, error_above: float) -> Interval:
    """Returns the geometric mean of ratios between Student's limits; see `mean_interval` of their logarithms."""
    interval = mean_interval(logs, error_below, error_above)
    return Interval(math.exp(interval.low), math.exp(interval.estimate), math.exp(interval.high))


def mean_interval(values: Sequence[float], error_below: float, error_above: float) -> Interval:
    """Returns a mean between Student's limits.

    Args:
        values: At least two.
        error_below: Chance that the true mean lies below the lower limit.
        error_above: Chance that it lies above the upper limit.
    """
    mean = float(np.mean(values))
    standard_error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    below, above = (_quantile(error, len(values) - 1) for error in (error_below, error_above))
    return Interval(mean - below * standard_error, mean, mean + above * standard_error)


@cache
def _quantile(error: float, degrees: int) -> float:
    """Returns what Student's t exceeds with a probability of `error`."""
    return float(stats.t.isf(error, degrees))
