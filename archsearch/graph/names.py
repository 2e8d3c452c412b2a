"""Which names the printed equations of a cell give, and values paired across spellings."""

from archsearch.graph.equations import parse_equations
from archsearch.graph.formatting import format_equations
from archsearch.graph.structure import Structure


def printed_names(structure: Structure) -> dict[str, str]:
    """Returns for each node the name that it has once its equations are read: where a line defines it, that name.

    A cell with an `affine` that changes nothing, which equations do not write, keeps its own names.
    """
    pairs = paired_values(structure, parse_equations(format_equations(structure)))
    return dict(zip(structure.nodes, structure.nodes, strict=True)) if pairs is None else pairs


def paired_values(one: Structure, two: Structure) -> dict[str, str] | None:
    """Pairs the nodes of two structures that are written the same way but for the names.

    Returns:
        For each node of the first that a new state depends on, the node of the second; None if anything but names of
        nodes and of weights differs, be it the order of two factors.
    """
    if one.states != two.states:
        return None
    pairs: dict[str, str] = {}
    stack = [(one.new_states[state], two.new_states[state]) for state in one.states]
    while stack:
        name, other = stack.pop()
        if name not in one.nodes or other not in two.nodes:
            if name != other:
                return None
        elif name not in pairs:
            node, partner = one.nodes[name], two.nodes[other]
            if what_is_computed(one, name) != what_is_computed(two, other):
                return None
            pairs[name] = other
            stack += zip(node.operands, partner.operands, strict=True)
        elif pairs[name] != other:
            return None
    return pairs if len(set(pairs.values())) == len(pairs) else None


def what_is_computed(structure: Structure, name: str) -> tuple[object, ...]:
    """Returns the primitive of a node and what is fixed with it, but neither its operands nor names of weights."""
    node = structure.nodes[name]
    attributes = node.attributes()
    return node.primitive, *(value for key, value in attributes.items() if key != "weights")
