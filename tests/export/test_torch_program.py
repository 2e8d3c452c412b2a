"""Programs of `torch.export`: what they compute, alone in a fresh process too, and how they are called."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from archsearch.compiler.layer import RecurrentLayer
from archsearch.errors import ConfigError
from archsearch.export.agreement import TOLERANCE
from archsearch.export.torch_program import export_torch_program, verify_torch_program
from archsearch.graph.catalog import zoo_names
from archsearch.graph.cell_graph import CellGraph
from archsearch.training.flat_parameters import FlatParameters

ROOT = Path(__file__).parents[2]


def build_layer(cell, *sizes, seed=1, **options):
    layer = RecurrentLayer(cell, *sizes, engine="interpreter", **options)
    layer.reset_parameters(generator=torch.Generator().manual_seed(seed))
    return layer


def difference(layer, path):
    export_torch_program(layer, path)
    return verify_torch_program(layer, path)


@pytest.mark.parametrize("name", zoo_names())
def test_the_zoo_equals_the_layer(name, tmp_path):
    assert difference(build_layer(name, 3, 4), tmp_path / "cell.pt2") <= 1e-6


@pytest.mark.parametrize(
    "equations",
    [
        "h' = tanh(linear(x))",
        "h' = c\nc' = x + h",
        "h' = x\nc' = c + x",
        "c' = tanh(linear(x, c))\nd' = c * c'\nh' = linear(d) + d",
        "n = h * c\nh' = n - n * n\nc' = c\nd' = x + d",
        "n = x * h\nh' = n * n + leaky_relu(n)\nc' = n\nd' = n",
        "h' = linear(x) * linear(x, bias=no) + linear(h, bias=no) * linear(h) + linear(h, bias=no)",
        "c' = peephole(x) - 0.5 * h\nh' = peephole(c') * tanh(peephole(h) + 1 - linear(x))",
        "h' = linear(x, name=if) + linear(h, name=if_) + linear(x, name=layers)",
    ],
)
def test_awkward_cells(equations, tmp_path):
    cell = CellGraph.from_equations(equations)
    assert difference(build_layer(cell, 3, 4, 2), tmp_path / "cell.pt2") <= TOLERANCE  # in float32, of float64


def test_other_layouts_types_and_engines(tmp_path):
    path = tmp_path / "cell.pt2"
    assert difference(build_layer("lstm", 3, 4, 2, batch_first=True), path) <= 1e-6
    assert difference(build_layer("gru", 3, 4).double(), path) <= 1e-15
    assert difference(build_layer("mut1", 3, 4, 2, bidirectional=True, dropout=0.5), path) <= 1e-6
    fastest = RecurrentLayer("mut1", 3, 4).train()
    assert difference(fastest, path) <= 1e-6
    assert fastest.training


def test_runs_and_trains_in_a_fresh_process_without_archsearch(tmp_path):
    """Lengths and batches are others than any that was traced or verified."""
    layer = build_layer("lstm_torch", 3, 4, 2)
    export_torch_program(layer, tmp_path / "cell.pt2")
    cases = []
    for num_steps, batch_size in ((1, 4), (40, 1), (11, 6)):
        x, h, c = torch.randn(num_steps, batch_size, 3), torch.randn(2, batch_size, 4), torch.randn(2, batch_size, 4)
        layer.zero_grad()
        output, (h_n, c_n) = layer(x, (h, c))
        output.square().sum().backward()
        gradients = {name: parameter.grad.clone() for name, parameter in layer.named_parameters()}
        cases.append((x, h, c, output.detach(), h_n.detach(), c_n.detach(), gradients))
    torch.save(cases, tmp_path / "cases.pt")
    source = f"""
import sys
for blocked in ("archsearch", "hydra", "ray"):  # torch itself wants networkx
    sys.modules[blocked] = None
import torch
program = torch.export.load({str(tmp_path / "cell.pt2")!r}).module()
for x, h, c, *expected, gradients in torch.load({str(tmp_path / "cases.pt")!r}):
    program.zero_grad()
    output, (h_n, c_n) = program(x, (h, c))
    torch.testing.assert_close([output, h_n, c_n], expected, rtol=1e-5, atol=1e-6)
    output.square().sum().backward()
    assert {{name for name, _ in program.named_parameters()}} == set(gradients)
    for name, parameter in program.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-4, atol=1e-5)
print("equal")
"""
    done = subprocess.run([sys.executable, "-I", "-c", source], capture_output=True, text=True, check=False, cwd="/")
    assert done.stdout == "equal\n", done.stderr


def test_what_a_file_says_of_itself(tmp_path):
    layer = build_layer("mut1", 3, 4, 2)
    export_torch_program(layer, tmp_path / "cell.pt2")
    texts = {"digest": "", "equations": ""}
    program = torch.export.load(tmp_path / "cell.pt2", extra_files=texts)
    assert texts == {"digest": layer.cell.digest, "equations": layer.cell.equations()}
    assert list(program.state_dict) == list(layer.state_dict())
    with zipfile.ZipFile(tmp_path / "cell.pt2") as file:
        assert not any(str(ROOT).encode() in file.read(name) for name in file.namelist())


def test_weights_that_are_slices_of_one_tensor_take_nothing_else_along(tmp_path):
    """A trained layer's are slices, behind those of the embedding; pytest makes an error of torch's warning."""
    layer = build_layer("gru", 3, 4)
    secret = b"the embedding, which is not exported"
    padding = torch.frombuffer(bytearray(secret), dtype=torch.float32)
    values = FlatParameters(nn.ModuleList([nn.ParameterList([padding]), layer])).values
    assert all(weight.untyped_storage().data_ptr() == values.data_ptr() for weight in layer.parameters())
    assert difference(layer, tmp_path / "cell.pt2") <= 1e-6
    with zipfile.ZipFile(tmp_path / "cell.pt2") as file:
        assert not any(secret in file.read(name) for name in file.namelist())
    assert all(weight.untyped_storage().data_ptr() == values.data_ptr() for weight in layer.parameters())


def test_mistakes_are_seen(tmp_path, monkeypatch):
    export_torch_program(build_layer("gru", 3, 4, seed=2), tmp_path / "cell.pt2")
    assert verify_torch_program(build_layer("gru", 3, 4), tmp_path / "cell.pt2") > 1e-2
    with pytest.raises(ConfigError, match="cannot be written: No such file"):
        export_torch_program(build_layer("gru", 3, 4), tmp_path / "missing" / "cell.pt2")
    monkeypatch.delattr(torch._higher_order_ops, "scan")
    with pytest.raises(ConfigError, match=r"has the operator scan, got 2\.\d+"):
        export_torch_program(build_layer("gru", 3, 4), tmp_path / "cell.pt2")
