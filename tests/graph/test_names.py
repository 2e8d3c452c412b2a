"""Names that a person gave, names that equations print, and values paired across spellings."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_cells import random_structure

from archsearch.graph.catalog import zoo_cell
from archsearch.graph.equations import parse_equations
from archsearch.graph.formatting import format_equations
from archsearch.graph.given_names import is_given
from archsearch.graph.names import paired_values, printed_names
from archsearch.graph.structure import Node, Structure


@pytest.mark.parametrize("name", ["z", "g1", "reset", "n0", "linear_gate", "tanh2x", "tanh_", "linear_1_2"])
def test_given(name):
    assert is_given(name)


@pytest.mark.parametrize("name", ["linear_1", "tanh_20", "add3", "leaky_relu_1", "tanh"])
def test_not_given(name):
    assert not is_given(name)


def test_a_value_named_as_its_primitive_gets_no_line():
    """No equation can define `tanh`, so a structure with such a node, which code can make, is printed without it."""
    structure = Structure(("h",), {"tanh": Node("tanh", ("x",)), "b": Node("add", ("tanh", "h"))}, {"h": "b"})
    printed = format_equations(structure)
    assert printed == "h' = tanh(x) + h\n"
    assert paired_values(structure, parse_equations(printed)) is not None


def test_canonical_cells_have_the_names_of_their_lines():
    names = printed_names(zoo_cell("gru").canonical().structure)
    gates = {name: printed for name, printed in names.items() if printed.startswith("g")}
    assert gates == {"sigmoid_1": "g1", "sigmoid_2": "g2", "tanh_1": "g3"}


@given(st.integers(0, 10**9), st.integers(1, 25), st.integers(1, 3))
def test_every_node_has_a_printed_name_that_computes_the_same(seed, num_nodes, num_states):
    structure = random_structure(random.Random(seed), num_nodes, num_states)
    names = printed_names(structure)
    printed = parse_equations(format_equations(structure))
    assert names.keys() == structure.nodes.keys()
    assert {*names.values()} == printed.nodes.keys()
    for name, node in structure.nodes.items():
        other = printed.nodes[names[name]]
        assert (node.primitive, node.diagonal, node.bias) == (other.primitive, other.diagonal, other.bias)
        assert tuple(names.get(operand, operand) for operand in node.operands) == other.operands


def test_a_cell_that_equations_write_with_fewer_nodes_keeps_its_names():
    nodes = {"a": Node("affine", ("x",)), "b": Node("mul", ("a", "h"))}
    assert printed_names(Structure(("h",), nodes, {"h": "b"})) == {"a": "a", "b": "b"}


GATED = "z = sigmoid(linear(x, h))\nh' = z * h"


@pytest.mark.parametrize(
    ("other", "pairs"),
    [
        ("gate = sigmoid(linear(x, h))\nh' = gate * h", {"z": "gate"}),
        ("z = sigmoid(linear(x, h, name=gate))\nh' = z * h", {"z": "z"}),
        ("z = sigmoid(linear(x, h))\nh' = h * z", None),
        ("z = tanh(linear(x, h))\nh' = z * h", None),
        ("z = sigmoid(linear(x, h, bias=no))\nh' = z * h", None),
        ("z = sigmoid(linear(x, h))\nh' = z * h\nc' = x", None),
        ("h' = sigmoid(linear(x, h)) * sigmoid(linear(x, h))", None),
    ],
)
def test_pairs(other, pairs):
    found = paired_values(parse_equations(GATED), parse_equations(other))
    assert (found is None) == (pairs is None)
    assert pairs is None or (found is not None and {name: found[name] for name in pairs} == pairs)


def test_a_value_used_twice_is_no_two_values():
    once = parse_equations("a = linear(h)\nh' = a * a")
    twice = parse_equations("h' = linear(h) * linear(h)")
    assert paired_values(once, twice) is None
    assert paired_values(twice, once) is None
