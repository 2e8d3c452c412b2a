"""The tables of docs/faults.md."""

from itertools import groupby

from faults.promises import Fault


def row_of(fault: Fault) -> str:
    """Returns a fault's row in the tables of the document."""
    marks = ", ".join(word for word, holds in (("fast", fault.is_fast), ("Ray", fault.needs_ray)) if holds)
    return f"| `{fault.name}` | {_cell(fault.injected)} | {_cell(fault.promised)} | {marks} |"


def tables(faults: list[Fault]) -> str:
    """Returns a table for each family."""
    parts = []
    for family, rows in groupby(faults, key=lambda fault: fault.family):
        parts.append(f"### {family}\n\n| row | injected | promised | |\n|---|---|---|---|")
        parts[-1] += "".join(f"\n{row_of(fault)}" for fault in rows)
    return "\n\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
