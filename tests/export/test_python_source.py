"""Exported sources: what they compute, alone in a fresh process too, and how they read."""

import ast
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from shared_cells import random_structure
from shared_exports import as_tuple, assert_equals_layer, build_module
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from archsearch.compiler.layer import RecurrentLayer
from archsearch.errors import ConfigError
from archsearch.export.fresh_layer import fresh_layer
from archsearch.export.python_file import build_exported, load_module, verify_python, write_python
from archsearch.export.python_source import export_python
from archsearch.graph.catalog import load_cell, zoo_names
from archsearch.graph.cell_graph import CellGraph

STRANGE_NAMES = f"""
{"a" * 64} = linear(x, h, name={"b" * 60})
l = linear(x, name=if)
_O = linear(h, name=__x)
I = linear(h * l, name=_Weights)
_matrices = {"a" * 64} * tanh({"a" * 64}) - sigmoid({"a" * 64}) * {"a" * 64}
print = tanh(_matrices) * _O
c' = l * I + c
__ = print * l + l
_1 = __ * l
match = _1 + __
torch = match * match
h' = (torch - l) * (c' + I) * {"a" * 64} - {"a" * 64}
d' = x
"""
BARE_CELLS = ("h' = x", "h' = h * h", "h' = linear(x)", "h' = tanh(linear(h))", "h' = tanh(x)\nc' = h * c")
GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", zoo_names())
def test_the_zoo_equals_the_layer(name):
    assert_equals_layer(load_cell(name))
    assert_equals_layer(load_cell(name), 4, 4, 1)


EVERY_PRIMITIVE = """
a = leaky_relu(linear(x, h) - peephole(c, diagonal=0.9, name=look))
z = sigmoid(-a * (0.5 - 2 * (x - h)) + peephole(x))
c' = (1 - z) * c + z * -(c + a) - (c - 0.25)
h' = 0.1 * (1.5 * leaky_relu(c') - 0.5) + 3 * (-h) + (1 - (x - c)) * (-(x + h) - (1 + (c - h)))
"""


def test_every_primitive_and_number():
    layer, _ = assert_equals_layer(CellGraph.from_equations(EVERY_PRIMITIVE))
    assert "(1 - z) * c" in export_python(layer.cell)
    assert layer.state_dict()["layers.0.look.weight"].shape == (4,)


@pytest.mark.parametrize("seed", range(40))
def test_random_cells_equal_the_layer(seed):
    rng = random.Random(seed)
    assert_equals_layer(CellGraph.from_structure(random_structure(rng, rng.randint(3, 30), 1 + seed % 4)))


