"""What two runs can be compared by, and whether a journal is whole."""

import csv
import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from archsearch.errors import ArchSearchError
from archsearch.graph.catalog import load_cell
from archsearch.run.journal import Journal

TABLES = ("leaderboard.csv", "trials.csv", "candidates.csv")
CLOCK = "seconds"
"""Part of the names of all columns and fields that a clock has filled."""


def difference(path: Path, other: Path) -> str:
    """Returns in which files two runs differ, byte for byte apart from clocks; empty if in none."""
    found = [name for name in TABLES if _without_clock_columns(path / name) != _without_clock_columns(other / name)]
    if _summary(path) != _summary(other):
        found.append("summary.json")
    if _steps(path) != _steps(other):
        found.append("the journal's steps")
    return ", ".join(found)


def _without_clock_columns(path: Path) -> str:
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    kept = [index for index, name in enumerate(header) if CLOCK not in name]
    text = io.StringIO()
    csv.writer(text).writerows([row[index] for index in kept] for row in [header, *rows])
    return text.getvalue()


def _summary(path: Path) -> object:
    def without_clocks(value: object) -> object:
        if isinstance(value, dict):
            return {name: without_clocks(part) for name, part in value.items() if CLOCK not in name}
        return value

    return without_clocks(read_summary(path))


def _steps(path: Path) -> list[dict[str, Any]]:
    with closing(Journal.open(path / "archsearch.db", read_only=True)) as journal:
        return list(journal.step_records())


def read_summary(path: Path) -> dict[str, Any]:
    """Returns the content of a run's `summary.json`."""
    return dict(json.loads((path / "summary.json").read_text(encoding="utf-8")))


def read_rows(path: Path, name: str = "trials") -> list[dict[str, str]]:
    """Returns the rows of one of a run's tables."""
    with (path / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def statuses(path: Path, cell: str | None = None) -> dict[str, int]:
    """Returns how many of a run's trials have each status, those of one cell or of all."""
    found: dict[str, int] = {}
    for row in read_rows(path):
        if cell is None or row["cell"] == cell:
            found[row["status"]] = found.get(row["status"], 0) + 1
    return found


def candidate(path: Path, number: int = 1) -> str:
    """Returns the digest of a run's candidate by the number of its step."""
    return next(row["cell"] for row in read_rows(path, "candidates") if row["step"] == str(number))


def torn_views(path: Path) -> list[str]:
    """Returns the views of a run that are there but not whole."""
    tables = [name for name in TABLES if (path / name).exists() and not _is_whole_table(path / name)]
    summaries = [name for name in ("summary.json",) if (path / name).exists() and not _is_whole(read_summary, path)]
    cells = [f"cells/{file.name}" for file in sorted(path.glob("cells/c_*")) if not _is_whole(load_cell, file)]
    return tables + summaries + cells


def _is_whole(read: Callable[[Path], object], path: Path) -> bool:
    try:
        read(path)
    except (ValueError, ArchSearchError):
        return False
    return True


def _is_whole_table(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    rows = list(csv.reader(io.StringIO(text)))
    return text.endswith("\n") and len({len(row) for row in rows}) == 1


def kept_keys(path: Path) -> set[str]:
    """Returns the keys of the trials in a run's journal, none if there is no journal yet."""
    journal = path / "archsearch.db"
    if not journal.exists():
        return set()
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
        return {str(key) for (key,) in connection.execute("SELECT key FROM trials")}


def journal_problem(journal: Path) -> str:
    """Returns what is wrong with a journal, empty if it opens, every page is sound and every row is as written."""
    try:
        with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
            ((answer,),) = connection.execute("PRAGMA integrity_check(1)")
        with closing(Journal.open(journal, read_only=True)) as opened:
            list(opened.trials())
            list(opened.step_records())
    except (ArchSearchError, sqlite3.Error) as error:
        return f"{journal.parent.name}: {error}"
    return "" if answer == "ok" else f"{journal.parent.name}: {answer}"
