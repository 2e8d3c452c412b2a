"""What docs/csv.md says of the tables: `from shared_csv_page import columns_on_the_page`."""

from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "csv.md"
TYPES = {"integer", "number", "text", "truth", "mapping"}


def rows_on_the_page(heading: str) -> list[list[str]]:
    """Returns the rows of the table under a heading."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    assert lines
    return [[field.strip() for field in line.strip("|").split("|")] for line in lines]


def columns_on_the_page(heading: str, tasks: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Returns type and what may be missing of each column, in order; `TASK` stands for all tasks in turn."""
    columns: dict[str, tuple[str, str]] = {}
    of_tasks: list[tuple[str, tuple[str, str]]] = []
    for name, kind, _, meaning, missing in [*rows_on_the_page(heading), ["", "", "", "", ""]]:
        assert not name or (kind in TYPES and meaning and missing)
        if "TASK" in name:
            of_tasks.append((name.strip("`"), (kind, missing)))
            continue
        columns |= {form.replace("TASK", task): about for task in tasks for form, about in of_tasks}
        of_tasks = []
        if name:
            columns[name.strip("`")] = kind, missing
    return columns
