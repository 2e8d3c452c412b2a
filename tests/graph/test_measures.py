"""Depth, matrices and what depends on the input alone."""

import random

from hypothesis import given
from hypothesis import strategies as st
from shared_cells import random_structure

from archsearch.graph.catalog import zoo_cell
from archsearch.graph.equations import parse_equations
from archsearch.graph.measures import (
    count_matrices,
    depth_in_matrices,
    depth_in_nodes,
    expressions_of_input_alone,
    of_input_alone,
    unread_states,
)
from archsearch.graph.structure import Structure

GRU = zoo_cell("gru").structure


def longest_path(structure: Structure, primitives: set[str], value: str) -> int:
    """Walks every path back from a value."""
    node = structure.nodes.get(value)
    if node is None:
        return 0
    return max(longest_path(structure, primitives, o) for o in node.operands) + (node.primitive in primitives)


@given(st.integers(0, 10**9), st.integers(1, 14), st.integers(1, 3))
def test_depth_is_the_longest_of_all_paths(seed, num_nodes, num_states):
    structure = random_structure(random.Random(seed), num_nodes, num_states)
    primitives = {node.primitive for node in structure.nodes.values()}
    for measure, counted in ((depth_in_nodes, primitives), (depth_in_matrices, {"linear"})):
        assert measure(structure) == max(longest_path(structure, counted, v) for v in structure.new_states.values())


def test_gru():
    assert count_matrices(GRU) == 6
    # linear, +, sigmoid, *, linear, +, tanh, -, *, +
    assert depth_in_nodes(GRU) == 10
    assert depth_in_matrices(GRU) == 2
    assert of_input_alone(GRU) == ("linear_1", "linear_3", "linear_5")
    assert unread_states(GRU) == ()


def test_a_cell_without_nodes():
    structure = parse_equations("h' = x")
    assert (count_matrices(structure), depth_in_nodes(structure), depth_in_matrices(structure)) == (0, 0, 0)
    assert of_input_alone(structure) == ()
    assert unread_states(structure) == ("h",)


def test_a_state_that_another_one_becomes_is_read():
    assert unread_states(parse_equations("h' = linear(x, c)\nc' = h")) == ()
    assert unread_states(parse_equations("h' = linear(x, h)\nc' = h'")) == ("c",)


def test_what_depends_on_x_alone_is_said_as_equations_say_it():
    assert expressions_of_input_alone(GRU) == {"linear(x)": 3}
    assert expressions_of_input_alone(zoo_cell("mut1").structure) == {"z": 1, "linear(x)": 1, "tanh(x)": 1}
    deep = parse_equations("h' = sigmoid(tanh(x) * x) * h\nc' = relu(x)")
    assert expressions_of_input_alone(deep) == {"sigmoid(tanh(x) * x)": 1, "relu(x)": 1}
    assert expressions_of_input_alone(zoo_cell("mut1").canonical().structure)["g1"] == 1
    assert expressions_of_input_alone(parse_equations("h' = h * linear(h)")) == {}
