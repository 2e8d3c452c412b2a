"""The searched object."""

import pickle
import random

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_cells import random_structure

from archsearch.errors import InvalidGraphError
from archsearch.graph.catalog import zoo_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.structure import Node


@pytest.fixture
def gru() -> CellGraph:
    return zoo_cell("gru")


def test_graph_is_laid_out_as_described(gru):
    graph = gru.graph
    assert graph.nodes["x"] == {"kind": "input"}
    assert graph.nodes["h"] == {"kind": "state", "index": 0}
    assert graph.nodes["h'"] == {"kind": "new_state"}
    assert graph.nodes["z"] == {"kind": "primitive", "primitive": "sigmoid"}
    assert graph.nodes["linear_2"] == {
        "kind": "primitive",
        "primitive": "linear",
        "diagonal": 0.0,
        "bias": 0,
        "bias_init": 0.0,
        "weights": "reset_2",
    }
    assert list(graph.in_edges("sub_1", keys=True)) == [("h", "sub_1", 0), ("n", "sub_1", 1)]


def test_graph_is_frozen_and_the_given_one_is_left_alone(gru):
    with pytest.raises(nx.NetworkXError):
        gru.graph.add_node("y")
    mine = gru.structure.to_networkx()
    cell = CellGraph(mine)
    mine.remove_node("z")
    assert cell == gru


def test_mappings_cannot_be_changed(gru):
    with pytest.raises(TypeError):
        gru.nodes["z"] = Node("tanh", ("x",))
    with pytest.raises(TypeError):
        gru.new_states["h"] = "z"


def test_a_value_may_be_used_twice_by_one_node():
    cell = CellGraph.from_equations("h' = x * x - h")
    assert sorted(cell.graph.edges("x", keys=True)) == [("x", "mul_1", 0), ("x", "mul_1", 1)]
    assert cell.nodes["mul_1"].operands == ("x", "x")


def test_all_violations_are_carried(gru):
    graph = gru.structure.to_networkx()
    graph.nodes["z"]["primitive"] = "sigm"
    graph.nodes["linear_1"]["bias"] = 2
    with pytest.raises(InvalidGraphError) as caught:
        CellGraph(graph)
    assert len(caught.value.violations) == 2
    assert str(caught.value) == "\n".join(caught.value.violations)


def test_equality_and_hash_follow_the_graph_and_not_the_order_of_its_nodes(gru):
    graph = gru.structure.to_networkx()
    shuffled = nx.MultiDiGraph()
    for name in reversed(list(graph)):
        shuffled.add_node(name, **graph.nodes[name])
    shuffled.add_edges_from(reversed([(*edge, {}) for edge in graph.edges(keys=True)]))
    again = CellGraph(shuffled)
    assert again == gru
    assert hash(again) == hash(gru)
    assert gru != CellGraph.from_equations(gru.equations().replace("h - n", "n - h"))
    assert gru != gru.structure


@given(st.integers(0, 10**9), st.integers(1, 30), st.integers(1, 3))
def test_every_form_reads_back(seed, num_nodes, num_states):
    cell = CellGraph.from_structure(random_structure(random.Random(seed), num_nodes, num_states))
    assert CellGraph(cell.graph) == cell
    assert CellGraph.from_json(cell.to_json()) == cell
    assert CellGraph.from_equations(cell.equations()).states == cell.states
    assert pickle.loads(pickle.dumps(cell)) == cell  # noqa: S301 - our own bytes  # noqa: S301 - our own bytes


def test_digest_ignores_names_and_sees_slots(gru):
    text = "a = sigmoid(linear(x, h))\nb = sigmoid(linear(x, h))\nm = tanh(linear(x, b * h))\nh' = m + a * (h - m)"
    renamed = CellGraph.from_equations(text)
    assert renamed.digest == gru.digest
    assert renamed != gru
    assert CellGraph.from_equations(text.replace("h - m", "m - h")).digest != gru.digest
    respelt = CellGraph.from_equations(text.replace("m + a * (h - m)", "a * h + (m - m * a)"))
    assert respelt.canonical() == renamed.canonical()


def test_repr_names_the_cell(gru):
    assert repr(gru) == f"CellGraph({gru.digest}, 16 nodes, states h)"


def test_canonical_graphs_are_equal_for_equal_digests_whatever_the_weights_are_called():
    named = CellGraph.from_equations("h' = tanh(linear(x, h, name=new))")
    plain = CellGraph.from_equations("h' = tanh(linear(h) + linear(x, bias=no))")
    assert named.digest == plain.digest
    assert named.canonical() == plain.canonical()
    assert named.canonical().canonical() == named.canonical()


def test_a_canonical_form_too_large_for_a_cell_is_named():
    powers = [
        f"b{i} = 1001 * x + 999 * h + 777 * tanh(x) + {i}01 * tanh(h)\np{i} = b{i} * b{i} * b{i} * b{i} * b{i} * b{i}"
        for i in range(1, 10)
    ]
    total = " + ".join(f"tanh(p{i})" for i in range(1, 10))
    cell = CellGraph.from_equations("\n".join([*powers, f"h' = {total}"]))
    with pytest.raises(InvalidGraphError, match=rf"^cell {cell.digest}: its canonical form has [\d,]+ nodes.*2,000"):
        cell.canonical()
