"""The leaderboard as people read it."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from archsearch.run.confirmation_file import read_confirmation
from archsearch.run.folder import RunFolder
from archsearch.run.reading import Run
from archsearch.run.session import EndedRun
from archsearch.run.simple_predictors_file import beside_simple_predictors
from archsearch.search.leaderboard import LeaderboardRow, leaderboard_rows

PLAIN_WIDTH = 160
COLUMN_GAP = 3


def print_leaderboard(run: Run | EndedRun, top: int) -> None:
    """Prints the first rows of a run's leaderboard and where the file is."""
    console = Console(markup=False)
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH, markup=False)  # a file or a pipe has no edge to wrap at
    rows = leaderboard_rows(run.knowledge)
    if not rows:
        print("Nothing is ranked yet: every cell is compared with the first founder, which has no results so far.")
    else:
        console.print(leaderboard_table(run, rows[:top], console.width), end="")
        if len(rows) > top:
            console.print(f"… and {len(rows) - top} more", highlight=False)
        console.print(
            "fitness: the least ratio. ratio: best validation value, in brackets, against the baseline's; more is "
            "better.\nparameters, multiply-adds: of one layer at 128 inputs and units. ms: a training step at equal "
            "parameters, as measured in passing.",
            highlight=False,
        )
        for line in beside_simple_predictors(RunFolder(run.path), rows[0]):
            console.print(line, highlight=False)
    if read_confirmation(RunFolder(run.path)) is not None:
        console.print("confirmed: the fitness of fresh trainings on test data, by archsearch confirm.", highlight=False)
    print(f"Leaderboard: {run.path / 'leaderboard.csv'}")


def leaderboard_table(run: Run | EndedRun, rows: Sequence[LeaderboardRow], width: int) -> Table:
    """Lays the rows out; where the terminal is narrow, the columns that matter least are left out."""
    cells, times = run.knowledge.cells, run.step_milliseconds
    columns: dict[str, list[str]] = {
        "rank": [str(row.rank) for row in rows],
        "cell": [row.name or row.cell for row in rows],
        "fitness": [f"{row.fitness:.4f}" for row in rows],
        **{task: [f"{row.ratios[task]:.3f} ({row.values[task]:.3f})" for row in rows] for task in run.tasks},
        "parameters": [f"{row.parameters:,}" for row in rows],
        "multiply-adds": [f"{row.multiply_adds:,}" for row in rows],
        "ms": [f"{times[row.cell]:.2f}" if row.cell in times else "" for row in rows],
        "nodes": [str(row.nodes) for row in rows],
        "trials": [str(row.trials) for row in rows],
        "parent": [(cells[row.parent].name or row.parent) if row.parent else "" for row in rows],
    }
    if not any(columns["ms"]):
        del columns["ms"]
    confirmed = confirmed_fitness(run)
    if confirmed:
        columns["confirmed"] = [confirmed.get(row.cell, "") for row in rows]
    for name in ("parent", "multiply-adds", "nodes", "trials", "ms", "parameters"):
        if name in columns and _width(columns) > width:
            del columns[name]
    if _width(columns) > width:
        columns |= {task: [f"{row.ratios[task]:.3f}" for row in rows] for task in run.tasks}
    if confirmed and _width(columns) > width:
        columns["confirmed"] = [text.rpartition(") ")[2] for text in columns["confirmed"]]  # the verdict alone
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="left" if name in {"cell", "parent", "confirmed"} else "right", no_wrap=True)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    return table


def confirmed_fitness(run: Run | EndedRun) -> dict[str, str]:
    """Returns what `confirm` found of cells: fitness with its interval and the verdict; nothing if it did not run."""
    frame = read_confirmation(RunFolder(run.path))
    return {} if frame is None else {str(row["cell"]): _confirmed(row) for row in frame.to_dict("records")}


def _confirmed(row: Mapping[Hashable, Any]) -> str:
    verdict = str(row["verdict"]).replace("_", " ")
    if verdict == "baseline" or row["fitness"] != row["fitness"]:  # NaN: trainings failed
        return verdict
    return f"{row['fitness']:.3f} ({row['fitness_low']:.3f}-{row['fitness_high']:.3f}) {verdict}"


def _width(columns: Mapping[str, Sequence[str]]) -> int:
    """Returns the characters a table takes, with the gaps between its columns."""
    return sum(max(map(len, (name, *texts))) + COLUMN_GAP for name, texts in columns.items())
