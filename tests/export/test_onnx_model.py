"""ONNX files in onnxruntime: what they compute, how they are called, what they say of themselves."""

import random
import re
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from shared_cells import random_structure
from shared_exports import rounding_of

from archsearch.compiler.layer import RecurrentLayer
from archsearch.errors import ConfigError
from archsearch.export.onnx_graph import FORMAT, OPSET
from archsearch.export.onnx_model import export_onnx, export_onnx_step, verify_onnx, verify_onnx_step
from archsearch.graph.catalog import zoo_names
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.structure import Node, Structure

NUM_RANDOM_CELLS = 300
WAYS = {"sequence": (export_onnx, verify_onnx), "step": (export_onnx_step, verify_onnx_step)}


def build_layer(cell, input_size=3, hidden_size=4, num_layers=1, seed=1, init_scale=1.0, **options):
    layer = RecurrentLayer(cell, input_size, hidden_size, num_layers, engine="interpreter", **options)
    layer.reset_parameters(init_scale, torch.Generator().manual_seed(seed))
    return layer


def assert_equals_layer(layer, path, bound=1e-5):
    for export, verify in WAYS.values():
        export(layer, path)
        assert verify(layer, path) <= bound


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", zoo_names())
def test_the_zoo_equals_the_layer(name, way, tmp_path):
    export, verify = WAYS[way]
    for sizes in ((3, 4, 1), (4, 4, 1), (5, 2, 3)):
        layer = build_layer(name, *sizes)
        export(layer, tmp_path / "cell.onnx")
        assert verify(layer, tmp_path / "cell.onnx") <= 1e-5


def test_random_cells_equal_the_layer(tmp_path):
    """A deep cell may amplify rounding beyond 1e-5: up to 1e-3 it is then allowed a few times what the layer has."""
    num_amplifying = 0
    for seed in range(NUM_RANDOM_CELLS):
        rng = random.Random(seed)
        cell = CellGraph.from_structure(
            random_structure(rng, rng.randint(3, 30), 1 + seed % 4, all_primitives=seed % 3 == 0)
        )
        layer = build_layer(cell, num_layers=1 + seed % 2, seed=seed, init_scale=0.5)
        rounding = rounding_of(layer)
        num_amplifying += rounding > 2e-6
        assert_equals_layer(layer, tmp_path / "cell.onnx", max(1e-5, min(5 * rounding, 1e-3)))
    assert num_amplifying <= NUM_RANDOM_CELLS / 10


AWKWARD = {
    "states that swap, without a weight": "h' = c\nc' = x + h",
    "nothing recurrent": "h' = tanh(linear(x))",
    "an output that is an input": "h' = x\nc' = c + x",
    "a state that nothing reads": "c' = tanh(linear(x, h))\nh' = tanh(linear(x, h))\nd' = c'",
    "a step that reads no input": "c' = tanh(linear(c))\nh' = c' * linear(x)",
    "a state that stays": "n = h * c\nh' = n - n * n\nc' = c\nd' = x + d",
    "delays of delays": "c' = tanh(linear(x, c))\nd' = c * c'\nh' = linear(d) + d",
    "a delay of the input": "c' = x\nh' = c * c + h",
    "x bare beside a matrix": "h' = tanh(linear(x, h) + x)",
    "one value, many readers": "n = x * h\nh' = n * n + n\nc' = n\nd' = n",
    "biases on some": "h' = linear(x) * linear(x, bias=no) + linear(h, bias=no) * linear(h) + linear(h, bias=no)",
    "odd names": "output = linear(x, name=if)\ninput' = output * h\nh_0 = input' - h\nh' = h_0 * input\nh_n' = h_0",
    "names of our own": "now = linear(x, name=weight)\nafter' = now * h\nh' = linear(after, h, name=bias)\nrow' = h'",
    "names of directions": "output = linear(x)\noutputs = tanh(output)\nflipped = outputs * h\nh' = flipped + output",
}


@pytest.mark.parametrize("equations", AWKWARD.values(), ids=AWKWARD.keys())
def test_awkward_cells(equations, tmp_path):
    cell = CellGraph.from_equations(equations)
    for sizes in ((3, 4, 1), (3, 4, 2), (4, 4, 1), (1, 1, 1)):
        assert_equals_layer(build_layer(cell, *sizes), tmp_path / "cell.onnx")


@pytest.mark.parametrize("source", ["x", "h", "n"])
@pytest.mark.parametrize(
    ("primitive", "attributes"),
    [("leaky_relu", {}), ("affine", {"scale": -0.7, "shift": 0.3}), ("peephole", {"diagonal": 0.5})],
)
def test_primitives_of_other_works(primitive, attributes, source, tmp_path):
    """In every part: of x alone, recurrent, and read by no later step."""
    nodes = {
        "n": Node("linear", ("h",)),
        "found": Node(primitive, (source,), **attributes),
        "h_new": Node("add", ("found", "n")),
        "late": Node(primitive, ("h_new",), **attributes),
    }
    structure = Structure(("h", "c"), nodes, {"h": "late" if source == "x" else "h_new", "c": "late"})
    for sizes in ((3, 4, 2), (4, 4, 1)):
        assert_equals_layer(build_layer(CellGraph.from_structure(structure), *sizes), tmp_path / "cell.onnx")