@pytest.mark.parametrize(
    "equations",
    [
        "h' = c\nc' = tanh(linear(x, c))",
        "h' = x\nc' = c + x",
        "h' = linear(d)\nd' = c * c'\nc' = tanh(linear(x, c))",
        "output = linear(x, name=if)\nweights = output * h\nh' = weights - h + weights * torch\ntorch' = weights",
        "h_new = x * h\nh' = h_new * h_new + h_new\nh_all' = h_new",
        "h' = h + tanh(x * h)",
        *BARE_CELLS,
        STRANGE_NAMES,
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
    cell = CellGraph.from_equations(
        "h' = tanh(linear(x, diagonal=0.9) + linear(h, bias_init=1, diagonal=1.1)) + peephole(x, diagonal=2)"
    )
    options = {"num_layers": 2, "bidirectional": True}
    layer, module = RecurrentLayer(cell, 3, 4, **options), build_module(cell, 3, 4, **options)
    for one in (layer, module):
        one.reset_parameters(0.7, torch.Generator().manual_seed(2))
    state = module.state_dict()
    assert list(state) == list(layer.state_dict())
    assert all(torch.equal(tensor, state[name]) for name, tensor in layer.state_dict().items())


def test_weights_that_are_computed_from_others_start_anew_too():
    module = build_module("lstm_torch", 3, 4)
    weight_norm(module.layers[0].forget_1)
    before = module.layers[0].forget_1.weight.detach().clone()
    module.reset_parameters(2.8, torch.Generator().manual_seed(2))
    drawn = module.layers[0].forget_1.weight
    assert not torch.equal(drawn, before)
    plain = build_module("lstm_torch", 3, 4)
    plain.reset_parameters(2.8, torch.Generator().manual_seed(2))
    torch.testing.assert_close(drawn, plain.layers[0].forget_1.weight)


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


def test_sources_are_formatted_and_typed(tmp_path):
    """Ruff and mypy find nothing in files of long, short and ambiguous names, of 1 to 20 states, of every primitive."""
    rng = random.Random(0)
    cells = [load_cell(name) for name in ("gru", "lstm", "mut1", "tanh")]
    cells += [
        CellGraph.from_structure(random_structure(rng, size, 1 + size % 3, all_primitives=True)) for size in (5, 25, 60)
    ]
    cells.append(CellGraph.from_equations(f"h' = {' + '.join(['linear(x)', 'linear(h)'] * 9)}"))
    cells += [CellGraph.from_equations(text) for text in (EVERY_PRIMITIVE, STRANGE_NAMES, *BARE_CELLS)]
    states = [f"{'s' * 40}{index}" for index in range(20)]
    lines = [f"{state}' = tanh(linear(x, h)) * {state} + {states[index - 1]}" for index, state in enumerate(states)]
    cells.append(CellGraph.from_equations("\n".join([*lines, f"h' = linear(x, h) + {' + '.join(states)}"])))
    for index, cell in enumerate(cells):
        (tmp_path / f"cell_{index}.py").write_text(export_python(cell))
    (tmp_path / "named.py").write_text(export_python("gru", "my_own_cell"))
    typed = [str(tmp_path / f"cell_{index}.py") for index in (0, 1, 8, 9, len(cells) - 2)]
    configuration = str(ROOT / "pyproject.toml")
    for command in (
        ["ruff", "check", "--config", configuration, str(tmp_path)],
        ["ruff", "check", "--isolated", str(tmp_path)],
        ["ruff", "check", "--isolated", "--extend-select=RUF100", str(tmp_path)],
        ["ruff", "format", "--check", "--isolated", "--line-length=120", str(tmp_path)],
        ["ruff", "format", "--check", "--config", configuration, str(tmp_path)],
        ["mypy", "--strict", "--config-file", "", "--cache-dir", str(tmp_path / "cache"), *typed],
    ):
        done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["gru"])
def test_text_of_a_known_source(name):
    assert export_python(name, "GatedCell") == (GOLDEN / f"{name}.py.txt").read_text()


def test_the_global_generator_stays_as_it_was(tmp_path):
    layer = fresh_layer(load_cell("gru"), 3, 4, 1, seed=1)
    before = torch.get_rng_state()
    export_python("gru")
    assert torch.equal(torch.get_rng_state(), before)
    write_python(layer, tmp_path / "gru.py")
    build_exported(load_module(tmp_path / "gru.py"), layer)
    assert torch.equal(torch.get_rng_state(), before)
    verify_python(layer, tmp_path / "gru.py")
    assert torch.equal(torch.get_rng_state(), before)


def test_what_a_person_named_has_a_line_of_its_own():
    source = export_python(CellGraph.from_equations("n1 = tanh(h)\nh' = linear(x) + n1 * sigmoid(n1)"))
    assert "        n1 = torch.tanh(h)\n        h_new = linear_1 + n1 * torch.sigmoid(n1)\n" in source
    source = export_python(CellGraph.from_equations("n1 = tanh(h)\nh' = linear(x) + n1"))
    assert "        n1 = torch.tanh(h)\n        h_new = linear_1 + n1\n" in source


def test_the_class_is_named_by_the_digest_or_the_user():
    digest = load_cell("gru").digest
    assert f"class Cell{digest.removeprefix('c_')}(nn.Module)" in export_python("gru")
    assert "class Mine(nn.Module)" in export_python("gru", "Mine")
    for bad in (
        "class",
        "my cell",
        "",
        "Tensor",
        "int",
        "Exception",
        "_Weights",
        "None",
        "a\nb",
        "A:\nclass B",
    ):
        with pytest.raises(ConfigError, match="name=…: expected a name for a class"):
            export_python("gru", bad)


def test_no_class_takes_the_name_of_what_its_module_imports():
    """`warnings` is read by a call with a dropout and one layer alone."""
    tree = ast.parse(export_python("gru"))
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.asname or alias.name for node in imports for alias in node.names}
    assert {"warnings", "math", "torch", "nn", "linear"} <= names
    for name in names:
        with pytest.raises(ConfigError, match="expected a name for a class"):
            export_python("gru", name)
    with pytest.warns(UserWarning, match="num_layers=1 it does nothing"):
        build_module("gru", 3, 4, num_layers=1, dropout=0.1)
