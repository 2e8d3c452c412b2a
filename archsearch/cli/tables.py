"""The leaderboard as people read it."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.table import Table

from archsearch.run.confirmation_file import read_confirmation
from archsearch.run.folder import RunFolder
from archsearch.run.progress import founder_fitnesses
from archsearch.run.ranking import ranking_sentence
from archsearch.run.reading import Run
from archsearch.run.session import EndedRun
from archsearch.run.simple_predictors_file import beside_simple_predictors
from archsearch.search.leaderboard import LeaderboardRow, leaderboard_rows
from archsearch.trials.value_texts import interval_text, ratio_text, value_text

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
        table = leaderboard_table(run, rows[:top], console.width)
        console.print(table, end="")
        if len(rows) > top:
            console.print(f"… and {len(rows) - top} more", highlight=False)
        for line in [*_legend(run, table), *beside_simple_predictors(RunFolder(run.path), rows[0])]:
            console.print(line, highlight=False)
    print(f"Leaderboard: {run.path / 'leaderboard.csv'}")


def _legend(run: Run | EndedRun, table: Table) -> list[str]:
    """Returns lines on the columns that are shown, and on what the rows are ranked by."""
    knowledge, shown = run.knowledge, {str(column.header) for column in table.columns}
    tasks = [task for task in run.tasks if task in shown]
    said = ["fitness: the least ratio."] if "fitness" in shown else []
    if tasks:
        errors = [task for task in tasks if not knowledge.metrics[task].higher_is_better]
        inverse = f"; of the errors ({', '.join(errors)}) the baseline's ÷ it" if errors else ""
        brackets = ", in brackets," if any("(" in str(cell) for cell in _cells(table, tasks[0])) else ""
        said.append(f"ratio: best validation value{brackets} ÷ the baseline's{inverse}; more is better.")
    lines = [" ".join(said)]
    said = []
    if named := [name for name in ("parameters", "multiply-adds") if name in shown]:
        said.append(f"{', '.join(named)}: of one layer at 128 inputs and units.")
    if "ms" in shown:
        said.append("ms: a training step at equal parameters, as measured in passing.")
    if "confirmed" in shown:
        said.append("confirmed: by fresh trainings on test data (archsearch confirm).")
    baseline = next(iter(founder_fitnesses(knowledge)), "the baseline")
    lines += [" ".join(said), ranking_sentence(knowledge.penalty, baseline)]
    if left_out := [task for task in run.tasks if task not in shown]:
        lines.append(f"Left out, as the terminal is narrow: {', '.join(left_out)}.")
    return [line for line in lines if line]


def _cells(table: Table, header: str) -> list[object]:
    return [cell for column in table.columns if column.header == header for cell in column.cells]


def leaderboard_table(run: Run | EndedRun, rows: Sequence[LeaderboardRow], width: int) -> Table:
    """Lays the rows out; where the terminal is narrow, the columns that matter least are left out, and no id is cut."""
    cells, times = run.knowledge.cells, run.step_milliseconds
    ratios = {task: [ratio_text(row.ratios[task]) for row in rows] for task in run.tasks}
    values = {task: [value_text(row.values[task]) for row in rows] for task in run.tasks}
    columns: dict[str, list[str]] = {
        "rank": [str(row.rank) for row in rows],
        "cell": [row.name or row.cell for row in rows],
        "fitness": [ratio_text(row.fitness, 4) for row in rows],
        **{
            task: [f"{ratio} ({value})" for ratio, value in zip(ratios[task], values[task], strict=True)]
            for task in run.tasks
        },
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
        columns |= ratios
    if confirmed and _width(columns) > width:
        columns["confirmed"] = [text.rpartition(") ")[2] for text in columns["confirmed"]]  # the verdict alone
    for name in (*reversed(run.tasks), *(["confirmed"] if confirmed else []), "fitness"):
        if _width(columns) > width:
            del columns[name]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, texts in columns.items():
        justify: Literal["left", "right"] = "left" if name in {"cell", "parent", "confirmed"} else "right"
        least = max(map(len, texts), default=0) if name == "cell" else None  # an id that is cut names nothing
        table.add_column(name, justify=justify, no_wrap=True, min_width=least)
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
    return f"{interval_text(row['fitness_low'], row['fitness'], row['fitness_high'], between='-')} {verdict}"


def _width(columns: Mapping[str, Sequence[str]]) -> int:
    """Returns the characters a table takes, with the gaps between its columns."""
    return sum(max(map(len, (name, *texts))) + COLUMN_GAP for name, texts in columns.items())
