"""A cell as a picture: SVG that needs nothing but a viewer."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

from archsearch.drawing.heights import find_heights
from archsearch.drawing.labels import affine_text, start_texts, typeset
from archsearch.drawing.layers import Layers, Link, Place, arrange, sink
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.names import is_given, printed_names
from archsearch.graph.structure import INPUT, Node

_SIGNS = {"add": "+", "sub": "\N{MINUS SIGN}", "mul": "\N{MULTIPLICATION SIGN}"}
_SLOT_SIGNS = (_SIGNS["add"], _SIGNS["sub"])
_RADIUS = 12.0
_BOX_HEIGHT = 28.0
_WIRE_HEIGHT = 6.0
_NAME_HEIGHT = 16.0  # above a node, for its name
_ROW_GAP = 12.0
_MARGIN = 24.0
_LETTER = 7.3  # widths of a letter of text and of small text, on the safe side: fonts differ
_SMALL_LETTER = 5.9
_LONGEST = 24  # letters of a name; the whole name is in the tooltip

# Wires of x, h and the other states: Okabe and Ito's colours, told apart by nearly everyone; vermilion marks changes.
_WIRE_COLOURS = ("#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_STYLE = """\
text { font-family: sans-serif; font-size: 13px; fill: #1a1a1a; text-anchor: middle; dominant-baseline: central }
text.small { font-size: 10px; fill: #444444 }
text.name { font-size: 12px; font-style: italic }
text.slot { font-size: 12px; font-weight: bold }
path.wire { fill: none; stroke-width: 1.6; stroke-linecap: round }
path.casing { fill: none; stroke: #ffffff; stroke-width: 5 }
.node { stroke: #333333; stroke-width: 1.2 }
.elementwise { fill: #ffffff }
.activation { fill: #fff3c9 }
.affine { fill: #f0f0f0 }
.matrix { fill: #d6e6f4 }
.peephole { fill: #d9efe6 }
.state { fill: #ffffff; stroke-width: 2 }
.changed { stroke: #d55e00; stroke-width: 3.5 }"""


@dataclass(frozen=True, slots=True)
class _Shape:
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
        if self.kind in {"elementwise", "state"} and len(self.text) < 3:
            return 2 * _RADIUS
        ends = 28 if self.kind == "peephole" else 18
        return max(len(self.text) * _LETTER, len(self.note) * _SMALL_LETTER) + ends

    @property
    def span(self) -> float:
        """Its width, or that of the name above it."""
        return max(self.width, len(self.name) * _LETTER)

    @property
    def height(self) -> float:
        return 2 * _RADIUS if self.kind in {"elementwise", "state"} else _BOX_HEIGHT + 10 * bool(self.note)


def to_svg(cell: CellGraph, highlighted: Collection[str] = ()) -> str:
    """Returns a picture of a cell, time within the step running from left to right.

    `x` and the old states stand at the left, the new states at the right. A value has one wire, of a colour of its own
    if it is `x` or a state. The operands of a difference are marked + and −.

    Args:
        cell: What to draw.
        highlighted: Names of nodes and new states (`h'`) to be marked as changed.
    """
    return _Picture(cell, highlighted).text()


class _Picture:
    def __init__(self, cell: CellGraph, highlighted: Collection[str]) -> None:
        self._cell = cell
        self._highlighted = highlighted
        self._layers: Layers = arrange(cell.structure)
        self._shapes = _shapes(cell)
        self._colours = {
            name: _WIRE_COLOURS[number % len(_WIRE_COLOURS)] for number, name in enumerate((INPUT, *cell.states))
        }
        places = [place for column in self._layers.columns for place in column]
        heights = find_heights(self._layers, {place: self._size(place) for place in places}, _ROW_GAP)
        self._heights = {place: height + _MARGIN for place, height in heights.items()}
        self._spans = self._find_spans()

    def text(self) -> str:
        width = self._spans[-1][1] + _MARGIN
        bottom = max(self._heights[place] + self._size(place) / 2 for place in self._heights) + _MARGIN
        title = escape(f"cell with {len(self._cell.nodes)} nodes, states {', '.join(self._cell.states)}")
        size = f'width="{_number(width)}" height="{_number(bottom)}" viewBox="0 0 {_number(width)} {_number(bottom)}"'
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>{title}</title>",
            f"<style>\n{_STYLE}\n</style>",
            '<rect width="100%" height="100%" fill="#ffffff"/>',
        ]
        for value in self._layers.made:
            lines += self._wire(value)
        for value, layer in self._layers.made.items():
            lines += self._node(value, (value, layer))
        return "\n".join([*lines, "</svg>"]) + "\n"

    def _size(self, place: Place) -> float:
        if self._layers.is_bend(place):
            return _WIRE_HEIGHT
        shape = self._shapes[place[0]]
        return shape.height + 2 * _NAME_HEIGHT * bool(shape.name)

    def _find_spans(self) -> list[tuple[float, float]]:
        """Returns the left and right end of each column; where wires rise much, columns stand further apart."""
        spans: list[tuple[float, float]] = []
        right = 0.0
        for layer, column in enumerate(self._layers.columns):
            rises = [
                abs(self._heights[link.source] - self._heights[link.target])
                for link in self._layers.links
                if link.target[1] == layer
            ]
            left = right + (min(30 + 0.18 * max(rises, default=0), 90) if layer else _MARGIN)
            right = left + max(0.0 if self._layers.is_bend(place) else self._shapes[place[0]].span for place in column)
            spans.append((left, right))
        return spans

    def _wire(self, value: str) -> Iterator[str]:
        """Yields the wire of a value: first a white edge that lets it pass over others, then the wire."""
        links = [link for link in self._layers.links if link.source[0] == value]
        colour = self._colours.get(value, "#666666")
        paths = [self._path(link) for link in links]
        if paths:
            yield f'<path class="casing" d="{" ".join(paths)}"/>'
            yield f'<path class="wire" stroke="{colour}" d="{" ".join(paths)}"/>'
        for place in dict.fromkeys(link.source for link in links):
            if self._layers.is_bend(place) and sum(link.source == place for link in links) > 1:
                x, y = self._spans[place[1]][1], self._heights[place]
                yield f'<circle cx="{_number(x)}" cy="{_number(y)}" r="3" fill="{colour}"/>'

    def _path(self, link: Link) -> str:
        """Returns a piece of wire: level along the columns, curved between them."""
        left, right = self._spans[link.source[1]]
        is_bend = self._layers.is_bend(link.source)
        start = left if is_bend else self._middle(link.source) + self._shapes[link.source[0]].width / 2
        height = self._heights[link.source]
        next_left = self._spans[link.target[1]][0]
        end, end_height = self._entry(link)
        bend = (next_left - right) / 2
        curve = (right + bend, height, next_left - bend, end_height, next_left, end_height)
        path = f"M{_number(start)} {_number(height)}H{_number(right)}C" + " ".join(_number(value) for value in curve)
        return path + (f"H{_number(end)}" if end > next_left else "")

    def _middle(self, place: Place) -> float:
        return sum(self._spans[place[1]]) / 2

    def _entry(self, link: Link) -> tuple[float, float]:
        """Returns where a piece of wire ends: two operands of one node come in one above the other."""
        height = self._heights[link.target]
        if link.slot is None:
            return self._spans[link.target[1]][0], height
        shape = self._shapes[link.target[0]]
        middle = self._middle(link.target)
        ends = [other for other in self._layers.links if other.target == link.target and other.slot is not None]
        if len(ends) < 2:
            return middle - shape.width / 2, height
        other = next(end for end in ends if end.slot != link.slot)
        own, others = self._heights[link.source], self._heights[other.source]
        is_upper = own < others or (own == others and link.slot < (other.slot or 0))
        return middle - 0.8 * _RADIUS, height + (-0.6 if is_upper else 0.6) * _RADIUS

    def _node(self, value: str, place: Place) -> Iterator[str]:
        shape = self._shapes[value]
        x, y = self._middle(place), self._heights[place]
        marks = f"{shape.kind} node" + (" changed" if value in self._highlighted else "")
        yield f"<g><title>{escape(shape.title)}</title>"
        yield _outline(shape, x, y, marks)
        text_y = y - 6 if shape.note else y
        yield f'<text x="{_number(x)}" y="{_number(text_y)}">{escape(shape.text)}</text>'
        if shape.note:
            yield f'<text class="small" x="{_number(x)}" y="{_number(y + 9)}">{escape(shape.note)}</text>'
        if shape.name:
            name_y = y - shape.height / 2 - 8
            yield f'<text class="name" x="{_number(x)}" y="{_number(name_y)}">{escape(shape.name)}</text>'
        if shape.text == _SIGNS["sub"]:
            yield from self._slots(place)
        yield "</g>"

    def _slots(self, place: Place) -> Iterator[str]:
        """Yields the signs with which the operands of a difference go in."""
        for link in self._layers.links:
            if link.target == place and link.slot is not None:
                x, y = self._entry(link)
                above = y < self._heights[place]
                x, y = x - 12, y + (-7 if above else 7)
                yield f'<circle cx="{_number(x)}" cy="{_number(y)}" r="5" fill="#ffffff"/>'
                yield f'<text class="slot" x="{_number(x)}" y="{_number(y)}">{_SLOT_SIGNS[link.slot]}</text>'


def _outline(shape: _Shape, x: float, y: float, marks: str) -> str:
    width, height = shape.width, shape.height
    if shape.kind == "elementwise":
        return f'<circle class="{marks}" cx="{_number(x)}" cy="{_number(y)}" r="{_number(_RADIUS)}"/>'
    left, right, top, bottom = x - width / 2, x + width / 2, y - height / 2, y + height / 2
    if shape.kind == "peephole":
        corners = ((left, y), (left + 9, top), (right - 9, top), (right, y), (right - 9, bottom), (left + 9, bottom))
        points = " ".join(f"{_number(corner[0])},{_number(corner[1])}" for corner in corners)
        return f'<polygon class="{marks}" points="{points}"/>'
    rounding = {"matrix": 2.0, "state": height / 2}.get(shape.kind, 9.0)
    return (
        f'<rect class="{marks}" x="{_number(left)}" y="{_number(top)}" width="{_number(width)}" '
        f'height="{_number(height)}" rx="{_number(rounding)}"/>'
    )


def _shapes(cell: CellGraph) -> dict[str, _Shape]:
    names = printed_names(cell.structure)
    shapes = {
        name: _Shape("state", name, title="input" if name == INPUT else f"state {name}") for name in ("x", *cell.states)
    }
    for name, node in cell.nodes.items():
        shapes[name] = _shape(name, node, names[name])
    for state in cell.states:
        shapes[sink(state)] = _Shape("state", sink(state), title=f"next value of {state}")
    return shapes


def _shape(name: str, node: Node, printed: str) -> _Shape:
    shown = _shortened(printed) if is_given(printed) and not printed.endswith("'") else ""
    title = f"{name} = {node.primitive}({', '.join(node.operands)})"
    if node.primitive in {"linear", "peephole"}:
        kind = "matrix" if node.primitive == "linear" else "peephole"
        weights = node.weights or name
        return _Shape(
            kind, _shortened(weights), ", ".join(start_texts(node)), shown if printed != weights else "", title
        )
    if node.primitive in _SIGNS:
        return _Shape("elementwise", _SIGNS[node.primitive], name=shown, title=title)
    if node.primitive == "affine":
        return _Shape("affine", typeset(affine_text(node, "a")), name=shown, title=title)
    return _Shape("activation", node.primitive, name=shown, title=title)


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
