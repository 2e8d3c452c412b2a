"""Every registered format: written, verified, and found out where the file is not what the layer is."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from archsearch.cli.configuration_files import settings_text
from archsearch.errors import ConfigError, FileFormatError
from archsearch.export import onnx_model
from archsearch.export.agreement import TOLERANCE
from archsearch.export.formats import FORMATS, check_formats
from archsearch.export.fresh_layer import fresh_layer
from archsearch.graph.catalog import load_cell
from archsearch.graph.cell_graph import CellGraph

AMPLIFYING = "h' = tanh(1000*x - 999*h)"


def layer_of(cell="lstm", num_layers=2, **options):
    return fresh_layer(load_cell(cell) if isinstance(cell, str) else cell, 3, 4, num_layers, seed=1, **options)


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_the_layer(name, tmp_path):
    layer = layer_of()
    path = tmp_path / f"lstm{FORMATS[name].ending}"
    FORMATS[name].write(layer, path)
    before, mode = {key: value.clone() for key, value in layer.state_dict().items()}, layer.training
    found = FORMATS[name].verify(layer, path)
    if isinstance(found, float):
        assert 0 <= found <= TOLERANCE
    else:
        assert "well-formed" in found
    assert all(torch.equal(value, before[key]) for key, value in layer.state_dict().items())
    assert layer.training == mode
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", [name for name, kind in FORMATS.items() if not kind.is_one_way])
def test_both_directions(name, tmp_path):
    layer = layer_of("mut1", bidirectional=True)
    path = tmp_path / f"mut1{FORMATS[name].ending}"
    FORMATS[name].write(layer, path)
    found = FORMATS[name].verify(layer, path)
    assert isinstance(found, str) or found <= TOLERANCE


@pytest.mark.parametrize("cell", ["h' = x + h", "if = linear(x, name=class)\nh' = tanh(if + h)"])
@pytest.mark.parametrize("name", ["python", "safetensors", "json", "equations", "latex", "svg", "dot", "mermaid"])
def test_cells_without_weights_and_with_words_of_python(name, cell, tmp_path):
    layer = layer_of(CellGraph.from_equations(cell), 1)
    path = tmp_path / f"cell{FORMATS[name].ending}"
    FORMATS[name].write(layer, path)
    found = FORMATS[name].verify(layer, path)
    assert isinstance(found, str) or found <= TOLERANCE


@pytest.mark.parametrize("name", ["python", "safetensors", "json", "equations"])
def test_a_cell_without_weights_is_compared_in_float64(name, tmp_path):
    layer = fresh_layer(CellGraph.from_equations(AMPLIFYING), 4, 4, 1, seed=1)
    assert not list(layer.parameters())
    path = tmp_path / f"cell{FORMATS[name].ending}"
    FORMATS[name].write(layer, path)
    assert FORMATS[name].verify(layer, path) <= 1e-9


@pytest.mark.parametrize("name", ["onnx", "onnx_step", "torch_program"])
def test_float32_may_have_a_few_roundings_of_the_layer(name, tmp_path):
    """And no changed formula: what is allowed is far below that."""
    kind = FORMATS[name]
    layer = fresh_layer(CellGraph.from_equations(AMPLIFYING), 4, 4, 1, seed=1)
    path = tmp_path / f"cell{kind.ending}"
    kind.write(layer, path)
    assert TOLERANCE < kind.verify(layer, path) <= kind.allowed(layer) < 1e-3
    other = fresh_layer(CellGraph.from_equations(AMPLIFYING.replace("999", "990")), 4, 4, 1, seed=1)
    assert kind.verify(other, path) > kind.allowed(other)


@pytest.mark.parametrize("name", ["onnx", "onnx_step", "torch_program"])
def test_what_float32_cannot_hold_is_no_mistake(name, tmp_path):
    layer = fresh_layer(
        CellGraph.from_equations("a = 1e6 * x\nb = a * a\nc = b * b\nh' = tanh(h) + c * c"), 4, 4, 1, seed=1
    )
    path = tmp_path / f"cell{FORMATS[name].ending}"
    FORMATS[name].write(layer, path)
    assert FORMATS[name].verify(layer, path) <= TOLERANCE


def replaced(old, new):
    def change(path):
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


def change_a_weight(path):
    tensors = load_file(path)
    tensors["layers.1.forget_2.weight"][0, 0] += 0.1
    save_file(tensors, path)


def change_a_bias_init(path):
    record = json.loads(path.read_text())
    record["nodes"][0]["bias_init"] = 2.0
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("python", replaced("torch.tanh(c_new)", "torch.sigmoid(c_new)")),
        ("python", replaced('_STORED = """\n-', '_STORED = """\n')),
        ("safetensors", change_a_weight),
        ("json", change_a_bias_init),
        ("equations", replaced("tanh(linear(x, h, name=input))", "sigmoid(linear(x, h, name=input))")),
        ("svg", replaced("</svg>", "")),
        (
            "latex",
            replaced(
                "}",
                "",
            ),
        ),
        ("latex", replaced(r"\end{align*}", "")),
        ("latex", replaced("&=", "=")),
        ("dot", replaced("-> ", "-> v99 -> ")),
        ("dot", replaced("    v0 [", "    v77 [")),
        ("mermaid", replaced('["tanh"]', '["tanh]')),
    ],
)
def test_a_changed_file_is_found_out(name, change, tmp_path):
    layer = layer_of()
    path = tmp_path / f"lstm{FORMATS[name].ending}"
    FORMATS[name].write(layer, path)
    change(path)
    assert is_found_out(name, layer, path)


def is_found_out(name, layer, path):
    try:
        return FORMATS[name].verify(layer, path) > TOLERANCE
    except FileFormatError as error:
        return "Report it" in str(error)


def test_what_is_missing_is_said_before_anything_is_written(monkeypatch):
    monkeypatch.setattr(onnx_model, "find_spec", lambda name: None if name == "onnxruntime" else object())
    check_formats(["python", "json"], bidirectional=False)
    with pytest.raises(ConfigError, match=r"export onnx: expected onnxruntime to be installed. Install the extra"):
        check_formats(["python", "onnx"], bidirectional=False)


def test_a_torch_that_is_too_old_is_said_before_anything_is_written(monkeypatch):
    monkeypatch.delattr(torch._higher_order_ops, "scan")
    check_formats(["python", "onnx"], bidirectional=False)
    with pytest.raises(ConfigError, match="expected a torch that has the operator scan"):
        check_formats(["python", "torch_program"], bidirectional=False)


def test_settings_and_documentation_name_every_format():
    comment = " ".join(settings_text("export").replace("#", " ").split())
    listed = comment.partition("Any of ")[2].partition(", or all of them")[0]
    assert {name.split()[0] for name in listed.split(", ")} == set(FORMATS)
    table = (Path(__file__).parents[2] / "docs" / "cells.md").read_text()
    assert all(
        f"`{name}`" in table and f"`{kind.ending.removeprefix('_step')}`" in table for name, kind in FORMATS.items()
    )


def test_formats_of_one_direction_refuse_two():
    with pytest.raises(ConfigError, match="format onnx_step: expected bidirectional=no"):
        check_formats(["python", "onnx_step"], bidirectional=True)
