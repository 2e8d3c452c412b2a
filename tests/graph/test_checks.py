"""Every rule of a graph, broken one at a time and all at once."""

import math
import random
import time

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_cells import random_structure

from archsearch.graph.catalog import zoo_cell, zoo_names
from archsearch.graph.checks import MAX_NODES, MAX_STATES, find_violations
from archsearch.graph.structure import Node, Structure


@pytest.fixture
def gru() -> nx.MultiDiGraph:
    return zoo_cell("gru").structure.to_networkx()


@pytest.mark.parametrize("name", zoo_names())
def test_zoo_is_clean(name):
    assert find_violations(zoo_cell(name).structure.to_networkx()) == ()


@given(st.integers(0, 10**9), st.integers(1, 40), st.integers(1, 4))
def test_random_cells_are_clean(seed, num_nodes, num_states):
    structure = random_structure(random.Random(seed), num_nodes, num_states)
    assert find_violations(structure.to_networkx()) == ()


def test_message_says_where_what_and_what_to_do(gru):
    gru.remove_edge("z", "mul_2")
    assert find_violations(gru) == (
        "node 'mul_2': 'mul' takes 2 operands, got 1 (sub_1). Remove the node or give it a second operand.",
        "node 'mul_2': expected the operand slots (edge keys) 0 to 1, got 1. Renumber them.",
        "node 'linear_3': used by add_2, which reaches no new state. Remove the node or use it.",
        "node 'linear_4': used by add_2, which reaches no new state. Remove the node or use it.",
        "node 'add_2': used by z, which reaches no new state. Remove the node or use it.",
        "node 'z': used by nothing. Remove the node or use it.",
    )


def remove_x(graph):
    graph.remove_node("x")


def second_input(graph):
    graph.add_node("y", kind="input")


def renamed_output_state(graph):
    nx.relabel_nodes(graph, {"h": "s", "h'": "s'"}, copy=False)


def state_without_new_state(graph):
    graph.add_node("c", kind="state", index=1)


def new_state_without_state(graph):
    graph.add_node("c'", kind="new_state")
    graph.add_edge("z", "c'", key=0)


def wrong_index(graph):
    graph.nodes["h"]["index"] = 1


def bool_index(graph):
    graph.nodes["h"]["index"] = False


def unknown_kind(graph):
    graph.nodes["z"]["kind"] = "prim"


def no_kind(graph):
    del graph.nodes["z"]["kind"]


def unknown_primitive(graph):
    graph.nodes["z"]["primitive"] = "sigmiod"


def third_operand(graph):
    graph.add_edge("x", "mul_1", key=2)


def no_operands(graph):
    graph.remove_edges_from(list(graph.in_edges("z", keys=True)))


def wrong_slot(graph):
    graph.add_edge("x", "z", key=7)
    graph.remove_edge("add_2", "z")


def text_slot(graph):
    graph.add_edge("x", "z", key="0")
    graph.remove_edge("add_2", "z")


def cycle(graph):
    graph.remove_edge("h", "mul_1")
    graph.add_edge("n", "mul_1", key=1)


def self_loop(graph):
    graph.remove_edge("add_2", "z")
    graph.add_edge("z", "z", key=0)


def edge_into_x(graph):
    graph.add_edge("r", "x", key=0)


def edge_into_state(graph):
    graph.add_edge("x", "h", key=0)


def reader_of_new_state(graph):
    graph.remove_edge("add_2", "z")
    graph.add_edge("h'", "z", key=0)


def unused_node(graph):
    graph.add_node("t", kind="primitive", primitive="tanh")
    graph.add_edge("x", "t", key=0)


def unknown_attribute(graph):
    graph.nodes["z"]["color"] = "red"


def list_attribute(graph):
    graph.nodes["linear_1"]["diagonal"] = [0.9]


def infinite_diagonal(graph):
    graph.nodes["linear_1"]["diagonal"] = math.inf


def huge_integer(graph):
    graph.nodes["linear_1"]["bias_init"] = 10**5000


def missing_diagonal(graph):
    del graph.nodes["linear_1"]["diagonal"]


def boolean_bias(graph):
    graph.nodes["linear_1"]["bias"] = True


