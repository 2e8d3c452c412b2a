"""What a cell costs at a given width: parameters, and multiply-adds per time step and sequence.

Widths: `H` hidden units, `I` input features. Where a `linear` reads `x` it has an `H x I` matrix; every other `linear`
has `H x H`. Every other use of `x` (by an elementwise node, an activation without weights, or as a new state) reads a
value that is `H` wide: `x` itself if `I = H`, else one input projection, `H x I` without a bias, shared by all of them.
"""

from archsearch.graph.structure import INPUT, Structure


def reads_bare_input(structure: Structure) -> bool:
    """Tells whether `x` is used other than by a `linear`, so that it must be as wide as the state."""
    return INPUT in structure.new_states.values() or any(
        INPUT in node.operands for node in structure.nodes.values() if node.primitive != "linear"
    )


def needs_input_projection(structure: Structure, input_size: int, hidden_size: int) -> bool:
    """Tells whether a layer of these widths adds an input projection."""
    return input_size != hidden_size and reads_bare_input(structure)


def count_parameters(structure: Structure, input_size: int, hidden_size: int) -> int:
    """Returns the number of weights of one layer: matrices, biases, peepholes and the input projection if any."""
    num_peepholes = sum(node.primitive == "peephole" for node in structure.nodes.values())
    vectors = hidden_size * (_num_biases(structure) + num_peepholes)
    return _num_matrix_entries(structure, input_size, hidden_size) + vectors


def count_multiply_adds(structure: Structure, input_size: int, hidden_size: int) -> int:
    """Returns the operations of one layer for one time step of one sequence.

    A matrix costs its entries, a bias and every node other than `linear` one operation per unit.
    """
    num_vectors = _num_biases(structure) + sum(node.primitive != "linear" for node in structure.nodes.values())
    return _num_matrix_entries(structure, input_size, hidden_size) + hidden_size * num_vectors


def _num_matrix_entries(structure: Structure, input_size: int, hidden_size: int) -> int:
    columns = sum(
        input_size if node.operands == (INPUT,) else hidden_size
        for node in structure.nodes.values()
        if node.primitive == "linear"
    )
    if needs_input_projection(structure, input_size, hidden_size):
        columns += input_size
    return hidden_size * columns


def _num_biases(structure: Structure) -> int:
    return sum(node.primitive == "linear" and node.bias for node in structure.nodes.values())
