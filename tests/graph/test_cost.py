import pytest

from archsearch.graph.cost import count_multiply_adds, count_parameters, needs_input_projection
from archsearch.graph.structure import Node, Structure

TANH_NODES = {
    "a": Node("linear", ("x",)),
    "b": Node("linear", ("h",), bias=False),
    "sum": Node("add", ("a", "b")),
    "new": Node("tanh", ("sum",)),
}
TANH = Structure(("h",), TANH_NODES, {"h": "new"})


def test_tanh_cell_counts_two_matrices_and_a_bias():
    assert count_parameters(TANH, 3, 5) == 5 * 3 + 5 * 5 + 5
    assert count_multiply_adds(TANH, 3, 5) == 5 * 3 + 5 * 5 + 5 + 2 * 5


@pytest.mark.parametrize(
    ("extra", "new_state"),
    [
        (Node("add", ("sum", "x")), "extra"),
        (Node("tanh", ("x",)), "extra"),
        (Node("mul", ("x", "x")), "extra"),
        (Node("tanh", ("sum",)), "x"),
    ],
)
def test_bare_x_costs_one_projection_where_the_widths_differ(extra, new_state):
    cell = Structure(("h", "c"), {**TANH_NODES, "extra": extra}, {"h": "new", "c": new_state})
    assert needs_input_projection(cell, 3, 5)
    assert count_parameters(cell, 3, 5) == count_parameters(TANH, 3, 5) + 5 * 3
    assert count_multiply_adds(cell, 3, 5) == count_multiply_adds(TANH, 3, 5) + 5 * 3 + 5
    assert not needs_input_projection(cell, 5, 5)
    assert count_parameters(cell, 5, 5) == count_parameters(TANH, 5, 5)
    assert count_multiply_adds(cell, 5, 5) == count_multiply_adds(TANH, 5, 5) + 5


def test_a_matrix_on_a_value_computed_from_x_is_square():
    nodes = {"t": Node("tanh", ("x",)), "m": Node("linear", ("t",), bias=False), "new": Node("add", ("m", "h"))}
    cell = Structure(("h",), nodes, {"h": "new"})
    assert count_parameters(cell, 3, 5) == 5 * 3 + 5 * 5


def test_a_shared_matrix_counts_once():
    shared = {"a": Node("linear", ("h",), bias=False), "s": Node("mul", ("a", "a")), "new": Node("add", ("s", "x"))}
    assert count_parameters(Structure(("h",), shared, {"h": "new"}), 5, 5) == 25