def bias_init_without_bias(graph):
    graph.nodes["linear_2"]["bias_init"] = 1.0


def number_as_weights(graph):
    graph.nodes["linear_1"]["weights"] = 3


def repeated_weights(graph):
    graph.nodes["linear_1"]["weights"] = "new_1"


def edge_attribute(graph):
    graph.edges["x", "linear_1", 0]["weight"] = 2


def bad_name(graph):
    nx.relabel_nodes(graph, {"z": "z-gate"}, copy=False)


def long_name(graph):
    nx.relabel_nodes(graph, {"z": "z" * 65}, copy=False)


def primitive_name(graph):
    nx.relabel_nodes(graph, {"z": "tanh"}, copy=False)


def number_name(graph):
    nx.relabel_nodes(graph, {"z": 3}, copy=False)


def x_computed(graph):
    graph.nodes["x"].update(kind="primitive", primitive="tanh")


BREAKS = {
    remove_x: "the graph: expected exactly one input, 'x', got none.",
    second_input: "the graph: expected exactly one input, 'x', got x, y.",
    renamed_output_state: "the graph: expected a state 'h', whose new value is the output, got s.",
    state_without_new_state: "state 'c': nothing gives its next value. Add a new state node, c'.",
    new_state_without_state: "new state \"c'\": expected a state's name with a prime.",
    wrong_index: "the states: expected the indices 0 to 0, each once, got 1.",
    bool_index: "the states: expected the indices 0 to 0, each once, got False.",
    unknown_kind: "node 'z': expected a kind (input, state, primitive, new_state), got 'prim'.",
    no_kind: "node 'z': expected a kind (input, state, primitive, new_state), got None.",
    unknown_primitive: "node 'z': unknown primitive 'sigmiod'. Known: tanh, sigmoid, relu, leaky_relu, linear, "
    "peephole, affine, add, sub, mul."
    " Did you mean 'sigmoid'?",
    third_operand: "node 'mul_1': 'mul' takes 2 operands, got 3 (r, h, x). Remove 1 of its operands.",
    no_operands: "node 'z': 'sigmoid' takes 1 operand, got 0. Remove the node or give it an operand.",
    wrong_slot: "node 'z': expected the operand slots (edge keys) 0 to 0, got 7.",
    text_slot: "node 'z': expected the operand slots (edge keys) 0 to 0, got '0'.",
    cycle: "nodes mul_1, linear_6, add_3, n are on a cycle. Break it, or carry the value over in a state.",
    self_loop: "node z is on a cycle.",
    edge_into_x: "node 'x': an input takes no operands, got 1 (r). Remove the edges.",
    edge_into_state: "node 'h': a state takes no operands, got 1 (x). Remove the edges.",
    reader_of_new_state: 'new state "h\'": is read by z.',
    unused_node: "node 't': used by nothing. Remove the node or use it.",
    unknown_attribute: "node 'z': unknown attribute color. Known: kind, primitive.",
    list_attribute: "node 'linear_1': diagonal: expected a number of at most 1,000,000 in size, got [0.9].",
    infinite_diagonal: "node 'linear_1': diagonal: expected a number of at most 1,000,000 in size, got inf.",
    huge_integer: "node 'linear_1': bias_init: expected a number of at most 1,000,000 in size, got an integer of more",
    missing_diagonal: "node 'linear_1': lacks the attribute diagonal. Set it.",
    boolean_bias: "node 'linear_1': bias: expected 0 or 1, got True.",
    bias_init_without_bias: "node 'linear_2': bias_init is 1.0, yet it has no bias.",
    number_as_weights: "node 'linear_1': weights: expected a name or empty text, got 3.",
    repeated_weights: "nodes 'linear_1' and 'linear_5': both weights are named 'new_1'.",
    edge_attribute: "edge 'x' -> 'linear_1': an edge has no attributes, only its slot.",
    bad_name: "node 'z-gate': a name has letters, digits and underscores",
    long_name: f"node '{'z' * 65}': a name has letters, digits and underscores",
    primitive_name: "node 'tanh': this is the name of a primitive.",
    number_name: "node 3: expected a name of type str, got int.",
    x_computed: "node 'x': expected kind 'input', got 'primitive'.",
}


