"""DARTS genotypes against a module that computes them as the paper says."""

import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from shared_unrolling import why_not_native
from torch import nn

from archsearch.compiler.layer import RecurrentLayer
from archsearch.errors import ConfigError, InvalidGraphError, ShapeError
from archsearch.graph.catalog import load_cell
from archsearch.graph.cost import count_parameters
from archsearch.interop import darts_weights, from_darts

INPUT_SIZE, HIDDEN_SIZE = 4, 5
native = pytest.param("native", marks=pytest.mark.skipif(why_not_native() is not None, reason=str(why_not_native())))


class Genotype(NamedTuple):
    """As theirs."""

    recurrent: Sequence
    concat: Sequence


# the cell of Liu 2019 for Penn Treebank
DARTS = Genotype(
    [("relu", 0), ("relu", 1), ("tanh", 2), ("relu", 3), ("relu", 4), ("identity", 1), ("relu", 5), ("relu", 1)],
    range(1, 9),
)
ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid, "identity": lambda value: value}


class ForeignCell(nn.Module):
    """Matrices stand on the right of their operands; tensors are called as the authors' are."""

    def __init__(self, genotype):
        super().__init__()
        self.genotype = genotype
        self._W0 = nn.Parameter(torch.randn(INPUT_SIZE + HIDDEN_SIZE, 2 * HIDDEN_SIZE) * 0.4)
        self._Ws = nn.ParameterList(
            nn.Parameter(torch.randn(HIDDEN_SIZE, 2 * HIDDEN_SIZE) * 0.4) for _ in genotype.recurrent
        )

    def forward(self, x, h):
        outputs = []
        for x_t in x:
            c0, h0 = (torch.cat([x_t, h], 1) @ self._W0).chunk(2, 1)
            states = [h + torch.sigmoid(c0) * (torch.tanh(h0) - h)]
            for (name, predecessor), weight in zip(self.genotype.recurrent, self._Ws, strict=True):
                s = states[predecessor]
                c, g = (s @ weight).chunk(2, 1)
                states.append(s + torch.sigmoid(c) * (ACTIVATIONS[name](g) - s))
            h = torch.stack([states[index] for index in self.genotype.concat]).mean(0)
            outputs.append(h)
        return torch.stack(outputs)


def random_genotype(rng):
    num_steps = rng.randint(1, 10)
    recurrent = [(rng.choice(list(ACTIVATIONS)), rng.randint(0, index)) for index in range(num_steps)]
    return Genotype(recurrent, rng.sample(range(num_steps + 1), rng.randint(1, num_steps + 1)))


