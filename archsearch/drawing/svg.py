"""A cell as a picture: SVG that needs nothing but a viewer."""

from collections import Counter
from collections.abc import Collection, Iterator
from xml.sax.saxutils import escape

from archsearch.drawing.gates import find_gates
from archsearch.drawing.heights import find_heights
from archsearch.drawing.layers import Layers, Link, Place, arrange
from archsearch.drawing.shapes import RADIUS, SIGNS, number_text, shapes_of
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.structure import INPUT

_SLOT_SIGNS = (SIGNS["add"], SIGNS["sub"])
_WIRE_HEIGHT = 6.0
_NAME_HEIGHT = 16.0  # above a node, for its name
_ROW_GAP = 12.0
_MARGIN = 24.0
_BASELINE = 4.5  # below the middle of a text; viewers do not agree on any other way to centre it

_NUM_WIRE_COLOURS = 5  # for x, h and the other states; further states begin again
# Okabe and Ito's colours, told apart by nearly everyone; vermilion marks changes.
_STYLE = """\
.cell text { font-family: sans-serif; font-size: 13px; fill: #1a1a1a; text-anchor: middle }
.cell text.small { font-size: 10px; fill: #444444 }
.cell text.name { font-size: 12px; font-style: italic }
.cell text.slot { font-size: 12px; font-weight: bold }
.cell .paper { fill: #ffffff }
.cell path.wire { fill: none; stroke: #666666; stroke-width: 1.6; stroke-linecap: round }
.cell path.wire0 { stroke: #0072b2 }
.cell path.wire1 { stroke: #009e73 }
.cell path.wire2 { stroke: #cc79a7 }
.cell path.wire3 { stroke: #e69f00 }
.cell path.wire4 { stroke: #56b4e9 }
.cell path.dot { stroke-width: 6 }
.cell path.casing { fill: none; stroke: #ffffff; stroke-width: 5 }
.cell .node { stroke: #333333; stroke-width: 1.2 }
.cell .elementwise { fill: #ffffff }
.cell .activation { fill: #fff3c9 }
.cell .gate { fill: #f8d7e0 }
.cell .affine { fill: #f0f0f0 }
.cell .matrix { fill: #d6e6f4 }
.cell .peephole { fill: #d9efe6 }
.cell .state { fill: #ffffff; stroke-width: 2 }
.cell .changed { stroke: #d55e00; stroke-width: 3.5 }"""


def to_svg(cell: CellGraph, highlighted: Collection[str] = (), *, is_inline: bool = False) -> str:
    """Returns a picture of a cell, time within the step running from left to right.

    `x` and the old states stand at the left, the new states at the right. A value has one wire, of a colour of its own
    if it is `x` or a state. Gates and the products that they rule are tinted. The operands of a difference are marked
    + and −.

    Args:
        cell: What to draw.
        highlighted: Names of nodes and new states (`h'`) to be marked as changed.
        is_inline: Whether it becomes an element of an HTML page, whose style sheet then gives the colours.
    """
    return _Picture(cell, highlighted).text(is_inline)


