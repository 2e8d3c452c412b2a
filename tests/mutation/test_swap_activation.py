import collections
import random

import pytest

from archsearch.errors import ConfigError
from archsearch.graph.structure import Node, Structure
from archsearch.mutation.swap_activation import SwapActivation

CELL = Structure(
    ("h",),
    {
        "input": Node("linear", ("x",), 0.0, True, 2.0, "W_x"),
        "recurrent": Node("linear", ("h",), 0.9, False, 0.0, "W_h"),
        "sum": Node("add", ("input", "recurrent")),
        "new": Node("tanh", ("sum",)),
    },
    {"h": "new"},
)


def drawn_at(node: str, num_draws: int, **fields: tuple) -> collections.Counter[Node]:
    rng = random.Random(1)
    return collections.Counter(SwapActivation(**fields).apply(CELL, node, rng).nodes[node] for _ in range(num_draws))


def test_tanh_becomes_each_other_activation_equally_often():
    """R12: a random one of tanh, sigmoid, ReLU, Linear(0), Linear(1), Linear(0.9), Linear(1.1); a different one."""
    drawn = drawn_at("new", 6000)
    linears = {Node("linear", ("sum",), diagonal, True, 0.0) for diagonal in (0.0, 1.0, 0.9, 1.1)}
    assert set(drawn) == {Node("sigmoid", ("sum",)), Node("relu", ("sum",))} | linears
    assert all(900 < count < 1100 for count in drawn.values())


def test_linear_keeps_its_bias_for_another_diagonal():
    """R12: a Linear replaced by another keeps its bias flag; it is a new matrix, so its weights' name goes."""
    assert set(drawn_at("recurrent", 500)) == {
        *(Node(primitive, ("h",)) for primitive in ("tanh", "sigmoid", "relu")),
        *(Node("linear", ("h",), diagonal, False, 0.0) for diagonal in (0.0, 1.0, 1.1)),
    }
    linears = [node for node in drawn_at("input", 500) if node.primitive == "linear"]
    assert set(linears) == {Node("linear", ("x",), diagonal, True, 2.0) for diagonal in (0.9, 1.0, 1.1)}


def test_applies_to_activations_only():
    applicable = [node for node in CELL.nodes if SwapActivation().applies(CELL, node)]
    assert applicable == ["input", "recurrent", "new"]


def test_a_node_with_constants_is_no_activation():
    cell = Structure(("h",), {"new": Node("affine", ("x",), scale=-1.0, shift=1.0)}, {"h": "new"})
    assert not SwapActivation().applies(cell, "new")
    with pytest.raises(ConfigError, match="activation primitives"):
        SwapActivation(activations=("tanh", "affine"))


def test_leaky_relu_and_peephole_are_drawn_where_they_are_named():
    drawn = drawn_at("new", 300, activations=("leaky_relu", "peephole"), diagonals=(0.0, 1.0))
    assert set(drawn) == {
        Node("leaky_relu", ("sum",)),
        Node("peephole", ("sum",)),
        Node("peephole", ("sum",), 1.0),
    }
    cell = Structure(("h",), {"new": Node("peephole", ("x",), 1.0, weights="w")}, {"h": "new"})
    rng = random.Random(0)
    swap = SwapActivation(activations=("peephole", "linear"), diagonals=(0.0, 1.0))
    assert {swap.apply(cell, "new", rng).nodes["new"] for _ in range(100)} == {
        Node("peephole", ("x",)),
        Node("linear", ("x",)),
        Node("linear", ("x",), 1.0),
    }
    with pytest.raises(ConfigError, match="at least one finite number for peephole"):
        SwapActivation(activations=("peephole",), diagonals=())


def test_set_of_activations_is_configurable():
    assert set(drawn_at("new", 50, activations=("tanh", "relu"))) == {Node("relu", ("sum",))}
    only_tanh = SwapActivation(activations=("tanh",))
    assert not only_tanh.applies(CELL, "new")
    assert only_tanh.applies(CELL, "input")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"activations": ("tanh", "gelu")}, r"activation primitives out of tanh, .*, got \['tanh', 'gelu'\]"),
        ({"activations": ("add",)}, "activation primitives"),
        ({"activations": ()}, "activation primitives"),
        ({"activations": ("tanh", "tanh")}, "different activation primitives"),
        ({"diagonals": ()}, "at least one finite number"),
        ({"diagonals": (0.0, float("nan"))}, "must list finite numbers, such as .*, got .*nan"),
        ({"diagonals": ("1", "E")}, "must list finite numbers, such as .*, got .*'E'"),
        ({"diagonals": "12"}, "must list finite numbers, such as .*, got '12'"),
        ({"diagonals": (0.0, 1e7)}, "at most 1,000,000 in size, got .*10000000.0"),
        ({"diagonals": (0.0, float("inf"))}, "must list finite numbers, such as .*, got .*inf"),
        ({"diagonals": 0.9}, "must list finite numbers, such as .*, got 0.9"),
    ],
)
def test_impossible_sets_are_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        SwapActivation(**fields)
