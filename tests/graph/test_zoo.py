"""The zoo as a collection: sources, names, digests, and first values of biases as an attribute."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from archsearch.compiler.layer import RecurrentLayer
from archsearch.errors import ConfigError
from archsearch.graph.bias_inits import with_bias_init
from archsearch.graph.catalog import OTHER_NAMES, cell_name, load_cell, zoo_cell, zoo_names
from archsearch.graph.cell_graph import CellGraph

# the digests under which cells stand in the journals of runs so far
KNOWN_DIGESTS = {
    "gru": "c_3cdc2cfc3bfb9f12",
    "gru_torch": "c_94d427210a70bbd6",
    "lstm": "c_d430c1287ad6cb78",
    "lstm_b": "c_476638f9690006b5",
    "lstm_f": "c_17bab926783cd514",
    "lstm_i": "c_70ec9a55d5b41e22",
    "lstm_o": "c_2cf5bbf46704004e",
    "lstm_torch": "c_b8130f2ccc4cf755",
    "mut1": "c_a63f91a4f99cc0d6",
    "mut2": "c_1e3c4dbf019a43ab",
    "mut3": "c_a117ca7bcdaefea9",
    "tanh": "c_33163f9cf67ddbce",
}


def bias_inits(cell):
    return {node.weights: node.bias_init for node in cell.nodes.values() if node.bias_init}


def test_cells_differ():
    digests = {name: zoo_cell(name).digest for name in zoo_names()}
    assert len(set(digests.values())) == len(digests)
    assert {name: digests[name] for name in KNOWN_DIGESTS} == KNOWN_DIGESTS


def test_other_names_lead_to_cells_of_the_zoo():
    for name, cell in OTHER_NAMES.items():
        assert name not in zoo_names()
        assert load_cell(name) == zoo_cell(cell)


@pytest.mark.parametrize("name", zoo_names())
def test_each_file_names_its_source_and_its_weights(name):
    text = (files("archsearch.graph") / "zoo" / f"{name}.eq").read_text(encoding="utf-8")
    comment = " ".join(line for line in text.splitlines() if line.startswith("#"))
    assert re.search(r"\b(19|20)\d\d\b|torch\.nn", comment), "who and when"
    cell = zoo_cell(name)
    assert all(node.weights for node in cell.nodes.values() if node.primitive in ("linear", "peephole"))
    assert CellGraph.from_equations(cell.equations()).digest == cell.digest


def test_with_bias_init_changes_the_bias_that_a_name_means():
    cell = zoo_cell("lstm_torch")
    changed = with_bias_init(cell, {"forget": 2.0, "input": -1})
    assert bias_inits(changed) == {"forget_1": 2.0, "input_1": -1.0}
    assert bias_inits(cell) == {}
    assert changed.digest != cell.digest
    assert with_bias_init(zoo_cell("lstm"), {"forget": 1}) == zoo_cell("lstm_b")
    assert bias_inits(with_bias_init(zoo_cell("gru_torch"), {"new_2": 0.5})) == {"new_2": 0.5}
    assert with_bias_init(changed, {"forget": 0.0, "input": 0.0}) == cell


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        (
            "lstm",
            {"forgt": 1},
            r"'forgt'.*Did you mean 'forget'\? Biases of this cell: input, candidate, forget, output",
        ),
        ("lstm", {"forget_2": 1}, "'forget_2': these weights have no bias"),
        ("lstm_peephole", {"forget_c": 1}, "no bias"),
        ("gru_torch", {"new": 1}, "one bias, got that of new_1, new_2"),
        ("lstm", {"forget": float("nan")}, "finite number, got nan"),
        ("lstm", {"forget": 1e7}, "at most 1e.06"),
        ("lstm", {"forget": True}, "got True"),
        ("lstm", {"x" * 999: 1}, "no weights"),
    ],
)
def test_a_bias_that_is_not_there(name, values, message):
    with pytest.raises(ConfigError, match=message):
        with_bias_init(zoo_cell(name), values)


def test_weights_without_a_name_go_by_that_of_their_node():
    cell = CellGraph.from_equations("gate = sigmoid(linear(x, h))\nh' = gate * linear(x, h, name=new)")
    (biased,) = [
        key for key, node in cell.nodes.items() if node.bias and node.primitive == "linear" and not node.weights
    ]
    layer = RecurrentLayer(with_bias_init(cell, {biased: 3.0}), 2, 2, engine="interpreter")
    assert layer.state_dict()[f"layers.0.{biased}.bias"].tolist() == [3.0, 3.0]
    for name in ("", "gate", "linear"):
        with pytest.raises(ConfigError, match=f"no weights of this cell have that name.*this cell: {biased}, new"):
            with_bias_init(cell, {name: 3.0})
    with pytest.raises(ConfigError, match="Biases of this cell: none"):
        with_bias_init(CellGraph.from_equations("h' = tanh(linear(x, bias=no))"), {"forget": 1})


def test_references_carry_first_values_of_biases(tmp_path):
    assert load_cell("lstm:forget=1") == zoo_cell("lstm_b")
    assert bias_inits(load_cell("lstm_torch:forget=2.5,input=-1e-1")) == {"forget_1": 2.5, "input_1": -0.1}
    mine = tmp_path / "mine.eq"
    mine.write_text("h' = tanh(linear(x, h, name=new))", encoding="utf-8")
    assert bias_inits(load_cell(f"{mine}:new=3")) == {"new_1": 3.0}
    odd = tmp_path / "a:new=1"
    odd.write_text("h' = x + h", encoding="utf-8")
    assert load_cell(str(odd)) == CellGraph.from_equations("h' = x + h"), "a file of the whole name comes first"
    assert load_cell("rnn_tanh:new=1").digest == load_cell(f"{mine}:new=1").digest


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("lstm:forget", "Behind a colon stand first values of biases"),
        ("lstm:forget=", "'' is no number"),
        ("lstm:forget=two", "expected NAME=NUMBER.*'two' is no number"),
        ("lstm:forget=1,", "got ''"),
        ("lstm:=1", "got '=1'"),
        ("lstm:forget=1,forget=2", "'forget' twice"),
        ("lstm:forgt=1", "cell 'lstm:forgt=1': bias 'forgt'"),
        ("none:forget=1", "^cell 'none' is neither in the zoo nor a file"),
        ("lstm:forget=inf", "'inf' is no number"),
        ("lstm:forget=1e999", "finite"),
    ],
)
def test_references_that_cannot_be_read(reference, message):
    with pytest.raises(ConfigError, match=message):
        load_cell(reference)


def test_cells_are_called_after_their_references(tmp_path):
    assert cell_name("gru") == "gru"
    assert cell_name("folder/mine.eq") == "mine"
    assert cell_name("folder/mine.eq:forget=2.5,input=1") == "mine:forget=2.5,input=1"
    assert cell_name(tmp_path / "other.json") == "other"
    for reference in ("gru:update=1.00000001", "gru:update=1234567.5", "gru:update=1e-08"):
        assert cell_name(reference) == reference, "cells with two ids have two names"


def test_a_zoo_name_comes_before_a_file_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gru").write_text("h' = x + h", encoding="utf-8")
    assert load_cell("gru") == zoo_cell("gru")
    assert load_cell("./gru") == CellGraph.from_equations("h' = x + h")


def test_the_documentation_lists_every_cell():
    text = (Path(__file__).parents[2] / "docs/zoo.md").read_text(encoding="utf-8")
    listed = {name for row in text.splitlines() if row.startswith("|") for name in re.findall(r"`(\w+)`", row)}
    assert {*zoo_names(), *OTHER_NAMES} <= listed
