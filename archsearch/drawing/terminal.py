"""A cell drawn with box characters."""

from collections.abc import Collection, Mapping

from archsearch.drawing.wires import Role, Row, wire
from archsearch.graph.cell_graph import CellGraph

_GAP = 4  # characters from wire to wire
_BEGINNINGS: Mapping[Role, str] = {"plain": "◆", "gate": "◇", "gated": "⊗"}
LEGEND = "● reads, ◆ begins a value, ◇ a gate, ⊗ what a gate lets through"


def draw_text(cell: CellGraph, highlighted: Collection[str] = ()) -> str:
    """Returns a drawing for a terminal: time runs down, each value is a wire.

    `●` reads a wire, `◆` begins a new value (on top of a wire that ends there, it reads that too), `│` and `┼` pass.
    A gate begins with `◇`, the product of a gate and what it rules with `⊗`.
    What each row computes stands at its right; the new states are named at the bottom of their wires. Rows of the
    highlighted nodes and new states (`h'`) have a `*` before what they compute.
    """
    wiring = wire(cell, highlighted)
    width = 1 + max([*wiring.top, *(row.result or 0 for row in wiring.rows)])
    lines = [_names(wiring.top, width)]
    if wiring.rows:
        lines.append(_wires(wiring.rows[0], width))
    has_marks = any(row.is_highlighted for row in wiring.rows)
    for row in wiring.rows:
        mark = "* " if row.is_highlighted else "  "
        lines.append(_row(row, width) + (mark if has_marks else "") + row.label)
    lines.append(_names(wiring.bottom, width))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _names(columns: dict[int, str], width: int) -> str:
    """Writes names over or under their columns; a long one pushes the next to the right."""
    line = ""
    for column in range(width):
        if column in columns:
            line = line.ljust(column * _GAP) if len(line) <= column * _GAP else line + " "
            line += columns[column]
    return line


def _wires(row: Row, width: int) -> str:
    return "".join(("│" if column in row.running else " ").ljust(_GAP) for column in range(width))


def _row(row: Row, width: int) -> str:
    ends = [*row.reads, *([] if row.result is None else [row.result])]
    first, last = min(ends), max(ends)
    cells = []
    for column in range(width):
        inside = first < column < last
        if column == row.result:
            mark = _BEGINNINGS[row.role]
        elif column in row.reads:
            mark = "●"
        elif column in row.running:
            mark = "┼" if inside else "│"
        else:
            mark = "─" if inside else " "
        cells.append(mark + ("─" if first <= column < last else " ") * (_GAP - 1))
    return "".join(cells)
