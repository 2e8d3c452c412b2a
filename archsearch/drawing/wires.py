"""Layout of a cell as parallel wires: each value runs down its own column from where it is made to its last reader."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from archsearch.drawing.gates import find_gates
from archsearch.drawing.labels import SYMBOLS, affine_label
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.equations import parse_equations
from archsearch.graph.given_names import is_given
from archsearch.graph.names import printed_names
from archsearch.graph.number_text import number_text
from archsearch.graph.structure import INPUT, Node, Structure

Role = Literal["plain", "gate", "gated"]


@dataclass(frozen=True, slots=True)
class Row:
    """One computed value.

    Attributes:
        label: What is computed, in names: `v1 = tanh(x)`.
        reads: Columns of the operands.
        result: Column of the new value; None where a new state only repeats another value.
        running: Columns in use above this row.
        is_highlighted: Whether it is marked.
        role: `gate` for a value that says how much of another one passes, `gated` for the product of the two.
    """

    label: str
    reads: tuple[int, ...]
    result: int | None
    running: frozenset[int]
    is_highlighted: bool = False
    role: Role = "plain"


@dataclass(frozen=True, slots=True)
class Wiring:
    """All rows from top to bottom; `top` and `bottom` name the columns of `x`, the states and the new states."""

    top: dict[int, str]
    rows: tuple[Row, ...]
    bottom: dict[int, str]


def wire(cell: CellGraph, highlighted: Collection[str] = ()) -> Wiring:
    """Lays a cell out, with a mark at the rows of the highlighted nodes and new states (`h'`).

    A sum of matrices, `linear(x) + linear(h, bias=no)`, is one row. A value takes the column of an operand that ends
    where it begins, or else the leftmost that is free. Values have the names that the cell's equations give them.
    """
    names = printed_names(cell.structure)
    return _Wirer(parse_equations(cell.equations()), {names.get(name, name) for name in highlighted}).wiring()


class _Wirer:
    def __init__(self, structure: Structure, highlighted: Collection[str]) -> None:
        self._structure = structure
        self._highlighted = highlighted
        self._gates = find_gates(structure)
        self._sums, absorbed = _gather_matrices(structure)
        self._order = [name for name in _operands_first(structure) if name not in absorbed]
        self._left = Counter(operand for name in self._order for operand in self._reads(name))
        self._left.update(structure.new_states.values())
        self._columns: dict[str, int] = {name: column for column, name in enumerate((INPUT, *structure.states))}
        self._names = {name: name for name in self._columns}
        self._num_named = 0
        self._taken = {*structure.nodes, *structure.states}

    def wiring(self) -> Wiring:
        top = {column: name for name, column in self._columns.items()}
        rows = [*self._value_rows(), *self._repeated_states()]
        bottom = {self._columns[value]: name for value, name in self._names.items() if name.endswith("'")}
        return Wiring(top, tuple(rows), bottom)

    def _reads(self, name: str) -> tuple[str, ...]:
        nodes = self._structure.nodes
        if name in self._sums:
            return tuple(nodes[matrix].operands[0] for matrix in self._sums[name])
        return nodes[name].operands

    def _value_rows(self) -> Iterator[Row]:
        for name in [name for name in self._columns if not self._left[name]]:
            self._columns.pop(name)  # a state that nothing reads has no wire
        for name in self._order:
            operands = self._reads(name)
            running = frozenset(self._columns.values())
            reads = tuple(sorted({self._columns[operand] for operand in operands}))
            self._left.subtract(operands)
            ended = sorted(self._columns.pop(operand) for operand in set(operands) if not self._left[operand])
            free = (column for column in range(len(running) + 1) if column not in running)
            result = ended[0] if ended else next(free)
            label = self._label(name)
            self._columns[name] = result
            yield Row(label, reads, result, running, self._is_highlighted(name), self._role(name))

    def _repeated_states(self) -> Iterator[Row]:
        """Yields a row for each new state whose value is `x`, an old state or another new state."""
        for state in self._structure.states:
            value = self._structure.new_states[state]
            if self._names[value] != f"{state}'":
                column = self._columns[value]
                text, running = f"{state}' = {self._names[value]}", frozenset(self._columns.values())
                yield Row(text, (column,), None, running, f"{state}'" in self._highlighted)

    def _is_highlighted(self, name: str) -> bool:
        """Tells whether what a row computes is marked: a node, the matrices in its sum, a new state it stands for."""
        return not {name, self._names[name], *self._sums.get(name, ())}.isdisjoint(self._highlighted)

    def _role(self, name: str) -> Role:
        if name not in self._gates:
            return "plain"
        return "gated" if self._structure.nodes[name].primitive == "mul" else "gate"

    def _label(self, name: str) -> str:
        node = self._structure.nodes[name]
        operands = [self._names[operand] for operand in self._reads(name)]
        if name in self._sums:
            text = _linear_text(self._structure.nodes[self._sums[name][0]], operands)
        elif node.primitive == "linear":
            text = _linear_text(node, operands)
        elif node.primitive in SYMBOLS:
            text = f"{operands[0]} {SYMBOLS[node.primitive]} {operands[1]}"
        elif node.primitive == "affine":
            text = affine_label(node, operands[0])
        elif node.primitive == "peephole":
            text = f"peephole({operands[0]}{f', diagonal={number_text(node.diagonal)}' if node.diagonal else ''})"
        else:
            text = f"{node.primitive}({operands[0]})"
        self._names[name] = self._name(name)
        return f"{self._names[name]} = {text}"

    def _name(self, name: str) -> str:
        """Returns the name that a value has in the drawing: of its new state, its own, or a short one."""
        for state in self._structure.states:
            if self._structure.new_states[state] == name:
                return f"{state}'"
        if is_given(name):
            return name
        while True:
            self._num_named += 1
            if f"v{self._num_named}" not in self._taken:
                return f"v{self._num_named}"


def _linear_text(first: Node, operands: list[str]) -> str:
    keywords = []
    if first.diagonal:
        keywords.append(f"diagonal={number_text(first.diagonal)}")
    if not first.bias:
        keywords.append("bias=no")
    if first.bias_init:
        keywords.append(f"bias_init={number_text(first.bias_init)}")
    return f"linear({', '.join([*operands, *keywords])})"


def _gather_matrices(structure: Structure) -> tuple[dict[str, tuple[str, ...]], set[str]]:
    """Finds the sums of matrices that one `linear(a, b)` can write.

    Returns:
        For each such sum the nodes of its matrices, and all nodes that therefore need no row.
    """
    uses = Counter(operand for node in structure.nodes.values() for operand in node.operands)
    uses.update(structure.new_states.values())
    sums: dict[str, tuple[str, ...]] = {}
    absorbed: set[str] = set()
    for name in _operands_first(structure):
        node = structure.nodes[name]
        if node.primitive != "add" or any(uses[operand] > 1 for operand in node.operands):
            continue
        left, right = node.operands
        matrices = (*sums.get(left, (left,)), right)
        found = [structure.nodes[matrix] for matrix in matrices if matrix in structure.nodes]
        all_plain = all(matrix.primitive == "linear" and not matrix.diagonal for matrix in found)
        if len(found) == len(matrices) and all_plain and not found[-1].bias:
            sums.pop(left, None)
            sums[name] = matrices
            absorbed.update((left, right))
    return sums, absorbed


def _operands_first(structure: Structure) -> list[str]:
    """Returns the nodes that new states depend on, each behind its operands and close to its first reader."""
    order: dict[str, None] = {}
    stack = [structure.new_states[state] for state in reversed(structure.states)]
    while stack:
        name = stack[-1]
        node = structure.nodes.get(name)
        missing = [o for o in node.operands if o in structure.nodes and o not in order] if node else []
        if missing:
            stack.extend(reversed(missing))
            continue
        stack.pop()
        if node:
            order[name] = None
    return list(order)
