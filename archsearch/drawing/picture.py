"""A drawn cell for notebooks and terminals."""

from dataclasses import dataclass
from pathlib import Path

from archsearch.drawing.svg import to_svg
from archsearch.drawing.terminal import draw_text
from archsearch.graph.cell_graph import CellGraph


@dataclass(frozen=True, repr=False)
class Picture:
    """A cell to look at: notebooks show it as SVG, terminals with box characters.

    Attributes:
        cell: What is drawn.
        highlighted: Nodes and new states (`h'`) that are marked.
    """

    cell: CellGraph
    highlighted: frozenset[str] = frozenset()

    @property
    def svg(self) -> str:
        """The picture as text of an SVG file."""
        return to_svg(self.cell, self.highlighted)

    def save(self, path: str | Path) -> None:
        """Writes the picture as an SVG file."""
        Path(path).write_text(self.svg, encoding="utf-8")

    def __repr__(self) -> str:
        return draw_text(self.cell, self.highlighted)

    def _repr_svg_(self) -> str:
        return self.svg
