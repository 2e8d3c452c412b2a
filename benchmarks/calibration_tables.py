"""Says what the curves of `calibration.py` mean for budgets, rungs, gates and difficulties.

    python benchmarks/calibration_tables.py FOLDER/curves.csv
    python benchmarks/calibration_tables.py results/table_1 FOLDER --csv curves.csv   # of journals, kept for replays

A cell's quality at a budget is its best accuracy within so many steps over the settings that all cells were trained
with. Intervals are percentiles (2.5 and 97.5) over settings drawn anew with replacement.
"""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Grid:
    """The balanced part of the curves of one task: C cells, S settings, P points of time; first replicates only.

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
    """Returns the curves of the settings that every cell has."""
    own = frame[(frame["task"] == task) & (frame["replicate"] == 0)].copy()
    own["setting"] = own[SETTING].astype(str).agg(" ".join, axis=1)
    cells = sorted(own["cell"].unique())
    counts = own.groupby("setting")["cell"].nunique()
    settings = sorted(counts[counts == len(cells)].index)
    steps = np.array(sorted(own["step"].unique()))
    steps = steps[steps % 100 == 0]
    best = np.zeros((len(cells), len(settings), len(steps)))
    for (cell, setting), rows in own.groupby(["cell", "setting"]):
        if setting in settings:
            rows = rows.sort_values("step")
            reached = np.maximum.accumulate(rows["accuracy"].to_numpy())
            index = np.searchsorted(rows["step"].to_numpy(), steps, side="right") - 1
            best[cells.index(cell), settings.index(setting)] = np.where(index >= 0, reached[np.maximum(index, 0)], 0.0)
    return Grid(task, tuple(cells), steps, best)


def with_interval(grid: Grid, value: Callable[[NDArray[np.float64]], float]) -> tuple[float, float, float]:
    """Returns a statistic of `[C, S, P]` curves and the percentiles of it over settings drawn anew."""
    rng = np.random.Generator(np.random.PCG64(1))
    size = grid.best.shape[1]
    draws = [value(grid.best[:, rng.integers(size, size=size)]) for _ in range(NUM_DRAWS)]
    low, high = np.nanpercentile(draws, (2.5, 97.5))
    return float(value(grid.best)), float(low), float(high)


def order_rows(grid: Grid) -> list[Sequence[object]]:
    """Returns, by budget: rank correlation of the cells with the whole training, and what the best one there loses."""
    rows = []
    for point in grid.points(SHARES):

        def correlation(best: NDArray[np.float64], point: int = point) -> float:
            quality = best.max(axis=1)
            return float(stats.kendalltau(quality[:, point], quality[:, -1]).statistic)

        def regret(best: NDArray[np.float64], point: int = point) -> float:
            quality = best.max(axis=1)
            return float(1 - quality[quality[:, point].argmax(), -1] / quality[:, -1].max())

        of_settings = [stats.kendalltau(cell[:, point], cell[:, -1]).statistic for cell in grid.best]
        texts = (_shown(*with_interval(grid, correlation)), _shown(*with_interval(grid, regret)))
        rows.append((grid.task, int(grid.steps[point]), *texts, f"{np.nanmean(of_settings):.2f}"))
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
    """Returns, by budget: how far the cells' qualities are spread, beside what a seed moves a score."""
    own = frame[frame["task"] == grid.task]
    rows = []
    for point in grid.points((*SHARES, 1.0)):
        limit = grid.steps[point]
        reached = own[own["step"] <= limit].groupby(["cell", *SETTING, "replicate"])["accuracy"].max()
        groups = reached.groupby(level=["cell", *SETTING])
        spread, counts = groups.std(ddof=1).dropna(), groups.count()
        noise = math.sqrt(float((spread**2).mean())) if len(spread) else math.nan
        quality = grid.best[:, :, point].max(axis=1)
        between = float(quality.std(ddof=1))
        rows.append(
            (grid.task, int(limit), f"{between:.4f}", f"{noise:.4f}", f"{between / noise:.1f}", int((counts > 1).sum()))
        )
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

    return grid.task, _shown(*with_interval(grid, correlation))


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
    parts: Mapping[str, tuple[Sequence[str], list[Sequence[object]]]] = {
        "Order at a short budget against the whole training": (
            ("task", "steps", "tau of cells", "regret", "tau of settings"),
            [row for grid in grids for row in order_rows(grid)],
        ),
        "A cell's best setting among the best half, quarter, eighth at a short budget (and what is lost)": (
            ("task", "steps", "half", "quarter", "eighth"),
            [row for grid in grids for row in survival_rows(grid)],
        ),
        "Spread of cells and of seeds": (
            ("task", "steps", "cells", "seeds", "ratio", "settings with seeds"),
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
