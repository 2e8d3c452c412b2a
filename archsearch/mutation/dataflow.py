"""Questions about the dataflow of a structure, and the edits that transformations are made of.

All orders are fixed: `x`, the states, then the nodes in the structure's own order. A draw from them depends on the
generator alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from archsearch.graph.structure import INPUT, Node, Structure


def ancestors(structure: Structure, name: str) -> tuple[str, ...]:
    """Returns all that a value depends on within the step, `x` and states included, itself excluded."""
    found = _reachable(structure.nodes, (name,)) - {name}
    return tuple(value for value in (INPUT, *structure.states, *structure.nodes) if value in found)


def depends_on(structure: Structure, name: str, other: str) -> bool:
    """Tells whether a value is another or is computed from it."""
    return other in _reachable(structure.nodes, (name,))


def count_uses(structure: Structure, name: str) -> int:
    """Returns how many operand slots and new states a value fills; `x * x` uses `x` twice."""
    in_nodes = sum(node.operands.count(name) for node in structure.nodes.values())
    return in_nodes + sum(value == name for value in structure.new_states.values())


def output_uses_input_and_state(structure: Structure) -> bool:
    """Tells whether the new `h` is computed from `x` and from at least one old state, within one step.

    A difference of a value and itself depends on nothing: so a canonical graph writes zero.
    """
    nodes = {
        name: replace(node, operands=()) if node.primitive == "sub" and len(set(node.operands)) == 1 else node
        for name, node in structure.nodes.items()
    }
    found = _reachable(nodes, (structure.new_states["h"],))
    return INPUT in found and not found.isdisjoint(structure.states)


def with_node(structure: Structure, name: str, node: Node) -> Structure:
    """Returns the structure with a node added or changed; what is then reached by no new state is dropped."""
    return _reached(replace(structure, nodes={**structure.nodes, name: node}))


def with_users_moved(structure: Structure, old: str, new: str) -> Structure:
    """Returns the structure with every user of one value, new states included, reading another instead.

    What is then reached by no new state is dropped, the old value first of all.
    """
    nodes = {
        name: replace(node, operands=tuple(new if operand == old else operand for operand in node.operands))
        if old in node.operands
        else node
        for name, node in structure.nodes.items()
    }
    new_states = {state: new if value == old else value for state, value in structure.new_states.items()}
    return _reached(Structure(structure.states, nodes, new_states))


def unused_name(structure: Structure, stem: str) -> str:
    """Returns the first of `stem_1`, `stem_2`, ... that names nothing yet."""
    number = 1
    while f"{stem}_{number}" in structure.nodes or f"{stem}_{number}" in structure.states:
        number += 1
    return f"{stem}_{number}"


def _reached(structure: Structure) -> Structure:
    found = _reachable(structure.nodes, structure.new_states.values())
    nodes = {name: node for name, node in structure.nodes.items() if name in found}
    return replace(structure, nodes=nodes)


def _reachable(nodes: Mapping[str, Node], values: Iterable[str]) -> set[str]:
    """Returns the values and all that they depend on."""
    found = set(values)
    stack = list(found)
    while stack:
        node = nodes.get(stack.pop())
        if node is not None:
            new = set(node.operands) - found
            found |= new
            stack.extend(new)
    return found
