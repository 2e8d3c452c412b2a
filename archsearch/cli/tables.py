"""The leaderboard as people read it."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from archsearch.run.reading import Run
from archsearch.search.leaderboard import LeaderboardRow, leaderboard_rows

PLAIN_WIDTH = 160


def print_leaderboard(run: Run, top: int) -> None:
    """Prints the first rows of a run's leaderboard and where the file is."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)  # a file or a pipe has no edge to wrap at
    rows = leaderboard_rows(run.knowledge)
    console.print(_table(run, rows[:top]), end="")
    if len(rows) > top:
        console.print(f"… and {len(rows) - top} more", highlight=False)
    console.print(
        "fitness: the least ratio. ratio: best validation accuracy, in brackets, ÷ the baseline's best.",
        "parameters, multiply-adds: of one layer at 128 inputs and units.",
        highlight=False,
    )
    print(f"Leaderboard: {run.path / 'leaderboard.csv'}")


def _table(run: Run, rows: Sequence[LeaderboardRow]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("rank", justify="right")
    table.add_column("cell", no_wrap=True)
    for heading in ("fitness", *run.tasks, "parameters", "multiply-adds", "nodes", "trials"):
        table.add_column(heading, justify="right")
    table.add_column("parent", no_wrap=True)
    cells = run.knowledge.cells
    for row in rows:
        table.add_row(
            str(row.rank),
            row.name or row.cell,
            f"{row.fitness:.4f}",
            *(f"{row.ratios[task]:.3f} ({row.accuracies[task]:.3f})" for task in run.tasks),
            f"{row.parameters:,}",
            f"{row.multiply_adds:,}",
            str(row.nodes),
            str(row.trials),
            (cells[row.parent].name or row.parent) if row.parent else "",
        )
    return table
