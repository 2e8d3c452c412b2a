r"""LaTeX: what its formulas compute when they are read back, how they read, and that they are well formed.

They are read back as Python: `\odot` is `*`, and a matrix beside a value, which binds tighter, is `**`.
"""

import random
import re
from dataclasses import replace

import pytest
import torch
from shared_cells import random_structure

from archsearch.compiler.recurrent_cell import RecurrentCell
from archsearch.export.latex import to_latex
from archsearch.graph.catalog import load_cell, zoo_names
from archsearch.graph.cell_graph import CellGraph

SYMBOL = re.compile(r"(?<![a-zA-Z\\])(?:\\mathrm\{[^}]*\}|[A-Za-z])_\{(?:[^{}]|\{[^{}]*\})*\}")
WEIGHT = re.compile(r"[WUbw]_\{(?!t\}|t-1\}|[0-9]+,t)")
FUNCTIONS = {"tanh": torch.tanh, "sigma": torch.sigmoid, "ReLU": torch.relu}
FUNCTIONS["LeakyReLU"] = lambda value: torch.maximum(value, 0.01 * value)
SIGNS = {r"\odot": "*", r"\,": "*", r"\cdot": "*", r"\tanh": "tanh", r"\sigma": "sigma", "10^{": "10 ** ("}


class Matrix:
    """A matrix that multiplies by `**`."""

    def __init__(self, weight):
        self.weight = weight

    def __pow__(self, value):
        return value @ self.weight.t()


def random_cell(seed):
    rng = random.Random(seed)
    return CellGraph.from_structure(
        random_structure(rng, rng.randint(3, 30), 1 + seed % 3, all_primitives=seed % 2 == 0)
    )


def formulas_of(latex):
    """Returns left and right sides, having looked at how the block is made."""
    lines = [line for line in latex.splitlines() if not line.startswith("%")]
    assert (lines[0], lines[-1]) == (r"\begin{align*}", r"\end{align*}")
    assert all(line.endswith(r" \\") for line in lines[1:-2])
    formulas = [line.removesuffix(r" \\").strip() for line in lines[1:-1]]
    for formula in formulas:
        assert "\\\\" not in formula
        for opening, closing in ("{}", "()"):
            depths = [formula[:end].count(opening) - formula[:end].count(closing) for end in range(len(formula) + 1)]
            assert min(depths) == depths[-1] == 0
    return [tuple(formula.split(" &= ")) for formula in formulas]


def spell(state, time):
    return f"{state[0]}_{{{state[1:]}{',' if state[1:] else ''}{time}}}"


def evaluate(formula, known):
    code = re.sub(r"\\operatorname\{(\w+)\}", r"\1", formula)
    for sign, python in SIGNS.items():
        code = code.replace(sign, f" {python} ")
    code = re.sub(r"\*\* \( (-?\d+)\}", r"** (\1)", code)
    code = SYMBOL.sub(lambda match: f"known[{match[0]!r}]" + " ** " * isinstance(known[match[0]], Matrix), code)
    return eval(code, {**FUNCTIONS, "known": known})  # noqa: S307


def assert_means(cell):
    """Evaluates the formulas on drawn values and compares the new states with the cell's own."""
    nodes = cell.structure.nodes
    named = {
        name: replace(node, weights=f"q{index}") if node.primitive in ("linear", "peephole") else node
        for index, (name, node) in enumerate(nodes.items())
    }
    cell = CellGraph.from_structure(replace(cell.structure, nodes=named))
    module = RecurrentCell(cell, 3, 3, engine="interpreter").double()
    generator = torch.Generator().manual_seed(1)
    known = {}
    for name, parameter in module.named_parameters():
        parameter.data.uniform_(-1, 1, generator=generator)
        _, _, spec, kind = name.split(".")
        value, subscript = parameter.data, f"_{{q_{{{spec[1:]}}}}}"
        letters = "b" if kind == "bias" else "WU" if value.dim() == 2 else "w"
        known |= {letter + subscript: Matrix(value) if value.dim() == 2 else value for letter in letters}
    draws = torch.empty(1 + len(cell.states), 2, 3, dtype=torch.float64).uniform_(-1, 1, generator=generator)
    known |= {spell(name, "t-1"): value for name, value in zip(cell.states, draws[1:], strict=True)}
    known["x_{t}"] = draws[0]
    for left, right in formulas_of(to_latex(cell)):
        assert left not in known
        known[left] = evaluate(right, known)
    with torch.no_grad():
        expected = module(draws[0], tuple(draws[1:]) if len(cell.states) > 1 else draws[1])
    for state, value in zip(cell.states, expected if len(cell.states) > 1 else (expected,), strict=True):
        torch.testing.assert_close(known[spell(state, "t")], value)


