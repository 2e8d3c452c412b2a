r"""A cell as LaTeX: its equations with matrices, gates and time steps in the field's letters.

`W` multiplies the input, `U` a state or another value, `w` is the vector of a peephole, `b` a bias.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.number_text import number_text
from archsearch.graph.source_text import Token, tokenize
from archsearch.graph.structure import INPUT

_FUNCTIONS = {
    "tanh": r"\tanh",
    "sigmoid": r"\sigma",
    "relu": r"\operatorname{ReLU}",
    "leaky_relu": r"\operatorname{LeakyReLU}",
}
_SUM, _PRODUCT, _ATOM = 1, 2, 3
_LETTER_AND_NUMBER = re.compile(r"([A-Za-z])([0-9]+)")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of a formula and how tightly it binds."""

    text: str
    binding: int
    is_number: bool = False

    def inside(self, binding: int) -> str:
        """Returns the text, in parentheses where it binds less tightly than what stands beside it."""
        return self.text if self.binding >= binding else f"({self.text})"


def to_latex(cell: CellGraph) -> str:
    r"""Returns an `align*` block (package amsmath) with a line for each equation of the cell.

    Comments name the cell's digest and what weights start with. A `linear` with a name gives it to its letters as
    subscript, any other one has the name of the value that it stands in, and a number if it is not the first there.
    """
    return _Writer(cell).write()


class _Writer:
    def __init__(self, cell: CellGraph) -> None:
        self._cell = cell
        lines = [tokenize(line) for line in cell.equations().splitlines()]
        self._equations = [tokens for tokens in lines if tokens[1].text == "="]  # not the order of the states
        self._symbols = {INPUT: _symbol(INPUT, "t")}
        for state in cell.states:
            self._symbols |= {state: _symbol(state, "t-1"), f"{state}'": _symbol(state, "t")}
        for tokens in self._equations:
            self._symbols.setdefault(tokens[0].text, _symbol(tokens[0].text, "t"))
        self._taken = set(self._symbols.values())
        self._comments = [f"% cell {cell.digest}"]

    def write(self) -> str:
        lines = []
        for tokens in self._equations:
            right = _Reader(tokens[2:], self, tokens[0].text.removesuffix("'")).read()
            lines.append(f"  {self.symbol(tokens[0].text)} &= {right}")
        block = " \\\\\n".join(lines)
        return "\n".join([*self._comments, r"\begin{align*}", block, r"\end{align*}"]) + "\n"

    def symbol(self, name: str) -> str:
        """Returns what stands for the input, a state or a value."""
        return self._symbols[name]

    def weight(self, letter: str, name: str) -> str:
        """Returns a new symbol for a matrix or vector."""
        subscript = _base(name)
        symbol, number = f"{letter}_{{{subscript}}}", 1
        while symbol in self._taken:
            number += 1
            symbol = f"{letter}_{{{subscript},{number}}}"
        self._taken.add(symbol)
        return symbol

    def comment(self, text: str) -> None:
        """Adds a line to what stands above the formulas."""
        self._comments.append(f"% {text}")


