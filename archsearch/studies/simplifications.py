"""Simpler cells: each node of a cell taken out, or made less, one at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from archsearch.errors import InvalidGraphError
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.given_names import is_given
from archsearch.graph.measures import unread_states
from archsearch.graph.names import printed_names
from archsearch.graph.number_text import affine_text
from archsearch.graph.primitives import PRIMITIVES
from archsearch.graph.structure import OUTPUT_STATE, Structure
from archsearch.mutation.dataflow import output_uses_input_and_state, with_node, with_users_moved

MAX_TEXT = 48
_SIGNS = {"add": "+", "sub": "-", "mul": "*"}


@dataclass(frozen=True)
class Simplification:
    """A cell with one thing less.

    Attributes:
        change: What is less, in the words of the cell's equations.
        graph: The canonical graph of what is left.
    """

    change: str
    graph: CellGraph


def simplify(cell: CellGraph) -> tuple[Simplification, ...]:
    """Returns the cells with one thing less, each once, in the order of the nodes.

    A node gives way to each of its operands, which takes an activation, a matrix, a gate or a term away; or it loses
    its bias or its diagonal. A state that nothing reads any longer goes, too. What breaks a rule of cells, or
    whose output no longer depends on the input and on an old state, is left out.
    """
    found: dict[str, Simplification] = {}
    for change, structure in _changes(cell.structure):
        kept = _without_unread_states(structure)
        if not output_uses_input_and_state(kept):
            continue
        try:
            graph = CellGraph.from_structure(kept).canonical()
        except InvalidGraphError:
            continue
        if graph.digest != cell.digest and output_uses_input_and_state(graph.structure):
            found.setdefault(graph.digest, Simplification(change, graph))
    return tuple(found.values())


def _changes(structure: Structure) -> Iterator[tuple[str, Structure]]:
    words = _Words(structure)
    for name, node in structure.nodes.items():
        text = words.computed(name)
        place = words.place(name)
        for operand in dict.fromkeys(node.operands):
            yield f"{text} → {words.read(operand)}{place}", with_users_moved(structure, name, operand)
        if node.primitive == "linear" and node.bias:
            unbiased = replace(node, bias=False, bias_init=0.0)
            yield f"{text} without bias{place}", with_node(structure, name, unbiased)
        if node.primitive in {"linear", "peephole"} and node.diagonal:
            yield f"{text} without diagonal{place}", with_node(structure, name, replace(node, diagonal=0.0))


def _without_unread_states(structure: Structure) -> Structure:
    """Drops states that nothing reads, but for the output, and what only they are computed for."""
    while gone := set(unread_states(structure)) - {OUTPUT_STATE}:
        states = tuple(state for state in structure.states if state not in gone)
        smaller = Structure(states, structure.nodes, {state: structure.new_states[state] for state in states})
        name, node = next(iter(smaller.nodes.items()), (None, None))
        structure = with_node(smaller, name, node) if name and node else smaller  # which drops what is not reached
    return structure


class _Words:
    """What to call the values of a cell: by the names of its equations, or as they are computed.

    Args:
        structure: The cell.
    """

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        new_states = {value: f"{state}'" for state, value in structure.new_states.items() if value in structure.nodes}
        self._names = {name: said for name, said in printed_names(structure).items() if is_given(said)} | new_states

    def computed(self, name: str) -> str:
        """Returns how a value is computed; inside it, values with a name stand by that."""
        node = self._structure.nodes[name]
        operands = [self.read(operand) for operand in node.operands]
        if node.primitive in _SIGNS:
            text = f" {_SIGNS[node.primitive]} ".join(
                operand if self._is_tight(each) else f"({operand})"
                for operand, each in zip(operands, node.operands, strict=True)
            )
        elif PRIMITIVES[node.primitive].kind == "affine":
            operand = operands[0] if self._is_tight(node.operands[0]) else f"({operands[0]})"
            text, _ = affine_text(node.scale, node.shift, lambda _: operand)
        else:
            text = f"{node.primitive}({operands[0]})"
        return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"

    def read(self, name: str) -> str:
        """Returns a value's name if it has one, else how it is computed."""
        if name not in self._structure.nodes:
            return name
        return self._names.get(name) or self.computed(name)

    def place(self, name: str) -> str:
        """Returns in which named value a value stands."""
        while name not in self._names:
            name = next(user for user, node in self._structure.nodes.items() if name in node.operands)
        return f" in {self._names[name]}"

    def _is_tight(self, name: str) -> bool:
        node = self._structure.nodes.get(name)
        return node is None or name in self._names or node.primitive not in {*_SIGNS, "affine"}
