"""Exported sources: what they compute, alone in a fresh process too, and how they read."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from shared_cells import random_structure
from torch import nn

from archsearch.compiler.layer import RecurrentLayer
from archsearch.errors import ConfigError
from archsearch.export.python_source import export_python
from archsearch.graph.catalog import load_cell, zoo_names
from archsearch.graph.cell_graph import CellGraph

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[2]


def build_module(cell, *sizes, **options):
    names = {"__name__": "exported"}
    exec(compile(export_python(cell, "Exported"), "exported.py", "exec"), names)  # noqa: S102
    return names["Exported"](*sizes, **options)


def as_tuple(states):
    return states if isinstance(states, tuple) else (states,)


def assert_equals_layer(cell, input_size=3, hidden_size=4, num_layers=2):
    layer = RecurrentLayer(cell, input_size, hidden_size, num_layers).double()
    module = build_module(cell, input_size, hidden_size, num_layers).double()
    module.load_state_dict(layer.state_dict())
    x = torch.randn(5, 2, input_size, dtype=torch.float64)
    states = tuple(torch.randn(num_layers, 2, hidden_size, dtype=torch.float64) for _ in layer.program.states)
    given = states if len(states) > 1 else states[0]
    for arguments in ((x,), (x, given), (x[:1],)):
        expected, actual = layer(*arguments), module(*arguments)
        torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)
    return layer, module


@pytest.mark.parametrize("name", zoo_names())
def test_the_zoo_equals_the_layer(name):
    assert_equals_layer(load_cell(name))
    assert_equals_layer(load_cell(name), 4, 4, 1)


@pytest.mark.parametrize("seed", range(40))
def test_random_cells_equal_the_layer(seed):
    rng = random.Random(seed)
    cell = CellGraph.from_structure(random_structure(rng, rng.randint(3, 30), 1 + seed % 4))
    assert_equals_layer(cell)


@pytest.mark.parametrize(
    "equations",
    [
        "h' = c\nc' = tanh(linear(x, c))",
        "h' = x\nc' = c + x",
        "h' = linear(d)\nd' = c * c'\nc' = tanh(linear(x, c))",
        "output = linear(x, name=if)\nweights = output * h\nh' = weights - h + weights * torch\ntorch' = weights",
        "h_new = x * h\nh' = h_new * h_new + h_new\nh_all' = h_new",
        "h' = h + tanh(x * h)",
    ],
)
def test_awkward_cells_and_names(equations):
    if equations.startswith("h' = linear(d)"):
        lines = equations.splitlines()
        equations = "\n".join(reversed(lines))
    cell = CellGraph.from_equations(equations)
    assert_equals_layer(cell)


def test_a_deep_cell():
    nodes = "\n".join(f"n{index + 1} = n{index} * h + x" for index in range(400))
    assert_equals_layer(CellGraph.from_equations(f"n0 = tanh(linear(x))\n{nodes}\nh' = tanh(n400)"))


def test_weights_start_as_the_layers_do():
    """R13, R20: the same generator gives an exported module the layer's weights."""
    cell = CellGraph.from_equations("h' = tanh(linear(x, diagonal=0.9) + linear(h, bias_init=1, diagonal=1.1)) + x")
    layer, module = RecurrentLayer(cell, 3, 4, 2), build_module(cell, 3, 4, 2)
    for one in (layer, module):
        one.reset_parameters(0.7, torch.Generator().manual_seed(2))
    state = module.state_dict()
    assert list(state) == list(layer.state_dict())
    assert all(torch.equal(tensor, state[name]) for name, tensor in layer.state_dict().items())


class Tagger(nn.Module):
    """A small model that takes any recurrent module called as torch's."""

    def __init__(self, recurrent):
        super().__init__()
        self.recurrent = recurrent
        self.readout = nn.Linear(recurrent.hidden_size, 2)

    def forward(self, x):
        output, last = self.recurrent(x)
        again, _ = self.recurrent(x, last)
        return self.readout(output + again)


@pytest.mark.parametrize(("cell", "torch_class"), [("gru_torch", nn.GRU), ("lstm_torch", nn.LSTM), ("mut1", nn.GRU)])
def test_drops_in_where_torchs_stood(cell, torch_class):
    options = {"input_size": 3, "hidden_size": 4, "num_layers": 2, "batch_first": True}
    x = torch.randn(2, 5, 3)
    recurrent = build_module(cell, **options)
    expected = torch_class(**options)
    model = Tagger(recurrent)
    assert model(x).shape == Tagger(expected)(x).shape
    model(x).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    for given in (x, x[0]):
        actual_shapes = [tensor.shape for tensor in (recurrent(given)[0], *as_tuple(recurrent(given)[1]))]
        assert actual_shapes == [tensor.shape for tensor in (expected(given)[0], *as_tuple(expected(given)[1]))]
    torch.testing.assert_close(recurrent(x[0])[0], recurrent(x)[0][0])


@pytest.mark.parametrize("name", ["lstm", "mut1"])
def test_runs_in_a_fresh_process_without_archsearch(name, tmp_path):
    layer = RecurrentLayer(name, 3, 4, num_layers=2)
    x = torch.randn(5, 2, 3)
    save_file({"x": x, "output": layer(x)[0].detach()} | layer.state_dict(), tmp_path / "case.safetensors")
    (tmp_path / "found_cell.py").write_text(export_python(name, "Found"))
    program = f"""
import sys
for blocked in ("archsearch", "networkx", "hydra", "ray"):
    sys.modules[blocked] = None
sys.path.insert(0, {str(tmp_path)!r})
from found_cell import Found
from safetensors.torch import load_file
case = load_file({str(tmp_path / "case.safetensors")!r})
x, output = case.pop("x"), case.pop("output")
module = Found(3, 4, num_layers=2)
module.load_state_dict(case)
print(float((module(x)[0] - output).detach().abs().max()))
"""
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) <= 1e-6


def test_sources_pass_ruff(tmp_path):
    rng = random.Random(0)
    cells = [load_cell(name) for name in zoo_names()]
    cells += [CellGraph.from_structure(random_structure(rng, size, 1 + size % 3)) for size in (5, 12, 25, 40, 80)]
    cells.append(CellGraph.from_equations(f"h' = {' + '.join(['linear(x)', 'linear(h)'] * 9)}"))
    for index, cell in enumerate(cells):
        (tmp_path / f"cell_{index}.py").write_text(export_python(cell))
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--config", str(ROOT / "pyproject.toml"), str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["gru"])
def test_text_of_a_known_source(name):
    assert export_python(name, "GatedCell") == (GOLDEN / f"{name}.py.txt").read_text()


def test_the_class_is_named_by_the_digest_or_the_user():
    digest = load_cell("gru").digest
    assert f"class Cell{digest.removeprefix('c_')}(nn.Module)" in export_python("gru")
    assert "class Mine(nn.Module)" in export_python("gru", "Mine")
    for bad in ("class", "my cell", "", "Tensor"):
        with pytest.raises(ConfigError, match="expected a name for a class"):
            export_python("gru", bad)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"the last of 3, got shape \[5, 2, 4\]"):
        build_module("gru", 3, 4)(torch.zeros(5, 2, 4))
