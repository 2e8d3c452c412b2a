"""Charts as SVG without colours: the page's style sheet has them, light and dark."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from markupsafe import Markup

from archsearch.report.axes import Axis

_TOP, _RIGHT, _BOTTOM, _LEFT = 10.0, 14.0, 38.0, 46.0
_RADIUS = 4.0  # of a dot
_TEXT_HEIGHT, _LETTER_WIDTH = 12.0, 6.2  # of a name beside a dot
_TEXT_RISE = 5.0  # above its dot, so that it lies on no line
_FAR = 16.0  # from its dot to a text's line; beyond, a stroke joins them
_MAX_ROWS = 12  # by which a text may be moved away from its dot
_Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Dot:
    """A point that stands alone.

    Attributes:
        x: Its value on the x axis.
        y: Its value on the y axis.
        title: The tooltip.
        kind: Its class in the style sheet.
        target: Id of the part of the page that it leads to; empty for none.
        text: Written beside it.
    """

    x: float
    y: float
    title: str
    kind: str = "dot"
    target: str = ""
    text: str = ""


@dataclass(frozen=True)
class Line:
    """Points in the order in which a line joins them.

    Attributes:
        points: Pairs of x and y.
        title: The tooltip, which names the line.
        kind: Its class in the style sheet.
        is_stepped: Whether a value holds until the next, rather than going over into it.
    """

    points: Sequence[tuple[float, float]]
    title: str
    kind: str
    is_stepped: bool = False


@dataclass(frozen=True)
class Chart:
    """A chart of lines and dots.

    Attributes:
        title: What it shows, for those who cannot see it.
        x_axis: From left to right.
        y_axis: From the bottom to the top.
        lines: Drawn first.
        dots: Drawn over the lines.
        width: In units of the picture, as is the height.
        height: See above.
    """

    title: str
    x_axis: Axis
    y_axis: Axis
    lines: Sequence[Line] = ()
    dots: Sequence[Dot] = ()
    width: float = 440.0
    height: float = 260.0

    def to_svg(self) -> Markup:
        """Returns the chart as an element of the page; all texts in it are escaped."""
        size = f"0 0 {self.width:g} {self.height:g}"
        parts = [f'<svg class="chart" viewBox="{size}" role="img" aria-label={quoteattr(self.title)}>']
        # names before dots: their white edge is to part them from lines, not to hide a dot
        parts += [*self._grid(), *map(self._line, self.lines), *self._texts(), *map(self._dot, self.dots), "</svg>"]
        return Markup("".join(parts))  # noqa: S704 - every text above went through `escape`

    def _x(self, value: float) -> float:
        return _LEFT + self.x_axis.share(value) * (self.width - _LEFT - _RIGHT)

    def _y(self, value: float) -> float:
        return _TOP + (1 - self.y_axis.share(value)) * (self.height - _TOP - _BOTTOM)

    def _grid(self) -> Iterator[str]:
        bottom, right = self.height - _BOTTOM, self.width - _RIGHT
        for tick in self.y_axis.ticks:
            y = self._y(tick)
            yield f'<path class="grid" d="M{_LEFT:g} {y:.1f}H{right:g}"/>'
            yield f'<text class="y-tick" x="{_LEFT - 6:g}" y="{y + 3.5:.1f}">{self.y_axis.text(tick)}</text>'
        for tick in self.x_axis.ticks:
            x = self._x(tick)
            yield f'<text class="x-tick" x="{x:.1f}" y="{bottom + 15:g}">{self.x_axis.text(tick)}</text>'
        yield f'<path class="axis" d="M{_LEFT:g} {bottom:g}H{right:g}"/>'
        middle = (_LEFT + right) / 2
        yield f'<text class="label" x="{middle:g}" y="{self.height - 6:g}">{escape(self.x_axis.label)}</text>'
        middle = (_TOP + bottom) / 2
        yield (
            f'<text class="label" transform="translate(11 {middle:g}) rotate(-90)">{escape(self.y_axis.label)}</text>'
        )

    def _line(self, line: Line) -> str:
        pieces: list[str] = []
        for x, y in line.points:
            if not pieces:
                pieces.append(f"M{self._x(x):.1f} {self._y(y):.1f}")
            elif line.is_stepped:
                pieces.append(f"H{self._x(x):.1f}V{self._y(y):.1f}")
            else:
                pieces.append(f"L{self._x(x):.1f} {self._y(y):.1f}")
        path = f'<path class="line {line.kind}" d="{"".join(pieces)}"/>'
        return f"<g><title>{escape(line.title)}</title>{path}</g>"

    def _dot(self, dot: Dot) -> str:
        x, y = self._place(dot)
        title = f"<title>{escape(dot.title)}</title>"
        circle = f'<circle class="{dot.kind}" cx="{x:.1f}" cy="{y:.1f}" r="{_RADIUS:g}">{title}</circle>'
        if dot.target:
            circle = f"<a href={quoteattr('#' + dot.target)} aria-label={quoteattr(dot.title)}>{circle}</a>"
        return circle

    def _texts(self) -> Iterator[str]:
        """Yields what is written beside dots, from the top; each text where it lies on no other text and on no dot."""
        taken = [(x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS) for x, y in map(self._place, self.dots)]
        for dot in sorted((dot for dot in self.dots if dot.text), key=lambda dot: -dot.y):
            spots = list(self._spots(dot))
            anchor, x, y, box = next(
                (spot for spot in spots if not any(_overlap(spot[-1], other) for other in taken)), spots[0]
            )
            taken.append(box)
            dot_x, dot_y = self._place(dot)
            if abs(y - dot_y) > _FAR:
                yield f'<path class="leader" d="M{dot_x:.1f} {dot_y:.1f}L{x:.1f} {y - _TEXT_RISE:.1f}"/>'
            yield f'<text class="beside{anchor}" x="{x:.1f}" y="{y:.1f}">{escape(dot.text)}</text>'

    def _place(self, dot: Dot) -> tuple[float, float]:
        return self._x(dot.x), self._y(dot.y)

    def _spots(self, dot: Dot) -> Iterator[tuple[str, float, float, _Box]]:
        """Yields where a dot's text may stand, the best first: its class, `x`, `y`, and the box that it takes.

        Right or left of the dot, above or below it; then ever further from it.
        """
        x, y = self._place(dot)
        width = _LETTER_WIDTH * len(dot.text)
        left, right = ("", x + 7, x + 7), (" end", x - 7, x - 7 - width)
        middle = (" middle", x, x - width / 2)
        places = [(*left, y - _TEXT_RISE), (*right, y - _TEXT_RISE), (*middle, y - 8), (*middle, y + 15)]
        for row in range(1, _MAX_ROWS):
            places += [
                (*side, y - _TEXT_RISE + sign * row * _TEXT_HEIGHT) for sign in (1, -1) for side in (left, right)
            ]
        for anchor, at, begin, base in places:
            base = max(base, _TOP)
            if begin >= _LEFT and begin + width <= self.width and base <= self.height - _BOTTOM:
                yield anchor, at, base, (begin, base - _TEXT_HEIGHT + 3, begin + width, base + 2)
        yield (*left[:2], max(y - _TEXT_RISE, _TOP), (0.0, 0.0, 0.0, 0.0))  # a text wider than the chart


def _overlap(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
