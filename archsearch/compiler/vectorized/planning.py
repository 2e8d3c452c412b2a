"""How a layer's weights should lie in memory."""

from archsearch.compiler.program import CellProgram


def parameter_order(program: CellProgram) -> tuple[str, ...]:
    """Returns the names of a layer's tensors in the order in which they should lie in memory."""
    names: list[str] = []
    for spec in program.parameters:
        names.append(f"{spec.name}.weight")
        if spec.bias:
            names.append(f"{spec.name}.bias")
    return tuple(names)