def assert_equals_foreign(genotype, seed, engine="interpreter"):
    torch.manual_seed(seed)
    foreign = ForeignCell(genotype).double()
    layer = RecurrentLayer(from_darts(genotype), INPUT_SIZE, HIDDEN_SIZE, engine=engine).double()
    layer.load_weights(darts_weights(genotype, foreign.state_dict(prefix="rnns.0.")))
    x, h = torch.randn(5, 2, INPUT_SIZE).double(), torch.randn(2, HIDDEN_SIZE).double()
    torch.testing.assert_close(layer(x, h[None])[0], foreign(x, h), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("seed", range(30))
def test_random_genotypes_equal_the_foreign_cell(seed):
    assert_equals_foreign(random_genotype(random.Random(seed)), seed)


@pytest.mark.parametrize("engine", ["interpreter", native])
def test_the_published_cell_equals_the_foreign_one(engine):
    assert_equals_foreign(DARTS, 0, engine)


def test_parameters_count_as_they_count_them():
    foreign = sum(parameter.numel() for parameter in ForeignCell(DARTS).parameters())
    assert count_parameters(from_darts(DARTS).structure, INPUT_SIZE, HIDDEN_SIZE) == foreign
    # Liu 2019, table 2: 23 million with 850 units, tied embeddings of 10,000 words and the readout's biases
    in_all = count_parameters(from_darts(DARTS).structure, 850, 850) + 10_000 * 850 + 10_000
    assert round(in_all / 1e6) == 23


def test_the_documentation_tells_how_long_the_canonical_forms_are():
    page = (Path(__file__).parents[2] / "docs/zoo.md").read_text(encoding="utf-8")
    cell = from_darts(DARTS)
    assert f"| the genotype of Liu 2019 | {len(cell.nodes)} | {len(cell.canonical().nodes):,} |" in page
    chain = from_darts(Genotype([("tanh", index) for index in range(32)], [32]))
    assert f"| a chain of 32 steps | {len(chain.nodes)} | {len(chain.canonical_form.structure.nodes):,} |" in page
    with pytest.raises(InvalidGraphError, match="expected at most"):
        chain.canonical()
    chain = from_darts(Genotype([("tanh", index) for index in range(64)], [64]))
    assert f" to multiply out | {len(chain.nodes)} | {len(chain.canonical().nodes):,} |" in page


def test_genotypes_are_read_from_mappings_and_arrays():
    recurrent = [(np.str_(name), np.int64(predecessor)) for name, predecessor in DARTS.recurrent]
    assert from_darts({"recurrent": recurrent, "concat": np.arange(1, 9)}) == from_darts(DARTS)
    assert from_darts(Genotype([], [0])).digest != from_darts(DARTS).digest


@pytest.mark.parametrize("seed", range(20))
def test_respelt_genotypes_have_one_digest(seed):
    rng = random.Random(seed)
    genotype = random_genotype(rng)
    dead = [*genotype.recurrent, ("sigmoid", len(genotype.recurrent))]
    concat = list(genotype.concat)
    rng.shuffle(concat)
    assert from_darts(Genotype(dead, concat)).digest == from_darts(genotype).digest


@pytest.mark.parametrize(
    ("genotype", "messages"),
    [
        (None, ["expected recurrent, a list of (activation, predecessor), and concat, a list of states; got None"]),
        ({"recurrent": []}, ["expected recurrent"]),
        (Genotype("tanh", [0]), ["expected recurrent"]),
        (Genotype([("tanh", 0)], 1), ["expected recurrent"]),
        (Genotype([("tanh", 0)], []), ["concat: expected at least one state"]),
        (Genotype([("none", 0)], [1]), ["recurrent[0]: expected one of tanh, relu, sigmoid, identity, got 'none'"]),
        (Genotype([("tanh", 1)], [1]), ["recurrent[0]: expected state 0, the only earlier one, got 1"]),
        (Genotype([("tanh", 0), ("tanh", 2)], [1]), ["recurrent[1]: expected an earlier state, 0 to 1, got 2"]),
        (Genotype([("tanh", -1)], [1]), ["got -1"]),
        (Genotype([("tanh", True)], [1]), ["got True"]),
        (Genotype([("tanh", 0.0)], [1]), ["got 0.0"]),
        (Genotype(["tanh"], [1]), ["recurrent[0]: expected a pair (activation, predecessor), got 'tanh'"]),
        (Genotype([("tanh", 0)], [2]), ["concat[0]: expected a state, 0 to 1, got 2"]),
        (Genotype([("tanh", 0)], range(-1, 3)), ["concat[0]", "concat[3]"]),
        (Genotype([("x\n'", 0), ([], "a")], ["0"]), ['got "x\\n\'"', "got list", "got 'a'", "got '0'"]),
        (Genotype([("tanh", 0)] * 65, [1]), ["at most 64 steps and states to average, got 65 and 1. Cut"]),
        (Genotype([("tanh", 0)], [1] * 65), ["got 1 and 65"]),
    ],
)
def test_all_mistakes_of_a_genotype_are_named(genotype, messages):
    with pytest.raises(InvalidGraphError) as caught:
        from_darts(genotype)
    assert len(caught.value.violations) == len(messages), caught.value.violations
    for message in messages:
        assert any(message in violation for violation in caught.value.violations), caught.value.violations


def test_the_longest_genotype_is_read():
    chain = Genotype([("tanh", index) for index in range(64)], range(1, 65))
    assert len(from_darts(chain).nodes) < 2000


def test_arrays_that_do_not_fit():
    arrays = ForeignCell(DARTS).state_dict()
    for key, shape in (("_W0", (10,)), ("_W0", (5, 10)), ("_W0", (9, 9)), ("_Ws.0", (9, 10)), ("_Ws.1", ())):
        with pytest.raises(ShapeError, match=f"{key}.*got shape"):
            darts_weights(DARTS, {**arrays, key: np.ones(shape)})


def test_tensors_that_numpy_cannot_read_as_they_are():
    """Parameters, other types, and those that say they are elsewhere; torch is not imported where they are read."""
    module = ForeignCell(DARTS)
    wanted = darts_weights(DARTS, module.state_dict())
    found = darts_weights(DARTS, dict(module.named_parameters()))
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)
    for dtype in (torch.bfloat16, torch.float8_e5m2, torch.float16, torch.float64, torch.int8):
        cast = {key: tensor.to(dtype) for key, tensor in module.state_dict().items()}
        found = darts_weights(DARTS, {key: nn.Parameter(each, dtype.is_floating_point) for key, each in cast.items()})
        first = cast["_Ws.0"].double().chunk(2, 1)[0].t().numpy()
        np.testing.assert_array_equal(found["Ws_0_gate"].astype(np.float64), first)