class _Picture:
    def __init__(self, cell: CellGraph, highlighted: Collection[str]) -> None:
        self._cell = cell
        self._highlighted = highlighted
        self._layers: Layers = arrange(cell.structure)
        self._wired: dict[str, list[Link]] = {}  # by the value that runs through the link
        self._entering: dict[Place, list[Link]] = {}  # by where it ends
        for link in self._layers.links:
            self._wired.setdefault(link.source[0], []).append(link)
            self._entering.setdefault(link.target, []).append(link)
        self._shapes = shapes_of(cell)
        self._gates = find_gates(cell.structure)
        self._wires = {
            name: f"wire wire{number % _NUM_WIRE_COLOURS}" for number, name in enumerate((INPUT, *cell.states))
        }
        places = [place for column in self._layers.columns for place in column]
        heights = find_heights(self._layers, {place: self._size(place) for place in places}, _ROW_GAP)
        self._heights = {place: height + _MARGIN for place, height in heights.items()}
        self._spans = self._find_spans()

    def text(self, is_inline: bool) -> str:
        width = self._spans[-1][1] + _MARGIN
        bottom = max(self._heights[place] + self._size(place) / 2 for place in self._heights) + _MARGIN
        title = escape(f"cell with {len(self._cell.nodes)} nodes, states {', '.join(self._cell.states)}")
        wide, high = number_text(width), number_text(bottom)
        size = f'width="{wide}" height="{high}" viewBox="0 0 {wide} {high}"'
        # a page that shrinks the picture has to know how far
        start = f' style="--wide: {wide}px"' if is_inline else ' xmlns="http://www.w3.org/2000/svg"'
        lines = [
            f'<svg{start} {size} class="cell" role="img">',
            f"<title>{title}</title>",
            *([] if is_inline else [f"<style>\n{_STYLE}\n</style>"]),
            '<rect class="paper" width="100%" height="100%"/>',
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
                abs(self._heights[link.source] - self._heights[place])
                for place in column
                for link in self._entering.get(place, ())
            ]
            left = right + (min(30 + 0.18 * max(rises, default=0), 90) if layer else _MARGIN)
            right = left + max(0.0 if self._layers.is_bend(place) else self._shapes[place[0]].span for place in column)
            spans.append((left, right))
        return spans

    def _wire(self, value: str) -> Iterator[str]:
        """Yields the wire of a value: first a white edge that lets it pass over others, then the wire."""
        links = self._wired.get(value, [])
        wire = self._wires.get(value, "wire")
        paths = [self._path(link) for link in links]
        if paths:
            yield f'<path class="casing" d="{" ".join(paths)}"/>'
            yield f'<path class="{wire}" d="{" ".join(paths)}"/>'
        for place, num_links in Counter(link.source for link in links).items():
            if self._layers.is_bend(place) and num_links > 1:
                x, y = self._spans[place[1]][1], self._heights[place]
                # a piece of wire without length is drawn as a dot
                yield f'<path class="{wire} dot" d="M{number_text(x)} {number_text(y)}h0"/>'

    def _path(self, link: Link) -> str:
        """Returns a piece of wire: level along the columns, curved between them."""
        left, right = self._spans[link.source[1]]
        is_bend = self._layers.is_bend(link.source)
        start = left if is_bend else self._middle(link.source) + self._shapes[link.source[0]].width / 2
        height = self._heights[link.source]
        next_left = self._spans[link.target[1]][0]
        end, end_height = self._entry(link)
        if number_text(height) == number_text(end_height):
            return f"M{number_text(start)} {number_text(height)}H{number_text(max(end, next_left))}"
        bend = (next_left - right) / 2
        curve = (right + bend, height, next_left - bend, end_height, next_left, end_height)
        path = f"M{number_text(start)} {number_text(height)}H{number_text(right)}C" + " ".join(
            number_text(value) for value in curve
        )
        return path + (f"H{number_text(end)}" if end > next_left else "")

    def _middle(self, place: Place) -> float:
        return sum(self._spans[place[1]]) / 2

    def _entry(self, link: Link) -> tuple[float, float]:
        """Returns where a piece of wire ends: two operands of one node come in one above the other."""
        height = self._heights[link.target]
        if link.slot is None:
            return self._spans[link.target[1]][0], height
        shape = self._shapes[link.target[0]]
        middle = self._middle(link.target)
        ends = [other for other in self._entering[link.target] if other.slot is not None]
        if len(ends) < 2:
            return middle - shape.width / 2, height
        other = next(end for end in ends if end.slot != link.slot)
        own, others = self._heights[link.source], self._heights[other.source]
        is_upper = own < others or (own == others and link.slot < (other.slot or 0))
        return middle - 0.8 * RADIUS, height + (-0.6 if is_upper else 0.6) * RADIUS

    def _node(self, value: str, place: Place) -> Iterator[str]:
        shape = self._shapes[value]
        x, y = self._middle(place), self._heights[place]
        marks = f"{shape.kind} node" + " gate" * (value in self._gates) + " changed" * (value in self._highlighted)
        yield f"<g><title>{escape(shape.title)}</title>"
        yield shape.outline(x, y, marks)
        yield _text("", x, y - 1.5 if shape.note else y + _BASELINE, shape.text)
        if shape.note:
            yield _text("small", x, y + 12.5, shape.note)
        if shape.name:
            yield _text("name", x, y - shape.height / 2 - 4, shape.name)
        if shape.text == SIGNS["sub"]:
            yield from self._slots(place)
        yield "</g>"

    def _slots(self, place: Place) -> Iterator[str]:
        """Yields the signs with which the operands of a difference go in."""
        for link in self._entering.get(place, ()):
            if link.slot is not None:
                x, y = self._entry(link)
                above = y < self._heights[place]
                x, y = x - 12, y + (-7 if above else 7)
                yield f'<circle cx="{number_text(x)}" cy="{number_text(y)}" r="5" class="paper"/>'
                yield _text("slot", x, y + _BASELINE, _SLOT_SIGNS[link.slot])


def _text(kind: str, x: float, y: float, text: str) -> str:
    marks = f'class="{kind}" ' if kind else ""
    return f'<text {marks}x="{number_text(x)}" y="{number_text(y)}">{escape(text)}</text>'
