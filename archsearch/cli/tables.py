"""The leaderboard as people read it."""

from rich import box
from rich.console import Console
from rich.table import Table

from archsearch.run.reading import Run

PLAIN_WIDTH = 160


def print_leaderboard(run: Run, top: int) -> None:
    """Prints the first rows of a run's leaderboard and where the file is."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)  # a file or a pipe has no edge to wrap at
    board = run.leaderboard()
    console.print(_table(run, top), end="")
    if len(board) > top:
        console.print(f"… and {len(board) - top} more", highlight=False)
    console.print(
        "fitness: the least ratio. ratio: best validation accuracy, in brackets, ÷ the baseline's best.",
        "parameters, multiply-adds: of one layer at 128 inputs and units.",
        highlight=False,
    )
    print(f"Leaderboard: {run.path / 'leaderboard.csv'}")


def _table(run: Run, top: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("rank", justify="right")
    table.add_column("cell", no_wrap=True)
    for heading in ("fitness", *run.tasks, "parameters", "multiply-adds", "nodes", "trials"):
        table.add_column(heading, justify="right")
    table.add_column("parent", no_wrap=True)
    names = dict(zip(*run.leaderboard()[["cell", "name"]].values.T, strict=True)) if run.knowledge.listed else {}
    for row in run.leaderboard().head(top).to_dict("records"):
        table.add_row(
            str(row["rank"]),
            row["name"] or row["cell"],
            f"{row['fitness']:.4f}",
            *(f"{row[f'ratio_{task}']:.3f} ({row[f'accuracy_{task}']:.3f})" for task in run.tasks),
            f"{row['parameters']:,}",
            f"{row['multiply_adds']:,}",
            str(row["nodes"]),
            str(row["trials"]),
            names.get(row["parent"]) or row["parent"],
        )
    return table