class _Reader:
    """Reads the right side of one equation into a formula. It is text of our own, hence without mistakes."""

    def __init__(self, tokens: Sequence[Token], writer: _Writer, name: str) -> None:
        self._tokens = tokens
        self._position = 0
        self._writer = writer
        self._name = name

    def read(self) -> str:
        return self._sum().text

    @property
    def _next(self) -> str:
        return self._tokens[self._position].text

    def _take(self) -> Token:
        self._position += 1
        return self._tokens[self._position - 1]

    def _sum(self) -> _Piece:
        total = self._product()
        while self._next in ("+", "-"):
            sign = self._take().text
            term = self._product()
            right = term.inside(_PRODUCT) if sign == "-" or term.text.startswith("-") else term.text
            total = _Piece(f"{total.text} {sign} {right}", _SUM)
        return total

    def _product(self) -> _Piece:
        if self._next == "-":
            self._take()
            return _Piece(f"-{self._product().inside(_PRODUCT)}", _SUM)
        total = self._factor()
        while self._next == "*":
            self._take()
            total = _multiply(total, self._factor())
        return total

    def _factor(self) -> _Piece:
        token = self._take()
        if token.text == "-":
            return _Piece(f"-{self._factor().inside(_PRODUCT)}", _SUM)
        if token.text == "(":
            inner = self._sum()
            self._take()
            return inner
        if token.kind == "number":
            return _Piece(_number(float(token.text)), _ATOM, is_number=True)
        if self._next == "(":
            return self._call(token.text)
        return _Piece(self._writer.symbol(token.text), _ATOM)

    def _call(self, function: str) -> _Piece:
        arguments: list[tuple[_Piece, bool]] = []
        keywords: dict[str, str] = {}
        while self._take().text != ")":  # takes the opening parenthesis, then each comma
            if self._tokens[self._position + 1].text == "=":
                key = self._take().text
                self._take()
                value = self._take().text
                keywords[key] = value + self._take().text if value in ("+", "-") else value
            else:
                is_input = self._next == INPUT and self._tokens[self._position + 1].text in (",", ")")
                arguments.append((self._sum(), is_input))
        if function == "linear":
            return self._linear(arguments, keywords)
        [(argument, _)] = arguments
        if function == "peephole":
            weight = self._writer.weight("w", keywords.get("name", self._name))
            self._comment_start(weight, keywords.get("diagonal"), "is added to")
            return _Piece(f"{weight} \\odot {argument.inside(_PRODUCT)}", _PRODUCT)
        return _Piece(f"{_FUNCTIONS[function]}({argument.text})", _ATOM)

    def _linear(self, arguments: Sequence[tuple[_Piece, bool]], keywords: dict[str, str]) -> _Piece:
        name = keywords.get("name", self._name)
        terms = []
        for argument, is_input in arguments:
            weight = self._writer.weight("W" if is_input else "U", name)
            self._comment_start(weight, keywords.get("diagonal"), "is added to the diagonal of")
            terms.append(f"{weight} {argument.inside(_ATOM)}")
        if keywords.get("bias") != "no":
            bias = self._writer.weight("b", name)
            self._comment_start(bias, keywords.get("bias_init"), "is the value of")
            terms.append(bias)
        return _Piece(" + ".join(terms), _SUM if len(terms) > 1 else _PRODUCT)

    def _comment_start(self, weight: str, number: str | None, what: str) -> None:
        if number is not None:
            self._writer.comment(f"before training, {number} {what} {weight}")


def _multiply(left: _Piece, right: _Piece) -> _Piece:
    second = right.inside(_PRODUCT)
    beside_number = r" \cdot " if second[0].isdigit() else r"\,"
    sign = beside_number if left.is_number else r" \odot "
    text = left.inside(_PRODUCT) + sign + second
    return _Piece(text, _PRODUCT, is_number=left.is_number and right.is_number)


def _symbol(name: str, time: str) -> str:
    numbered = _LETTER_AND_NUMBER.fullmatch(name)
    return f"{numbered[1]}_{{{numbered[2]},{time}}}" if numbered else f"{_base(name)}_{{{time}}}"


def _base(name: str) -> str:
    """Returns a letter, a letter with a number, or else the whole name upright, as it is no product of letters."""
    if len(name) == 1 and name != "_":
        return name
    numbered = _LETTER_AND_NUMBER.fullmatch(name)
    return f"{numbered[1]}_{{{numbered[2]}}}" if numbered else _upright(name)


def _upright(name: str) -> str:
    escaped = name.replace("_", r"\_")
    return rf"\mathrm{{{escaped}}}"


def _number(value: float) -> str:
    mantissa, _, exponent = number_text(value).partition("e")
    return rf"({mantissa} \cdot 10^{{{int(exponent)}}})" if exponent else mantissa
