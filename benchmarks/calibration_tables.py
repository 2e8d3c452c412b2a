"""Says what the curves of `calibration.py` mean for budgets, rungs, gates and difficulties.

    python benchmarks/calibration_tables.py FOLDER/curves.csv
    python benchmarks/calibration_tables.py results/table_1 FOLDER --csv curves.csv   # of journals, kept for replays

A cell's quality at a budget is its best accuracy within so many steps over the settings that all cells were trained
with. Intervals are percentiles (2.5 and 97.5) over settings drawn anew with replacement.

Whether *a training* keeps its place, which is what a rung asks, and whether *a cell* is better, which another training
must show, are two questions. The order of a training and the end of the same training have the seed's luck in common;
the second question is answered by the end of the trainings with the other seed, with end against end as the most that
can be expected.
"""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import paper
from calibration import COLUMNS, curve_rows
from curve_fits import fit_task
from numpy.typing import NDArray
from scipy import stats
from tables import table

from archsearch.run.journal import Journal

SETTING = ["init_scale", "learning_rate", "max_gradient_norm", "num_layers", "max_parameters"]
SHARES = (0.05, 0.1, 0.25, 0.5, 0.75)
GATES = (0.5, 0.6, 0.7, 0.8, 0.9)
NUM_DRAWS = 1_000
LEAST_SETTINGS = 2
REPLICATES = (0, 1)
"""What cells are compared across: those of later ones have fewer settings."""


@dataclass(frozen=True)
class Grid:
    """The balanced part of the curves of one task: C cells, S settings, P points of time; of one replicate.

    Attributes:
        task: Its name.
        cells: Their names.
        steps: `[P]` training steps.
        best: `[C, S, P]` best accuracy within so many steps.
    """

    task: str
    cells: tuple[str, ...]
    steps: NDArray[np.int64]
    best: NDArray[np.float64]

    def point(self, share: float) -> int:
        """Returns the index of the last point within a share of the whole training, the first at least."""
        return max(0, int(np.searchsorted(self.steps, share * self.steps[-1], side="right")) - 1)

    def points(self, shares: Sequence[float]) -> list[int]:
        """Returns the indices for several shares, each once."""
        return sorted({self.point(share) for share in shares})


def read_curves(source: Path) -> pd.DataFrame:
    """Returns one row per validation, of a CSV or of all trainings in a folder's journal."""
    if not source.is_dir():
        return pd.read_csv(source)
    journal = Journal.open(source / "archsearch.db", read_only=True)
    try:
        return pd.DataFrame(curve_rows(journal), columns=COLUMNS)
    finally:
        journal.close()


def read_grid(frame: pd.DataFrame, task: str) -> Grid:
    """Returns the curves of the settings that every cell has, of the first replicate."""
    return read_grids(frame, task, (0,))[0]


def read_grids(frame: pd.DataFrame, task: str, replicates: Sequence[int]) -> tuple[Grid, ...]:
    """Returns the curves of each replicate, of the settings that every cell has in all of these replicates."""
    own = frame[(frame["task"] == task) & frame["replicate"].isin(replicates)].copy()
    own["setting"] = own[SETTING].astype(str).agg(" ".join, axis=1)
    cells = sorted(own["cell"].unique())
    counts = own[["cell", "setting", "replicate"]].drop_duplicates().groupby("setting").size()
    settings = sorted(counts[counts == len(cells) * len(replicates)].index)
    steps = np.array(sorted(own["step"].unique()))
    steps = steps[steps % 100 == 0]
    best = np.zeros((len(replicates), len(cells), len(settings), len(steps)))
    for (cell, setting, replicate), rows in own.groupby(["cell", "setting", "replicate"]):
        if setting in settings:
            rows = rows.sort_values("step")
            reached = np.maximum.accumulate(rows["accuracy"].to_numpy())
            index = np.searchsorted(rows["step"].to_numpy(), steps, side="right") - 1
            place = replicates.index(replicate), cells.index(cell), settings.index(setting)
            best[place] = np.where(index >= 0, reached[np.maximum(index, 0)], 0.0)
    return tuple(Grid(task, tuple(cells), steps, of_one) for of_one in best)


