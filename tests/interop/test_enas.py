"""ENAS arcs against a function that computes them as the paper and the authors' fixed arc do."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from shared_unrolling import why_not_native

from archsearch.compiler.layer import RecurrentLayer
from archsearch.compiler.lower import lower
from archsearch.compiler.native.engine import MAX_INSTRUCTIONS
from archsearch.errors import ConfigError, InvalidGraphError, ShapeError
from archsearch.graph.cost import count_parameters
from archsearch.interop import darts_weights, enas_weights, from_darts, from_enas

INPUT_SIZE, HIDDEN_SIZE = 4, 5
native = pytest.param("native", marks=pytest.mark.skipif(why_not_native() is not None, reason=str(why_not_native())))
# the cell of Pham 2018 for Penn Treebank, as its authors write it
PUBLISHED = "0 0 0 1 1 2 1 2 0 2 0 5 1 1 0 6 1 8 1 8 1 8 1"
ACTIVATIONS = (torch.tanh, torch.relu, lambda value: value, torch.sigmoid)


def draw_arrays(num_nodes):
    arrays = {"child/rnn/layer_0/w_prev:0": torch.randn(INPUT_SIZE + HIDDEN_SIZE, 2 * HIDDEN_SIZE) * 0.4}
    for node in range(1, num_nodes):
        arrays[f"child/rnn/layer_0/layer_{node}/w:0"] = torch.randn(HIDDEN_SIZE, 2 * HIDDEN_SIZE) * 0.4
    return {key: array.double() for key, array in arrays.items()}


def unroll(arc, arrays, x, h):
    """The candidate is the first half of each product, its gate the second."""
    first, *others = arrays.values()
    outputs = []
    for x_t in x:
        candidate, gate = (torch.cat([x_t, h], 1) @ first).split(HIDDEN_SIZE, 1)
        nodes = [h + torch.sigmoid(gate) * (ACTIVATIONS[arc[0]](candidate) - h)]
        loose = {0}
        for node, weight in enumerate(others, start=1):
            predecessor, activation = arc[2 * node - 1], arc[2 * node]
            loose = (loose | {node}) - {predecessor}
            s = nodes[predecessor]
            candidate, gate = (s @ weight).split(HIDDEN_SIZE, 1)
            nodes.append(s + torch.sigmoid(gate) * (ACTIVATIONS[activation](candidate) - s))
        h = sum(nodes[node] for node in loose) / len(loose)
        outputs.append(h)
    return torch.stack(outputs)


def random_arc(rng):
    arc = [rng.randint(0, 3)]
    for node in range(1, rng.randint(1, 12)):
        arc += [rng.randint(0, node - 1), rng.randint(0, 3)]
    return arc


def assert_equals_foreign(arc, numbers, seed, engine="interpreter"):
    torch.manual_seed(seed)
    arrays = draw_arrays((len(numbers) + 1) // 2)
    layer = RecurrentLayer(from_enas(arc), INPUT_SIZE, HIDDEN_SIZE, engine=engine).double()
    layer.load_weights(enas_weights(arc, arrays))
    x, h = torch.randn(5, 2, INPUT_SIZE).double(), torch.randn(2, HIDDEN_SIZE).double()
    torch.testing.assert_close(layer(x, h[None])[0], unroll(numbers, arrays, x, h), rtol=1e-10, atol=1e-10)
    # the authors count [x, h] -> 2 H once and H -> 2 H for each further node
    counted = sum(array.numel() for array in arrays.values())
    assert count_parameters(from_enas(arc).structure, INPUT_SIZE, HIDDEN_SIZE) == counted


@pytest.mark.parametrize("seed", range(30))
def test_random_arcs_equal_the_foreign_cell(seed):
    arc = random_arc(random.Random(seed))
    assert_equals_foreign(arc, arc, seed)


@pytest.mark.parametrize("engine", ["interpreter", native])
def test_the_published_cell_equals_the_foreign_one(engine):
    assert_equals_foreign(PUBLISHED, [int(word) for word in PUBLISHED.split()], 0, engine)


def test_the_documentation_tells_how_long_the_canonical_form_is():
    page = (Path(__file__).parents[2] / "docs/zoo.md").read_text(encoding="utf-8")
    cell = from_enas(PUBLISHED)
    assert f"| the arc of Pham 2018 | {len(cell.nodes)} | {len(cell.canonical().nodes):,} |" in page
    assert "that of the arc is too long for the native engine" in page
    program = lower(cell.canonical().structure)
    assert len(program.prologue) + len(program.step) + len(program.epilogue) > MAX_INSTRUCTIONS


def test_arcs_are_read_from_text_lists_and_arrays():
    numbers = [int(word) for word in PUBLISHED.split()]
    assert from_enas(PUBLISHED) == from_enas(numbers) == from_enas(tuple(numbers)) == from_enas(np.array(numbers))
    assert len(from_enas([0] * 127).nodes) < 2000, "the longest"


def test_an_arc_that_begins_with_tanh_is_also_a_genotype():
    arc, genotype = [0, 0, 1, 0, 3], {"recurrent": [("relu", 0), ("sigmoid", 0)], "concat": [1, 2]}
    assert from_enas(arc).digest == from_darts(genotype).digest
    steps = {f"_Ws.{index}": np.ones((5, 10)) for index in range(2)}
    assert set(enas_weights(arc, draw_arrays(3))) != set(darts_weights(genotype, {"_W0": np.ones((9, 10)), **steps}))


@pytest.mark.parametrize(
    ("arc", "messages"),
    [
        (None, ["expected a list of numbers, got None"]),
        ({0: 1}, ["got dict"]),
        ([], ["expected 2 N - 1 numbers for N nodes, got 0 numbers"]),
        ([0, 0], ["got 2 numbers"]),
        ([0] * 129, ["expected at most 64 nodes, got 65. Cut the cell down"]),
        ([4], ["arc[0]: expected an activation, 0 tanh, 1 relu, 2 identity, 3 sigmoid, got 4"]),
        ([0, 1, 0], ["arc[1]: expected the predecessor of node 1, an earlier node, 0 to 0, got 1"]),
        ([0, -1, 0], ["got -1"]),
        ([0, 0, True], ["arc[2]: expected an activation"]),
        ([1.0], ["got 1.0"]),
        ("0 " + "z" * 90 + " 0", [f"got '{'z' * 80}'."]),
        ("0 zero 0", ["arc[1]: expected the predecessor of node 1, an earlier node, 0 to 0, got 'zero'"]),
        ("1" * 5000, ["arc[0]: expected an activation, 0 tanh, 1 relu, 2 identity, 3 sigmoid, got '1111"]),
        ("\N{ARABIC-INDIC DIGIT THREE}", ["arc[0]: expected an activation"]),
        ([9, 7, 8, "x", None], ["arc[0]", "arc[1]", "arc[2]", "arc[3]", "arc[4]"]),
    ],
)
def test_all_mistakes_of_an_arc_are_named(arc, messages):
    with pytest.raises(InvalidGraphError) as caught:
        from_enas(arc)
    assert len(caught.value.violations) == len(messages), caught.value.violations
    for message in messages:
        assert any(message in violation for violation in caught.value.violations), caught.value.violations


def test_arrays_that_do_not_fit():
    arrays = draw_arrays(2)
    with pytest.raises(
        ConfigError, match=r"one array for 'w_prev', got two, '.*layer_0/w_prev:0' and '.*layer_1/w_prev"
    ):
        enas_weights([0, 0, 1], {**arrays, "child/rnn/layer_1/w_prev:0": arrays["child/rnn/layer_0/w_prev:0"]})
    with pytest.raises(ConfigError, match=r"got none for 'layer_1/w', 'layer_2/w'\. Give all"):
        enas_weights([0, 0, 1, 1, 1], {"w_prev": np.ones((9, 10))})
    with pytest.raises(ConfigError, match=r"got none for 'w_prev'.*keys begin 'w'"):
        enas_weights([0], {"w": np.ones((2, 2))})
    with pytest.raises(ShapeError, match=r"w_prev.*\[input_size . H, 2 H\], got shape \[2, 3\]"):
        enas_weights([0], {"w_prev": np.ones((2, 3))})
