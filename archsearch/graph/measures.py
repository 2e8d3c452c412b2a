"""What a cell looks like in numbers: how deep it is, what it reads, what depends on its input alone."""

from collections import Counter
from dataclasses import replace

import networkx as nx

from archsearch.graph.formatting import format_equations
from archsearch.graph.given_names import is_given
from archsearch.graph.names import printed_names
from archsearch.graph.structure import INPUT, OUTPUT_STATE, Structure


def count_matrices(structure: Structure) -> int:
    """Returns the number of matrices."""
    return sum(node.primitive == "linear" for node in structure.nodes.values())


def depth_in_nodes(structure: Structure) -> int:
    """Returns the number of nodes on the longest path through one time step."""
    return _longest_path(structure, set(structure.nodes))


def depth_in_matrices(structure: Structure) -> int:
    """Returns the number of matrices on the path through one time step that has most of them."""
    return _longest_path(structure, {name for name, node in structure.nodes.items() if node.primitive == "linear"})


def unread_states(structure: Structure) -> tuple[str, ...]:
    """Returns the states whose old value nothing reads."""
    read = {
        *structure.new_states.values(),
        *(operand for node in structure.nodes.values() for operand in node.operands),
    }
    return tuple(state for state in structure.states if state not in read)


def of_input_alone(structure: Structure) -> tuple[str, ...]:
    """Returns the nodes that depend on `x` and on no state."""
    return tuple(name for name in structure.nodes if structure.sources_of(name) == {INPUT})


def expressions_of_input_alone(structure: Structure) -> Counter[str]:
    """Returns, as equations write them, the values of `x` alone that other values or new states read, and how often."""
    alone = set(of_input_alone(structure))
    read = {operand for name, node in structure.nodes.items() if name not in alone for operand in node.operands}
    names = printed_names(structure)
    found = [name for name in structure.nodes if name in alone & {*read, *structure.new_states.values()}]
    return Counter(_expression(structure, name, names[name]) for name in found)


def _expression(structure: Structure, name: str, printed: str) -> str:
    """Returns a value's name if its equations give it one that is no machine's, else how it is computed."""
    if is_given(printed) and not printed.endswith("'"):
        return printed
    nodes = {key: replace(node, weights="") for key, node in structure.nodes.items()}
    # the value alone, as the next value of the only state; what it does not depend on is not written
    needed = nx.ancestors(structure.to_networkx(), name) | {name}
    own = {key: node for key, node in nodes.items() if key in needed}
    lines = format_equations(Structure((OUTPUT_STATE,), own, {OUTPUT_STATE: name})).splitlines()
    return lines[0].partition("= ")[2] if len(lines) == 1 else name


def _longest_path(structure: Structure, counted: set[str]) -> int:
    graph = structure.to_networkx()
    for _, user, attributes in graph.edges(data=True):
        attributes["weight"] = int(user in counted)
    return int(nx.dag_longest_path_length(graph, weight="weight"))