def with_interval(value: Callable[..., float], *grids: Grid) -> tuple[float, float, float]:
    """Returns a statistic of the `[C, S, P]` curves of each grid and its percentiles over settings drawn anew.

    Of several grids, which are replicates, the same settings are drawn.
    """
    rng = np.random.Generator(np.random.PCG64(1))
    size = grids[0].best.shape[1]
    draws = []
    for _ in range(NUM_DRAWS):
        drawn = rng.integers(size, size=size)
        draws.append(value(*(grid.best[:, drawn] for grid in grids)))
    low, high = np.nanpercentile(draws, (2.5, 97.5))
    return float(value(*(grid.best for grid in grids))), float(low), float(high)


def order(quality: NDArray[np.float64], end: NDArray[np.float64]) -> float:
    """Returns Kendall's rank correlation of `[C]` qualities with those at an end."""
    return float(stats.kendalltau(quality, end).statistic)


def loss(quality: NDArray[np.float64], end: NDArray[np.float64]) -> float:
    """Returns what the best cell of `[C]` qualities loses against the best at an end."""
    return float(1 - end[quality.argmax()] / end.max())


def order_rows(grid: Grid) -> list[Sequence[object]]:
    """Returns, by budget: rank correlation of the cells with the whole training, and what the best one there loses."""
    rows = []
    for point in grid.points(SHARES):

        def correlation(best: NDArray[np.float64], point: int = point) -> float:
            return order(best.max(axis=1)[:, point], best.max(axis=1)[:, -1])

        def regret(best: NDArray[np.float64], point: int = point) -> float:
            return loss(best.max(axis=1)[:, point], best.max(axis=1)[:, -1])

        of_settings = [stats.kendalltau(cell[:, point], cell[:, -1]).statistic for cell in grid.best]
        texts = (_shown(*with_interval(correlation, grid)), _shown(*with_interval(regret, grid)))
        rows.append((grid.task, int(grid.steps[point]), *texts, f"{np.nanmean(of_settings):.2f}"))
    return rows


def other_seed_rows(first: Grid, second: Grid) -> list[Sequence[object]]:
    """Returns, by budget: order and loss against the end of the same trainings, of the other seed's, and end by end.

    Each is the mean of both directions.
    """
    rows: list[Sequence[object]] = []
    for point in first.points(SHARES):
        row: list[object] = [first.task, int(first.steps[point]), first.best.shape[1]]
        for measured in (order, loss):

            def same(
                one: NDArray[np.float64],
                other: NDArray[np.float64],
                measured: Callable[..., float] = measured,
                point: int = point,
            ) -> float:
                qualities = one.max(axis=1), other.max(axis=1)
                return sum(measured(quality[:, point], quality[:, -1]) for quality in qualities) / 2

            def crossed(
                one: NDArray[np.float64],
                other: NDArray[np.float64],
                measured: Callable[..., float] = measured,
                point: int = point,
            ) -> float:
                first, second = one.max(axis=1), other.max(axis=1)
                return (measured(first[:, point], second[:, -1]) + measured(second[:, point], first[:, -1])) / 2

            values = (same, crossed, partial(crossed, point=-1))
            row += [_shown(*with_interval(value, first, second)) for value in values]
        rows.append(row)
    return rows


