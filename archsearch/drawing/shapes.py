"""How each value of a cell is drawn: outline, size and text."""

from dataclasses import dataclass

from archsearch.drawing.labels import affine_label, start_texts, typeset
from archsearch.drawing.layers import sink
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.given_names import is_given
from archsearch.graph.names import printed_names
from archsearch.graph.structure import INPUT, Node

SIGNS = {"add": "+", "sub": "\N{MINUS SIGN}", "mul": "\N{MULTIPLICATION SIGN}"}
RADIUS = 12.0
_BOX_HEIGHT = 28.0
_LETTER = 7.3  # widths of a letter of text and of small text, on the safe side: fonts differ
_SMALL_LETTER = 5.9
_LONGEST = 24  # letters of a name; the whole name is in the tooltip


@dataclass(frozen=True, slots=True)
class Shape:
    """How a value is drawn.

    Attributes:
        kind: `state`, `elementwise`, `activation`, `affine`, `matrix` or `peephole`; its class in the style sheet.
        text: Written inside.
        note: Written below the text, small.
        name: Written above.
        title: The tooltip.
    """

    kind: str
    text: str
    note: str = ""
    name: str = ""
    title: str = ""

    @property
    def width(self) -> float:
        """How wide its outline is."""
        if self.kind in {"elementwise", "state"} and len(self.text) < 3:
            return 2 * RADIUS
        ends = 28 if self.kind == "peephole" else 18
        return max(len(self.text) * _LETTER, len(self.note) * _SMALL_LETTER) + ends

    @property
    def span(self) -> float:
        """Its width, or that of the name above it."""
        return max(self.width, len(self.name) * _LETTER)

    @property
    def height(self) -> float:
        """How high its outline is."""
        return 2 * RADIUS if self.kind in {"elementwise", "state"} else _BOX_HEIGHT + 10 * bool(self.note)

    def outline(self, x: float, y: float, marks: str) -> str:
        """Returns the element that surrounds the text, around a middle."""
        width, height = self.width, self.height
        if self.kind == "elementwise":
            return f'<circle class="{marks}" cx="{number_text(x)}" cy="{number_text(y)}" r="{number_text(RADIUS)}"/>'
        left, right, top, bottom = x - width / 2, x + width / 2, y - height / 2, y + height / 2
        if self.kind == "peephole":
            inner = left + 9, right - 9
            corners = (left, y), (inner[0], top), (inner[1], top), (right, y), (inner[1], bottom), (inner[0], bottom)
            points = " ".join(f"{number_text(corner[0])},{number_text(corner[1])}" for corner in corners)
            return f'<polygon class="{marks}" points="{points}"/>'
        rounding = {"matrix": 2.0, "state": height / 2}.get(self.kind, 9.0)
        return (
            f'<rect class="{marks}" x="{number_text(left)}" y="{number_text(top)}" width="{number_text(width)}" '
            f'height="{number_text(height)}" rx="{number_text(rounding)}"/>'
        )


def shapes_of(cell: CellGraph) -> dict[str, Shape]:
    """Returns the shape of each value, the new states (`h'`) among them."""
    names = printed_names(cell.structure)
    shapes = {
        name: Shape("state", name, title="input" if name == INPUT else f"state {name}")
        for name in (INPUT, *cell.states)
    }
    for name, node in cell.nodes.items():
        shapes[name] = _shape(name, node, names[name])
    for state in cell.states:
        shapes[sink(state)] = Shape("state", sink(state), title=f"next value of {state}")
    return shapes


def _shape(name: str, node: Node, printed: str) -> Shape:
    shown = _shortened(printed) if is_given(printed) and not printed.endswith("'") else ""
    title = f"{name} = {node.primitive}({', '.join(node.operands)})"
    if node.primitive in {"linear", "peephole"}:
        kind = "matrix" if node.primitive == "linear" else "peephole"
        # a machine's name may be that of what stood in its place in another cell: `relu_1`
        is_fitting = is_given(name) or name.startswith(node.primitive)
        weights = node.weights or (name if is_fitting else node.primitive)
        return Shape(
            kind, _shortened(weights), ", ".join(start_texts(node)), shown if printed != weights else "", title
        )
    if node.primitive in SIGNS:
        return Shape("elementwise", SIGNS[node.primitive], name=shown, title=title)
    if node.primitive == "affine":
        return Shape("affine", typeset(affine_label(node, "a")), name=shown, title=title)
    return Shape("activation", node.primitive, name=shown, title=title)


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


def number_text(value: float) -> str:
    """Returns a length as SVG has it, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")
