"""Which values of a cell are gates: they say how much of another value passes."""

from archsearch.graph.structure import Structure


def find_gates(structure: Structure) -> frozenset[str]:
    """Returns the sigmoids that are factors of a product, also as `1 - z`, and the products they are factors of."""
    gates: set[str] = set()
    for name, node in structure.nodes.items():
        if node.primitive != "mul":
            continue
        for operand in node.operands:
            factor = structure.nodes.get(operand)
            gate = factor.operands[0] if factor is not None and factor.primitive == "affine" else operand
            if gate in structure.nodes and structure.nodes[gate].primitive == "sigmoid":
                gates |= {gate, name}
    return frozenset(gates)