@pytest.mark.parametrize("name", zoo_names())
def test_formulas_of_the_zoo_mean_the_cell(name):
    assert_means(load_cell(name))


def test_formulas_of_random_cells_mean_the_cell():
    for seed in range(100):
        assert_means(random_cell(seed))
        assert_means(random_cell(seed).canonical())  # nobody named its values, so they stand inside others


@pytest.mark.parametrize(
    "equations",
    [
        "h' = linear(linear(h, bias=no) * x) - (x - (h - x)) * (h - x)",
        "h' = x - (linear(x) + linear(h)) - (h + x)",
        "h' = linear(x) * linear(h, bias=no) * linear(tanh(x) + h)",
        "h' = leaky_relu(x) - relu(linear(relu(h)))",
        "z = sigmoid(linear(x, h))\nh' = (1 - z) * tanh(x) + -z * h",
        "h' = 0.5 * (x + h) - 1e-05 * x + 20 * (0.5 * h)",
        "h' = 2 * (3 * h - x) * (peephole(h, diagonal=0.5) + 1) * peephole(x * h) - peephole(x + h)",
        "h' = -(x * h) - (0.25 - h) * -2 - -h - -(x + h)",
    ],
)
def test_parentheses(equations):
    assert_means(CellGraph.from_equations(equations))


def test_each_weight_has_a_symbol_of_its_own():
    for seed in range(100):
        cell = random_cell(seed).canonical()
        found = [
            symbol
            for _, right in formulas_of(to_latex(cell))
            for symbol in SYMBOL.findall(right)
            if WEIGHT.match(symbol)
        ]
        weights = [node for node in cell.nodes.values() if node.primitive in ("linear", "peephole")]
        assert (
            len(found)
            == len(set(found))
            == len(weights) + sum(node.primitive == "linear" and node.bias for node in weights)
        )


def test_how_a_cell_reads():
    cell = CellGraph.from_equations(
        "g1 = sigmoid(linear(x, h, name=in_gate, bias_init=1))\n"
        "W = tanh(linear(x) + linear(c, bias=no, diagonal=0.9))\n"
        "t = linear(x, bias=no) * linear(x, bias=no)\n"
        "c' = g1 * c - (W - t)\n"
        "_h' = relu(c')\n"
        "h' = _h' * (x + _h)"
    )
    assert to_latex(cell).splitlines() == [
        f"% cell {cell.digest}",
        r"% before training, 1 is the value of b_{\mathrm{in\_gate}}",
        r"% before training, 0.9 is added to the diagonal of U_{W}",
        r"\begin{align*}",
        r"  g_{1,t} &= \sigma(W_{\mathrm{in\_gate}} x_{t} + U_{\mathrm{in\_gate}} h_{t-1} + b_{\mathrm{in\_gate}}) \\",
        r"  W_{t} &= \tanh(W_{W} x_{t} + b_{W} + U_{W} c_{t-1}) \\",
        r"  t_{t} &= W_{t,2} x_{t} \odot W_{t,3} x_{t} \\",
        r"  c_{t} &= g_{1,t} \odot c_{t-1} - (W_{t} - t_{t}) \\",
        r"  \mathrm{\_h}_{t} &= \operatorname{ReLU}(c_{t}) \\",
        r"  h_{t} &= \mathrm{\_h}_{t} \odot (x_{t} + \mathrm{\_h}_{t-1})",
        r"\end{align*}",
    ]
