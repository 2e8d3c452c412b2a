"""Weights written and read back."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from archsearch.compiler.layer import RecurrentLayer
from archsearch.errors import ConfigError, FileFormatError
from archsearch.export.weights import load_weights, save_weights
from archsearch.graph.cell_graph import CellGraph


def test_a_layer_comes_back_with_its_cell(tmp_path):
    layer = RecurrentLayer("lstm_b", 3, 4, num_layers=2)
    path = save_weights(layer, tmp_path / "w.safetensors", {"setting": "s1-lr1"})
    saved = load_weights(path)
    assert saved.metadata["setting"] == "s1-lr1"
    assert saved.metadata["digest"] == layer.cell.digest
    assert saved.metadata["equations"] == layer.cell.equations()
    other = RecurrentLayer("lstm_b", 3, 4, num_layers=2)
    other.load_state_dict(saved.tensors)
    x = torch.randn(5, 2, 3)
    assert torch.equal(layer(x)[0], other(x)[0])
    assert [file.name for file in tmp_path.iterdir()] == ["w.safetensors"]


def test_the_graph_gives_back_the_names_of_weights_that_nobody_named(tmp_path):
    """A canonical graph numbers them otherwise than its equations do."""
    written = "z = sigmoid(linear(x) + linear(h))\nn = tanh(linear(x) + linear(z * h))\nh' = (1 - z) * n + z * h"
    layer = RecurrentLayer(CellGraph.from_equations(written).canonical(), 4, 4)
    saved = load_weights(save_weights(layer, tmp_path / "w"))
    x = torch.randn(5, 2, 4)
    differences = []
    for cell in (CellGraph.from_json(saved.metadata["graph"]), CellGraph.from_equations(saved.metadata["equations"])):
        other = RecurrentLayer(cell, 4, 4)
        other.load_state_dict(saved.tensors)
        differences.append((other(x)[0] - layer(x)[0]).abs().max().item())
    assert differences[0] == 0
    assert differences[1] > 0.01


def test_a_state_dict_of_shared_and_strided_tensors(tmp_path):
    shared = torch.arange(6.0).reshape(2, 3)
    saved = load_weights(save_weights({"a": shared, "b": shared, "c": shared.t()}, tmp_path / "w"))
    assert torch.equal(saved.tensors["b"], shared)
    assert torch.equal(saved.tensors["c"], shared.t())
    assert saved.metadata == {}


def test_an_older_file_is_replaced_but_not_by_half_a_file(tmp_path):
    path = tmp_path / "w"
    save_weights({"a": torch.zeros(1)}, path)
    save_weights({"a": torch.ones(1)}, path)
    with pytest.raises(ConfigError, match=r"metadata 'seed': expected text, got int 1"):
        save_weights({"a": torch.zeros(1)}, path, {"seed": 1})
    assert load_weights(path).tensors["a"].item() == 1


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError])
def test_whatever_ends_a_writing_leaves_nothing_but_the_older_file(failure, tmp_path, monkeypatch):
    """Also Ctrl-C, and also after all is written, while the disk takes it."""
    path = save_weights({"a": torch.zeros(1)}, tmp_path / "w")

    def fail(descriptor):
        raise failure(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(KeyboardInterrupt if failure is KeyboardInterrupt else ConfigError):
        save_weights({"a": torch.ones(1)}, path)
    monkeypatch.undo()
    assert load_weights(path).tensors["a"].item() == 0
    assert [file.name for file in tmp_path.iterdir()] == ["w"]


def test_threads_may_write_one_file_at_once(tmp_path):
    """The last one counts, and none meets the unfinished file of another."""
    with ThreadPoolExecutor(8) as threads:
        written = [
            threads.submit(save_weights, {"a": torch.full((1000,), float(number))}, tmp_path / "w")
            for number in range(40)
        ]
        for each in written:
            each.result()
    assert load_weights(tmp_path / "w").tensors["a"].unique().numel() == 1
    assert [file.name for file in tmp_path.iterdir()] == ["w"]


@pytest.mark.parametrize("name", ["", ".", "/", "a\0b"])
def test_a_path_that_names_no_file_is_refused(name):
    with pytest.raises(ConfigError, match="expected the name of a file"):
        save_weights({"a": torch.zeros(1)}, name)


def test_mistakes_are_explained(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written: No such file"):
        save_weights({"a": torch.zeros(1)}, tmp_path / "missing" / "w")
    with pytest.raises(ConfigError, match="got no such file"):
        load_weights(tmp_path / "missing")
    with pytest.raises(ConfigError, match="got a folder"):
        load_weights(tmp_path)
    path = save_weights({"a": torch.zeros(100)}, tmp_path / "w")
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(FileFormatError, match="expected a whole safetensors file"):
        load_weights(path)
    path.write_text("no weights")
    with pytest.raises(FileFormatError, match="expected a whole safetensors file"):
        load_weights(path)