class ElsewhereTensor:
    """A tensor of a GPU, as far as it is asked."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __array__(self, *given, **named):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def detach(self):
        return self

    def cpu(self):
        return self.tensor


def test_tensors_of_a_gpu_are_brought_here():
    arrays = ForeignCell(DARTS).state_dict()
    elsewhere = {key: ElsewhereTensor(tensor) for key, tensor in arrays.items()}
    for name, array in darts_weights(DARTS, arrays).items():
        np.testing.assert_array_equal(darts_weights(DARTS, elsewhere)[name], array)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (torch.empty(5, 10, device="meta"), "cannot be read"),
        (torch.zeros(5, 10).to_sparse(), "cannot be read"),
        (torch.zeros(5, 10, dtype=torch.complex64), "real numbers, got complex64"),
        (np.array([["a"] * 10] * 5), "real numbers, got <U1"),
        (np.array([[None] * 10] * 5), "real numbers, got object"),
        (np.ones((5, 10), bool), "real numbers, got bool"),
        ([[1.0], [1.0, 2.0]], "cannot be read"),
        (None, "real numbers, got object"),
    ],
    ids=str,
)
def test_what_is_no_array_of_numbers_is_refused_by_its_key(array, message):
    arrays = ForeignCell(DARTS).state_dict()
    with pytest.raises(ShapeError, match=rf"darts_weights, '_Ws\.2': expected an array of .*{message}"):
        darts_weights(DARTS, {**arrays, "_Ws.2": array})


def test_keys_that_are_no_text_are_passed_over():
    arrays = ForeignCell(DARTS).state_dict()
    assert set(darts_weights(DARTS, {0: 1, None: 2, b"_W0": 3, **arrays})) == set(darts_weights(DARTS, arrays))
    with pytest.raises(ConfigError, match=r"got none for '_W0', .*keys begin b'_W0'\."):
        darts_weights(DARTS, {b"_W0": arrays["_W0"]})
    with pytest.raises(ConfigError, match="expected arrays by key, such as a state dict, got ForeignCell"):
        darts_weights(DARTS, ForeignCell(DARTS))


def test_arrays_of_two_layers_are_refused():
    both = ForeignCell(DARTS).state_dict(prefix="rnns.0.") | ForeignCell(DARTS).state_dict(prefix="rnns.1.")
    with pytest.raises(ConfigError, match=r"one array for '_W0', got two, 'rnns\.0\._W0' and 'rnns\.1\._W0'"):
        darts_weights(DARTS, both)


def test_missing_arrays_are_all_named():
    arrays = ForeignCell(DARTS).state_dict()
    del arrays["_Ws.2"], arrays["_Ws.7"]
    with pytest.raises(ConfigError, match=r"got none for '_Ws\.2', '_Ws\.7'\. Give all arrays of one layer"):
        darts_weights(DARTS, arrays)
    with pytest.raises(ConfigError, match=r"got none for '_W0', '_Ws\.0', .*keys begin 'weight'"):
        darts_weights(DARTS, {"weight": np.ones((2, 2))})
    unneeded = Genotype(DARTS.recurrent, [1])
    assert set(darts_weights(unneeded, {key: arrays[key] for key in ("_W0", "_Ws.0")})) == {
        *("W0_gate_1", "W0_gate_2", "W0_new_1", "W0_new_2", "Ws_0_gate", "Ws_0_new")
    }


def test_the_example_of_the_documentation_runs(tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs/zoo.md").read_text(encoding="utf-8")
    (example,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "from_darts(" in block]
    monkeypatch.chdir(tmp_path)
    tensors = {"rnns.0._W0": torch.randn(1700, 1700)} | {f"rnns.0._Ws.{k}": torch.randn(850, 1700) for k in range(8)}
    torch.save(tensors, "darts.pt")
    names: dict = {}
    exec(example, names)  # noqa: S102 - our own page
    assert load_cell("darts.eq").digest == from_darts(DARTS).digest
    halves = tensors["rnns.0._Ws.7"].t().chunk(2)
    loaded = list(names["layer"].state_dict().values())
    assert all(any(torch.equal(half, weights) for weights in loaded) for half in halves)
