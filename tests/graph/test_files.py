"""Cells as JSON."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_cells import random_structure

from archsearch.errors import FileFormatError, InvalidGraphError
from archsearch.graph.catalog import zoo_cell, zoo_names
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.files import MAX_TEXT, structure_from_json, structure_to_json


@pytest.mark.parametrize("name", zoo_names())
def test_zoo_round_trip(name):
    structure = zoo_cell(name).structure
    assert structure_from_json(structure_to_json(structure)) == structure


@given(st.integers(0, 10**9), st.integers(1, 40), st.integers(1, 4))
def test_round_trip(seed, num_nodes, num_states):
    structure = random_structure(random.Random(seed), num_nodes, num_states)
    text = structure_to_json(structure)
    assert structure_from_json(text) == structure
    assert structure_to_json(structure_from_json(text)) == text


def test_form_is_stable():
    assert structure_to_json(zoo_cell("tanh").structure) == (
        "{\n"
        '  "format": "archsearch-cell",\n'
        '  "version": 1,\n'
        '  "states": ["h"],\n'
        '  "nodes": [\n'
        '    {"name": "linear_1", "primitive": "linear", "operands": ["x"],'
        ' "diagonal": 0.0, "bias": true, "bias_init": 0.0, "weights": "new_1"},\n'
        '    {"name": "linear_2", "primitive": "linear", "operands": ["h"],'
        ' "diagonal": 0.0, "bias": false, "bias_init": 0.0, "weights": "new_2"},\n'
        '    {"name": "add_1", "primitive": "add", "operands": ["linear_1", "linear_2"]},\n'
        '    {"name": "tanh_1", "primitive": "tanh", "operands": ["add_1"]}\n'
        "  ],\n"
        '  "new_states": {"h": "tanh_1"}\n'
        "}\n"
    )


def changed(**fields: object) -> str:
    """Returns the tanh cell's file with some fields replaced, or removed where the value is `...`."""
    record = json.loads(structure_to_json(zoo_cell("tanh").structure)) | fields
    return json.dumps({key: value for key, value in record.items() if value is not ...})


def with_node(**fields: object) -> str:
    """Returns the tanh cell's file with its first node, a linear, changed."""
    nodes = json.loads(structure_to_json(zoo_cell("tanh").structure))["nodes"]
    nodes[0] = {key: value for key, value in (nodes[0] | fields).items() if value is not ...}
    return changed(nodes=nodes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected JSON"),
        ("h' = x", "expected JSON"),
        ("[1, 2]", '"format": "archsearch-cell"'),
        ("{}", '"format": "archsearch-cell"'),
        ("[" * 200_000, "nested too deeply"),
        ('{"a":' * 50_000, "nested too deeply"),
        ("9" * 10_000, "expected JSON"),
        (" " * (MAX_TEXT + 1), "expected at most 1,000,000 characters"),
        ('{"format": 1, "format": 2}', 'the field "format" stands twice'),
        (changed(version=2), "expected version 1, got 2"),
        (changed(version=True), "expected version 1, got true"),
        (changed(states=...), "the file: lacks states"),
        (changed(comment="mine"), 'the file: unknown field "comment"'),
        (changed(states="h"), "states: expected a list"),
        (changed(states=["h", "h"]), "the name 'h' stands for two values"),
        (changed(states=["x"]), "the name 'x' stands for two values"),
        (changed(states=["h'"]), "states: expected a name"),
        (changed(states=["\ud800"]), "states: expected a name"),
        (changed(nodes={}), "nodes: expected a list, got an object"),
        (changed(nodes=[3]), "nodes[0]: expected an object, got 3"),
        (changed(new_states={}), "new_states: expected an object with one entry for each state"),
        (changed(new_states={"h": 3}), "new_states['h']: 3 is neither x nor a state nor a node"),
        (changed(new_states={"h": ["x"]}), "new_states['h']: a list is neither"),
        (with_node(name="linear_2"), "nodes[1]: a second node is called 'linear_2'"),
        (with_node(name=7), "nodes[0].name: expected a name"),
        (with_node(name="tanh"), 'nodes[0].name: "tanh" is the name of a primitive. Rename it.'),
        (changed(states=["add"]), 'states: "add" is the name of a primitive'),
        (with_node(primitive=["linear"]), "nodes[0]: unknown field"),
        (with_node(operands=["y"]), "node 'linear_1': \"y\" is neither x nor a state nor a node"),
        (with_node(operands=[["x"]]), "nodes[0].operands: expected text, got a list"),
        (with_node(diagonal=...), "nodes[0]: lacks diagonal"),
        (with_node(diagonal=True), "nodes[0].diagonal: expected a number, got true"),
        (with_node(diagonal="0"), "nodes[0].diagonal: expected a number"),
        (with_node(diagonal=float("nan")), "NaN is no number that a cell can have"),
        (with_node(diagonal=10**400), "too large for floating point"),
        (with_node(bias=1), "nodes[0].bias: expected true or false, got 1"),
        (with_node(weights=None), "nodes[0].weights: expected text, got null"),
    ],
)
def test_other_texts_are_refused(text, expected):
    with pytest.raises(FileFormatError) as caught:
        structure_from_json(text)
    assert expected in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (with_node(operands=[]), "'linear' takes 1 operand, got 0"),
        (with_node(operands=["x", "x", "x"]), "'linear' takes 1 operand, got 3"),
        (with_node(operands=["tanh_1"]), "on a cycle"),
        (with_node(weights="no name"), "weights: expected a name"),
        (with_node(diagonal=1e300), "expected a number of at most 1,000,000"),
        (with_node(name="tanh_1"), "tanh_1"),
        (changed(states=[], new_states={}, nodes=[]), "expected a state 'h'"),
    ],
)
def test_a_cell_file_with_a_bad_cell_breaks_rules_of_graphs(text, expected):
    with pytest.raises((InvalidGraphError, FileFormatError)) as caught:
        CellGraph.from_json(text)
    assert expected in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["x", "h", "linear", "tanh_1", "é'"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["h", "x", "name"]), inner, max_size=3),
    max_leaves=6,
)


def check_read(text: str) -> None:
    """Checks that a text is a cell, written back and read as the same one, or is refused with one of our errors."""
    try:
        cell = CellGraph.from_json(text)
    except (FileFormatError, InvalidGraphError) as error:
        str(error).encode("utf-8")  # whatever it quotes can be printed
    else:
        assert CellGraph.from_json(cell.to_json()).structure == cell.structure


@given(st.sampled_from(["format", "version", "states", "nodes", "new_states"]), JSON)
def test_any_value_in_any_field_gives_a_cell_or_our_error(field, value):
    check_read(changed(**{field: value}))


@given(st.sampled_from(["name", "primitive", "operands", "diagonal", "bias", "bias_init", "weights", "new"]), JSON)
def test_any_value_in_any_field_of_a_node_gives_a_cell_or_our_error(field, value):
    check_read(with_node(**{field: value}))


def test_a_byte_order_mark_is_no_part_of_a_cell():
    structure = zoo_cell("gru").structure
    assert structure_from_json("\ufeff" + structure_to_json(structure)) == structure