def survival_rows(grid: Grid) -> list[Sequence[object]]:
    """Returns, by budget and share kept: how often a cell's best setting survives, and what is lost with it."""
    rows = []
    for point in grid.points(SHARES[:4]):
        row: list[object] = [grid.task, int(grid.steps[point])]
        for kept in (0.5, 0.25, 0.125):
            count = max(1, math.ceil(kept * grid.best.shape[1] - 1e-9))
            kept_ones = np.argsort(-grid.best[:, :, point], axis=1, kind="stable")[:, :count]
            final = np.take_along_axis(grid.best[:, :, -1], kept_ones, axis=1).max(axis=1)
            whole = grid.best[:, :, -1].max(axis=1)
            row.append(f"{np.mean(final >= whole):.2f} ({np.mean(1 - final / whole):.4f})")
        rows.append(row)
    return rows


def separation_rows(frame: pd.DataFrame, grid: Grid) -> list[Sequence[object]]:
    """Returns, by budget: how far the cells' qualities are spread, beside what a seed moves a score.

    And what another seed moves the qualities themselves, and how those of two seeds are correlated. The ratio cannot
    tell: a quality is the best of several settings, and a seed may move most the trainings of those that are not.
    """
    own = frame[frame["task"] == grid.task]
    rows = []
    first, second = read_grids(frame, grid.task, REPLICATES)
    for point in grid.points((*SHARES, 1.0)):
        limit = grid.steps[point]
        reached = own[own["step"] <= limit].groupby(["cell", *SETTING, "replicate"])["accuracy"].max()
        groups = reached.groupby(level=["cell", *SETTING])
        spread, counts = groups.std(ddof=1).dropna(), groups.count()
        noise = math.sqrt(float((spread**2).mean())) if len(spread) else math.nan
        quality = grid.best[:, :, point].max(axis=1)
        between = float(quality.std(ddof=1))
        numbers = (f"{between:.4f}", f"{noise:.4f}", f"{between / noise:.1f}", int((counts > 1).sum()))
        repeated = ("", "")
        if first.best.shape[1] >= LEAST_SETTINGS:
            index = int(np.searchsorted(first.steps, limit, side="right")) - 1

            def correlation(one: NDArray[np.float64], other: NDArray[np.float64], index: int = index) -> float:
                return float(np.corrcoef(one.max(axis=1)[:, index], other.max(axis=1)[:, index])[0, 1])

            apart = first.best.max(axis=1)[:, index] - second.best.max(axis=1)[:, index]
            moved = math.sqrt(float((apart**2).mean()) / 2)
            repeated = f"{moved:.4f}", _shown(*with_interval(correlation, first, second))
        rows.append((grid.task, int(limit), *numbers, *repeated))
    return rows


def gate_rows(grid: Grid) -> list[Sequence[object]]:
    """Returns, by rung and gate: what share of cells falls, and of those that would have passed or won in the end."""
    rng = np.random.Generator(np.random.PCG64(2))
    size, baseline = grid.best.shape[1], grid.cells.index("gru")
    rows = []
    for point in grid.points((0.05, 0.1, 0.25)):
        totals = np.zeros((len(GATES), 3))
        num_passing = 0
        for _ in range(NUM_DRAWS):
            quality = grid.best[:, rng.integers(size, size=size)].max(axis=1)
            passes = quality[:, -1] > 0.9 * quality[baseline, -1]
            num_passing += int(passes.sum())
            for number, gate in enumerate(GATES):
                falls = ~(quality[:, point] > gate * quality[baseline, point])
                totals[number] += falls.mean(), (falls & passes).sum(), falls[quality[:, -1].argmax()]
        for number, gate in enumerate(GATES):
            fallen, good, winner = totals[number]
            shares = (fallen / NUM_DRAWS, good / max(num_passing, 1), winner / NUM_DRAWS)
            rows.append((grid.task, int(grid.steps[point]), gate, *(f"{value:.3f}" for value in shares)))
    return rows


def quality_rows(grid: Grid) -> list[Sequence[object]]:
    """Returns each cell's ratio to the GRU, and beside it the paper's."""
    quality = grid.best[:, :, -1].max(axis=1)
    ratios = quality / quality[grid.cells.index("gru")]
    papers = paper.ratios(grid.task)
    return [
        (grid.task, cell, f"{quality[i]:.4f}", f"{ratios[i]:.3f}", f"{papers[cell]:.3f}" if papers else "")
        for i, cell in sorted(enumerate(grid.cells), key=lambda item: -ratios[item[0]])
    ]