@pytest.mark.parametrize("breaking", BREAKS, ids=lambda breaking: breaking.__name__)
def test_each_broken_rule_is_named(gru, breaking):
    breaking(gru)
    found = find_violations(gru)
    assert any(violation.startswith(BREAKS[breaking]) for violation in found), found


def test_all_broken_rules_are_reported_in_a_stable_order(gru):
    for breaking in (unused_node, self_loop, infinite_diagonal, second_input, wrong_index, third_operand):
        breaking(gru)
    found = find_violations(gru)
    assert found == find_violations(gru.copy())
    beginnings = [
        BREAKS[breaking].partition(",")[0]
        for breaking in (second_input, wrong_index, infinite_diagonal, third_operand, self_loop, unused_node)
    ]
    positions = [next(i for i, one in enumerate(found) if one.startswith(start)) for start in beginnings]
    assert positions == sorted(positions)


def test_two_cycles_are_two_violations(gru):
    cycle(gru)
    self_loop(gru)
    assert sum("on a cycle" in violation for violation in find_violations(gru)) == 2


def test_limits_on_size():
    def chain(length: int) -> nx.MultiDiGraph:
        nodes = {f"t{i}": Node("tanh", (f"t{i - 1}" if i else "h",)) for i in range(length)}
        return Structure(("h",), nodes, {"h": f"t{length - 1}"}).to_networkx()

    assert find_violations(chain(MAX_NODES)) == ()
    assert "expected at most 2,000 primitive nodes, got 2,001" in find_violations(chain(MAX_NODES + 1))[0]
    assert "expected at most 2,129 nodes, got 9,003" in find_violations(chain(9_000))[0]

    states = ("h", *(f"s{i}" for i in range(MAX_STATES)))
    crowd = Structure(states, {}, dict.fromkeys(states, "x")).to_networkx()
    assert find_violations(crowd)[0].startswith("the graph: expected at most 64 states, got 65.")


def test_other_graphs_are_refused():
    assert "expected a networkx.MultiDiGraph, got DiGraph" in find_violations(nx.DiGraph())[0]
    assert len(find_violations(nx.MultiDiGraph())) == 2


NAMES = st.sampled_from(["x", "h", "c", "a", "b", "h'", "c'", "tanh", "", 0, None, ("a",), 1.5])
VALUES = st.one_of(
    st.sampled_from(
        ["input", "state", "primitive", "new_state", "linear", "mul", "tanh", 0, 1, True, math.nan, None, []]
    ),
    st.dictionaries(st.integers(), st.integers(), max_size=1),
)
KEYS = st.sampled_from(["kind", "index", "primitive", "diagonal", "bias", "bias_init", "weights", "other", 3])


@given(
    st.dictionaries(NAMES, st.dictionaries(KEYS, VALUES, max_size=5), max_size=8),
    st.lists(st.tuples(NAMES, NAMES, st.sampled_from([0, 1, 2, -1, "0", None, 0.0, True])), max_size=12),
)
def test_hostile_graphs_get_sentences(attributes, edges):
    graph = nx.MultiDiGraph()
    for name, values in attributes.items():
        if name is not None:
            graph.add_node(name)
            graph.nodes[name].update(values)
    for operand, user, slot in edges:
        if operand is not None and user is not None:
            graph.add_edge(operand, user, key=slot)
    found = find_violations(graph)
    assert all(isinstance(violation, str) and violation.endswith((".", "?")) for violation in found)
    if not found:
        Structure.from_networkx(graph)


def test_thirty_nodes_take_well_under_a_millisecond():
    drawn = (random_structure(random.Random(seed), 120, 4) for seed in range(100))
    graph = next(structure for structure in drawn if len(structure.nodes) >= 30).to_networkx()
    start = time.process_time()
    for _ in range(100):
        find_violations(graph)
    assert time.process_time() - start < 100 * 1e-3  # measured: about 0.1 ms


def test_sources_of_a_value():
    structure = zoo_cell("lstm").structure
    assert structure.sources_of(structure.new_states["h"]) == {"x", "h", "c"}
    assert structure.sources_of("i") == {"x", "h"}
    assert structure.sources_of("linear_1") == {"x"}
    assert structure.sources_of("c") == {"c"}
