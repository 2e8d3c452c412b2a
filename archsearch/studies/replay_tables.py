"""What came of replays, as tables: means over seeds between the limits of Student's interval of 95 %.

Seeds of a model draw everything anew. Seeds of a recording draw from the same curves, so that the interval is one of
these draws: with many seeds it has no width, however few settings were recorded. Drawing the recorded settings anew for
each seed would not help, since Student's interval of their mean would have none, either.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from archsearch.studies.replay import TracePoint

Traces = Mapping[str, Mapping[int, Sequence[TracePoint]]]
"""By strategy and seed."""

LEVEL = 0.95
NUM_BUDGETS = 10


def trace_frame(traces: Traces) -> pd.DataFrame:
    """Returns one row per strategy, seed and step."""
    rows = [
        {"strategy": strategy, "seed": seed, **asdict(point)}
        for strategy, by_seed in traces.items()
        for seed, points in by_seed.items()
        for point in points
    ]
    return pd.DataFrame(rows)


def budget_frame(traces: Traces, spent: str) -> pd.DataFrame:
    """Returns the best fitness that each strategy has when so much was spent: a row per budget.

    Args:
        traces: What came of the replays.
        spent: `trials` or `training_steps`. Budgets go up to the most that any search spent; a search that ended
            before keeps what it had, one that has not got through its founders has nothing yet.
    """
    most = max(getattr(points[-1], spent) for by_seed in traces.values() for points in by_seed.values())
    rows: list[dict[str, Any]] = []
    for budget in (round(most * number / NUM_BUDGETS) for number in range(1, NUM_BUDGETS + 1)):
        row: dict[str, Any] = {spent: budget}
        for strategy, by_seed in traces.items():
            reached = [_fitness_at(points, spent, budget) for points in by_seed.values()]
            values = [fitness for fitness in reached if fitness is not None]
            low, mean, high = interval(values) if len(values) == len(reached) else (math.nan,) * 3
            row |= {f"{strategy}_mean": mean, f"{strategy}_low": low, f"{strategy}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)


def comparison_frame(traces: Traces) -> pd.DataFrame:
    """Returns what each strategy reached and spent in the end, and both beside the first one, seed by seed.

    `expected_…` is of those seeds alone, `expected_seeds` in number, where both have an expected fitness.
    """
    first = next(iter(traces.values()))
    rows = []
    for strategy, by_seed in traces.items():
        ends = {seed: points[-1] for seed, points in by_seed.items()}
        others = {seed: points[-1] for seed, points in first.items()}
        columns: dict[str, Sequence[float]] = {
            "fitness": [end.fitness for end in ends.values()],
            "difference": [end.fitness - others[seed].fitness for seed, end in ends.items()],
            "expected": [
                own - other
                for seed, end in ends.items()
                if (own := end.expected_fitness) is not None and (other := others[seed].expected_fitness) is not None
            ],
            "steps_share": [end.training_steps / others[seed].training_steps for seed, end in ends.items()],
            "anew_share": [end.steps_anew / others[seed].steps_anew for seed, end in ends.items()],
        }
        row: dict[str, Any] = {"strategy": strategy, "seeds": len(ends), "expected_seeds": len(columns["expected"])}
        for name, values in columns.items():
            low, mean, high = interval(values) if values else (math.nan,) * 3
            row |= {f"{name}_mean": mean, f"{name}_low": low, f"{name}_high": high}
        row["trials_mean"] = float(np.mean([end.trials for end in ends.values()]))
        row["training_steps_mean"] = float(np.mean([end.training_steps for end in ends.values()]))
        rows.append(row)
    return pd.DataFrame(rows)


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Returns the mean of independent values between Student's limits; of one value it is all three."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, mean, mean
    quantile = float(stats.t.isf((1 - LEVEL) / 2, len(values) - 1))
    half = quantile * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return mean - half, mean, mean + half


def _fitness_at(points: Sequence[TracePoint], spent: str, budget: int) -> float | None:
    reached = [point.fitness for point in points if getattr(point, spent) <= budget]
    return reached[-1] if reached else None