def test_a_deep_cell(tmp_path):
    lines = "\n".join(f"n{index + 1} = tanh(n{index} * h + x)" for index in range(400))
    cell = CellGraph.from_equations(f"n0 = tanh(linear(x))\n{lines}\nh' = tanh(n400)")
    assert_equals_layer(build_layer(cell), tmp_path / "cell.onnx")


def test_other_layouts_and_types(tmp_path):
    path = tmp_path / "cell.onnx"
    assert_equals_layer(build_layer("lstm", num_layers=2, batch_first=True), path)
    export_onnx(build_layer("lstm", num_layers=2, batch_first=True), path)
    shape = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    assert [size.dim_param or size.dim_value for size in shape] == ["batch", "length", 3]
    layer = build_layer("gru").double().train()
    assert_equals_layer(layer, path)
    assert layer.training


@pytest.mark.parametrize("name", ["gru", "lstm_torch", "mut1", "a step that reads no input", "names of directions"])
def test_both_directions(name, tmp_path):
    cell = CellGraph.from_equations(AWKWARD[name]) if name in AWKWARD else name
    path = tmp_path / "cell.onnx"
    for num_layers in (1, 3):
        layer = build_layer(cell, num_layers=num_layers, bidirectional=True, dropout=0.5 if num_layers > 1 else 0.0)
        export_onnx(layer, path)
        assert verify_onnx(layer, path) <= 1e-5
        arrays = {array.name for array in onnx.load(path).graph.initializer}
        assert set(layer.state_dict()) <= arrays
    with pytest.raises(ConfigError, match="expected a layer of one direction"):
        export_onnx_step(layer, path)


def test_a_file_is_called_without_knowing_the_layer(tmp_path):
    layer = build_layer("lstm_torch", num_layers=2)
    export_onnx(layer, tmp_path / "cell.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "cell.onnx", providers=["CPUExecutionProvider"])
    shapes = {value.name: value.shape for value in (*session.get_inputs(), *session.get_outputs())}
    states = {f"{state}_{ending}": [2, "batch", 4] for ending in "0n" for state in "hc"}
    assert shapes == {"input": ["length", "batch", 3], "output": ["length", "batch", 4], **states}
    x = np.random.default_rng(0).normal(size=(40, 6, 3)).astype(np.float32)
    zeros = np.zeros((2, 6, 4), np.float32)
    output, h_n = session.run(["output", "h_n"], {"input": x, "h_0": zeros, "c_0": zeros})
    expected, (expected_h, _) = layer(torch.from_numpy(x))
    np.testing.assert_allclose(output, expected.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(h_n, expected_h.detach().numpy(), atol=1e-5)


def test_what_a_file_says_of_itself(tmp_path):
    layer = build_layer("mut1", num_layers=2)
    for export, _ in WAYS.values():
        export(layer, tmp_path / "cell.onnx")
        model = onnx.load(tmp_path / "cell.onnx")
        assert {entry.key: entry.value for entry in model.metadata_props} == {
            "digest": layer.cell.digest,
            "equations": layer.cell.equations(),
        }
        arrays = {array.name: onnx.numpy_helper.to_array(array) for array in model.graph.initializer}
        for name, tensor in layer.state_dict().items():
            np.testing.assert_array_equal(arrays.pop(name), tensor.numpy())
        assert all(name.startswith("/") for name in arrays)
        assert (model.ir_version, model.opset_import[0].version) == (FORMAT, OPSET)


def test_a_wrong_file_is_seen(tmp_path):
    """What a verification is for: the file of another layer differs, at any size."""
    layer, other = build_layer("gru"), build_layer("gru", seed=2)
    for export, verify in WAYS.values():
        export(other, tmp_path / "cell.onnx")
        assert verify(layer, tmp_path / "cell.onnx") > 1e-2


def test_the_reference_of_onnx_agrees(tmp_path):
    """Another implementation than onnxruntime reads the same file the same way."""
    from onnx.reference import ReferenceEvaluator

    layer = build_layer("mut1", num_layers=2)
    export_onnx(layer, tmp_path / "cell.onnx")
    x = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(0))
    h = torch.ones(2, 2, 4)
    output, h_n = ReferenceEvaluator(str(tmp_path / "cell.onnx")).run(None, {"input": x.numpy(), "h_0": h.numpy()})
    expected, expected_h = layer(x, h)
    np.testing.assert_allclose(output, expected.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(h_n, expected_h.detach().numpy(), atol=1e-5)


def test_mistakes_are_explained(tmp_path, monkeypatch):
    layer = build_layer("gru")
    with pytest.raises(ConfigError, match="cannot be written: No such file"):
        export_onnx(layer, tmp_path / "missing" / "cell.onnx")
    export_onnx(layer, tmp_path / "cell.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    advice = re.escape("pip install -c constraints.txt -e '.[onnx]'")
    with pytest.raises(ConfigError, match=f"expected onnxruntime to be .* {advice}"):
        verify_onnx(layer, tmp_path / "cell.onnx")
    for module in [name for name in sys.modules if name.startswith("archsearch.export.onnx_")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delattr("archsearch.export.onnx_graph", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=f"expected onnx to be .* {advice}"):
        export_onnx_step(layer, tmp_path / "cell.onnx")