def paper_row(grid: Grid) -> Sequence[object] | None:
    """Returns the rank correlation of the cells with the paper's ratios, None for a task that it does not have."""
    ratios = paper.ratios(grid.task)
    if ratios is None:
        return None
    papers = [ratios[cell] for cell in grid.cells]

    def correlation(best: NDArray[np.float64]) -> float:
        return float(stats.kendalltau(best[:, :, -1].max(axis=1), papers).statistic)

    return grid.task, _shown(*with_interval(correlation, grid))


def _shown(value: float, low: float, high: float) -> str:
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    """Prints all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", type=Path, nargs="+", help="curves.csv of calibration.py, or folders with a journal")
    parser.add_argument("--csv", type=Path, help="file to write all curves to, for `archsearch replay recorded=FILE`")
    arguments = parser.parse_args()
    frame = pd.concat([read_curves(source) for source in arguments.sources], ignore_index=True)
    frame = frame[frame["cell"].isin(paper.TABLE_1)]
    if arguments.csv:
        frame.to_csv(arguments.csv, index=False)
    grids = [read_grid(frame, task) for task in sorted(frame["task"].unique())]
    for grid in grids:
        few = "" if grid.best.shape[1] >= LEAST_SETTINGS else "; too few, left out below"
        print(f"{grid.task}: {len(grid.cells)} cells, {grid.best.shape[1]} settings, {grid.steps[-1]} steps{few}")
    grids = [grid for grid in grids if grid.best.shape[1] >= LEAST_SETTINGS]
    pairs = [read_grids(frame, grid.task, REPLICATES) for grid in grids]
    pairs = [pair for pair in pairs if pair[0].best.shape[1] >= LEAST_SETTINGS]
    parts: Mapping[str, tuple[Sequence[str], list[Sequence[object]]]] = {
        "Does a training keep its place: order at a short budget against the end of the same trainings": (
            ("task", "steps", "tau of cells", "regret", "tau of settings"),
            [row for grid in grids for row in order_rows(grid)],
        ),
        "Which cell is better: the same against the end with the other seed, and end against end": (
            (
                *("task", "steps", "settings", "tau, same seed", "tau, other seed", "tau, end against end"),
                *("regret, same seed", "regret, other seed", "regret, end against end"),
            ),
            [row for pair in pairs for row in other_seed_rows(*pair)],
        ),
        "A cell's best setting among the best half, quarter, eighth at a short budget (and what is lost)": (
            ("task", "steps", "half", "quarter", "eighth"),
            [row for grid in grids for row in survival_rows(grid)],
        ),
        "Spread of cells and of seeds": (
            ("task", "steps", "cells", "seeds", "ratio", "settings with seeds", "seeds, of qualities", "correlation"),
            [row for grid in grids for row in separation_rows(frame, grid)],
        ),
        "Gates after a first rung: cells that fall, share of the good that fall, chance that the best falls": (
            ("task", "steps", "gate", "fall", "good that fall", "best falls"),
            [row for grid in grids for row in gate_rows(grid)],
        ),
        "Cells": (
            ("task", "cell", "accuracy", "ratio", "paper"),
            [row for grid in grids for row in quality_rows(grid)],
        ),
        "Rank correlation with the paper": (("task", "tau"), [row for row in map(paper_row, grids) if row]),
        "The model of synthetic curves": (
            ("task", "floor", "top", "cell", "setting", "pair", "seed", "tau", "tau spread", "tau pair"),
            [(grid.task, *fit_task(frame, grid.task)) for grid in grids],
        ),
    }
    for title, (header, rows) in parts.items():
        print(f"\n{title}\n{table(header, rows)}")


if __name__ == "__main__":
    main()
