"""A cell as equations, short enough to read; `equations` reads them back into the same graph."""

from collections import Counter
from dataclasses import dataclass, replace

from archsearch.graph.given_names import is_given
from archsearch.graph.number_text import ATOM, PRODUCT, SUM, affine_text, number_text
from archsearch.graph.primitives import PRIMITIVES
from archsearch.graph.structure import INPUT, OUTPUT_STATE, Node, Structure

MAX_INLINE = 60  # characters of an expression that still stands inside another
MAX_DEPTH = 5

_SYMBOLS = {"add": (" + ", SUM), "sub": (" - ", SUM), "mul": (" * ", PRODUCT)}


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of an equation: its text, how tightly that binds (1 sum, 2 product, 3 atom), how deep it is.

    `matrices` holds the nodes of a `linear(…)` and `arguments` the texts of their operands; empty for all else.
    """

    text: str
    binding: int
    depth: int
    matrices: tuple[Node, ...] = ()
    arguments: tuple[str, ...] = ()


def format_equations(structure: Structure) -> str:
    """Returns the equations of a valid structure, one line per named value.

    A value gets a line if it is used twice, has a name that a person gave it, or would make its user's line too long.
    """
    return _Formatter(structure).lines()


class _Formatter:
    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self._uses = Counter(operand for node in structure.nodes.values() for operand in node.operands)
        self._uses.update(structure.new_states.values())
        # a node that is the next value of a state is written on that state's line, and read with a prime
        self._primed = {structure.new_states[state]: state for state in reversed(structure.states)}
        self._taken = {INPUT, *structure.states, *structure.nodes}
        # reading folds the numbers of one expression into one node; two nodes need two lines
        affines = {name: node for name, node in structure.nodes.items() if node.primitive == "affine"}
        self._folded = affines.keys() & {node.operands[0] for node in affines.values()}
        self._pieces = {name: _Piece(name, ATOM, 0) for name in (INPUT, *structure.states)}
        self._lines: list[str] = []
        self._defined: list[str] = []

    def lines(self) -> str:
        # the order of the nodes, where it is possible, is the order in which the author wrote the lines
        for name in self._structure.nodes:
            self._write_value(name)
        for state in self._structure.states:
            value = self._structure.new_states[state]
            if self._pieces[value].text != f"{state}'":
                self._define_state(state, self._pieces[value].text)
        if self._structure.states != tuple(sorted(self._defined, key=lambda state: state != OUTPUT_STATE)):
            self._lines.append(f"states: {', '.join(self._structure.states)}")
        return "\n".join(self._lines) + "\n"

    def _define_state(self, state: str, text: str) -> None:
        self._lines.append(f"{state}' = {text}")
        self._defined.append(state)

    def _write_value(self, value: str) -> None:
        """Makes the piece of a value and of all it depends on, operands first, without recursion."""
        stack = [value]
        while stack:
            name = stack[-1]
            if name in self._pieces:
                stack.pop()
                continue
            missing = [operand for operand in self._structure.nodes[name].operands if operand not in self._pieces]
            if missing:
                stack.extend(reversed(missing))
                continue
            stack.pop()
            self._pieces[name] = self._settle(name, self._piece(self._structure.nodes[name]))

    def _settle(self, name: str, piece: _Piece) -> _Piece:
        """Gives a value its own line where it needs one, and returns what its users write."""
        if is_given(name) and not (name in self._primed and self._uses[name] == 1):
            self._lines.append(f"{name} = {piece.text}")
            return _Piece(name, ATOM, 0)
        if name in self._primed:
            self._define_state(self._primed[name], piece.text)
            return _Piece(f"{self._primed[name]}'", ATOM, 0)
        if self._uses[name] > 1 or name in self._folded or _is_long(self._structure.nodes[name], piece):
            short = self._short_name()
            self._lines.append(f"{short} = {piece.text}")
            return _Piece(short, ATOM, 0)
        return piece

    def _short_name(self) -> str:
        number = 1
        while f"g{number}" in self._taken:
            number += 1
        self._taken.add(f"g{number}")
        return f"g{number}"

    def _piece(self, node: Node) -> _Piece:
        operands = [self._pieces[operand] for operand in node.operands]
        if node.primitive == "linear":
            return _linear((node,), (operands[0].text,), operands[0].depth + 1)
        if node.primitive == "peephole":
            return _Piece(f"peephole({', '.join([operands[0].text, *_keywords(node)])})", ATOM, operands[0].depth + 1)
        if node.primitive == "affine":
            return _affine(node, operands[0])
        if node.primitive not in _SYMBOLS:
            return _Piece(f"{node.primitive}({operands[0].text})", ATOM, operands[0].depth + 1)
        left, right = operands
        depth = max(left.depth, right.depth) + 1
        if node.primitive == "add" and _joins(left.matrices, right.matrices):
            return _linear(left.matrices + right.matrices, left.arguments + right.arguments, depth)
        symbol, binding = _SYMBOLS[node.primitive]
        # reading goes from left to right, so a right operand that binds no tighter needs its parentheses
        return _Piece(_enclosed(left, binding - 1) + symbol + _enclosed(right, binding), binding, depth)


def _is_long(node: Node, piece: _Piece) -> bool:
    """Returns whether an expression reads better on a line of its own, as a gate always does."""
    if node.primitive == "linear":
        return len(piece.text) > MAX_INLINE + 20  # kept in place, it may join a `linear(…)` with several operands
    is_gate = node.primitive not in (*_SYMBOLS, "affine") and "linear(" in piece.text
    return is_gate or len(piece.text) > MAX_INLINE or piece.depth > MAX_DEPTH


def _joins(left: tuple[Node, ...], right: tuple[Node, ...]) -> bool:
    """Returns whether `linear(…) + linear(b)` may be written as one `linear(…, b)`."""
    if not left or len(right) != 1 or right[0].bias or any(node.diagonal for node in left + right):
        return False
    names = [node.weights for node in left + right]
    if not any(names):
        return True
    base = names[0].removesuffix("_1")
    if not base or base in PRIMITIVES:  # linear_1 and linear_2: no name can be `linear`
        return False
    return names == [f"{base}_{number}" for number in range(1, len(names) + 1)]


def _linear(matrices: tuple[Node, ...], arguments: tuple[str, ...], depth: int) -> _Piece:
    first = matrices[0]
    weights = first.weights if len(matrices) == 1 else first.weights.removesuffix("_1")
    keywords = _keywords(replace(first, weights=weights))
    return _Piece(f"linear({', '.join([*arguments, *keywords])})", ATOM, depth, matrices, arguments)


def _keywords(node: Node) -> list[str]:
    keywords = []
    if node.diagonal:
        keywords.append(f"diagonal={number_text(node.diagonal)}")
    if node.primitive == "linear" and not node.bias:
        keywords.append("bias=no")
    if node.primitive == "linear" and node.bias_init:
        keywords.append(f"bias_init={number_text(node.bias_init)}")
    if node.weights:
        keywords.append(f"name={node.weights}")
    return keywords


def _affine(node: Node, operand: _Piece) -> _Piece:
    if (node.scale, node.shift) == (1.0, 0.0):
        return operand
    text, binding = affine_text(node.scale, node.shift, lambda least: _enclosed(operand, least - 1))
    return _Piece(text, binding, operand.depth + 1)


def _enclosed(piece: _Piece, binding: int) -> str:
    """Returns a piece in parentheses where it binds no tighter than its surroundings."""
    return f"({piece.text})" if piece.binding <= binding else piece.text
