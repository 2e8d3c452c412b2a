import collections
import random
from dataclasses import dataclass, replace

import networkx as nx
import pytest

from archsearch.errors import ConfigError
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.checks import find_violations
from archsearch.graph.structure import Node, Structure
from archsearch.mutation.bounds import Bounds
from archsearch.mutation.mutate import Child, draw_nodes, mutate
from archsearch.mutation.remove_node import RemoveNode
from archsearch.mutation.replace_by_ancestor import ReplaceByAncestor
from archsearch.mutation.swap_activation import SwapActivation
from archsearch.mutation.swap_elementwise import SwapElementwise
from archsearch.mutation.transformation import Transformation

GRU = CellGraph.from_equations("""
    r = sigmoid(linear(x, h))
    z = sigmoid(linear(x, h))
    n = tanh(linear(x, r * h))
    h' = n + z * (h - n)
""")
LSTM = CellGraph.from_equations("""
    i = tanh(linear(x, h))
    j = sigmoid(linear(x, h))
    f = sigmoid(linear(x, h))
    o = tanh(linear(x, h))
    c' = c * f + i * j
    h' = tanh(c') * o
""")
TANH = CellGraph.from_equations("h' = tanh(linear(x, h))")
NUMBERS = CellGraph.from_equations("""
    z = sigmoid(linear(x, h) + peephole(h))
    n = leaky_relu(linear(x, 1 - h))
    h' = 0.3 * tanh(n - 0.7) + z * (0.1 * h + 2)
""")
FOUNDERS = pytest.mark.parametrize("founder", [GRU, LSTM, TANH, NUMBERS], ids=["gru", "lstm", "tanh", "numbers"])


@pytest.mark.parametrize(("num_nodes", "largest"), [(1, 1), (2, 2), (3, 3), (4, 3), (20, 3), (100, 3)])
def test_one_to_three_nodes_are_hit_equally_often(num_nodes, largest):
    """R11: 1 to 3 transformations make one child; each count equally likely, whatever the size of the graph."""
    rng = random.Random(num_nodes)
    nodes = [f"n{index}" for index in range(num_nodes)]
    counts = collections.Counter(len(draw_nodes(nodes, rng)) for _ in range(3000))
    assert set(counts) == set(range(1, largest + 1))
    assert all(abs(count - 3000 / largest) < 110 for count in counts.values())


def test_every_node_is_hit_equally_often():
    """R11: every node is transformed, independently, with the same probability."""
    rng = random.Random(0)
    nodes = [f"n{index}" for index in range(10)]
    counts = collections.Counter(node for _ in range(5000) for node in draw_nodes(nodes, rng))
    assert len(counts) == 10
    assert all(880 < count < 1120 for count in counts.values())


@FOUNDERS
def test_children_are_made_by_one_to_three_transformations(founder, transformations):
    """R11: about a third of the children each; those that R19 rejects tilt it a little."""
    rng = random.Random(1)
    children = [mutate(founder, transformations, rng) for _ in range(300)]
    counts = collections.Counter(len(child.transformations) for child in children)
    assert set(counts) == {1, 2, 3}
    assert min(counts.values()) > 60


def test_each_of_the_six_is_drawn(transformations):
    """R11: by a randomly chosen transformation."""
    rng = random.Random(2)
    names = [name for _ in range(300) for name in mutate(GRU, transformations, rng).transformations]
    counts = collections.Counter(names)
    assert set(counts) == {transformation.name for transformation in transformations}
    # three apply everywhere; of the others two need an activation, one an elementwise node
    assert min(counts.values()) > 0.05 * len(names)
    assert max(counts.values()) < 0.35 * len(names)


@dataclass(frozen=True, kw_only=True)
class _Unchanged(Transformation):
    """Changes nothing, so that no child is rejected."""

    name = "unchanged"

    def applies(self, *_arguments):
        return True

    def apply(self, structure, *_arguments):
        return structure


class _UnchangedSum(_Unchanged):
    name = "unchanged_sum"

    def applies(self, structure, node):
        return structure.nodes[node].primitive == "add"


def test_weights_are_relative_among_those_applicable():
    """R11, R19: draw among the transformations applicable at the node."""
    rng = random.Random(3)
    cell = CellGraph.from_equations("h' = tanh(x + h)")
    drawn = [mutate(cell, [_Unchanged(), _UnchangedSum(weight=3.0)], rng).transformations for _ in range(1200)]
    counts = collections.Counter(drawn)
    # one node or both, equally often; the sum comes first in canonical order
    expected = {
        ("unchanged",): 300 + 75,
        ("unchanged_sum",): 225,
        ("unchanged", "unchanged"): 150,
        ("unchanged_sum", "unchanged"): 450,
    }
    assert set(counts) == set(expected)
    assert all(abs(counts[names] - count) < 60 for names, count in expected.items())


def test_weight_0_is_never_drawn(transformations):
    off = [type(transformation)(weight=0) for transformation in transformations if transformation.name != "remove_node"]
    rng = random.Random(4)
    drawn = {name for _ in range(50) for name in mutate(GRU, [*off, RemoveNode()], rng).transformations}
    assert drawn == {"remove_node"}


def test_only_nodes_where_something_applies_are_hit():
    """R19: with one transformation left, 1 to 3 of the nodes it applies to are hit, the others never."""
    rng = random.Random(5)
    counts = collections.Counter(len(mutate(GRU, [SwapElementwise()], rng).transformations) for _ in range(150))
    assert set(counts) == {1, 2, 3}


@FOUNDERS
def test_output_depends_on_x_and_on_an_old_state(founder):
    """R19: a child whose h' no longer depends on x, or on any old state, is rejected and drawn again."""
    rng = random.Random(6)
    # what shrinks cells most
    shrinking = [ReplaceByAncestor(), RemoveNode()]
    for _ in range(200):
        child = mutate(founder, shrinking, rng).graph
        above = nx.ancestors(child.graph, "h'")
        assert "x" in above
        assert above & set(child.states)


class _Becomes(_Unchanged):
    """Puts another cell in the place of any."""

    name = "becomes"
    cell: CellGraph

    def apply(self, *_arguments):
        return self.cell.structure


@pytest.mark.parametrize(
    "dead",
    ["tanh(x)", "tanh(h)", "tanh(h + (x - x))", "tanh((h + x) - x)", "tanh(h) + (x * h - h * x)", "x + (h - h) * x"],
)
def test_a_dependence_that_is_missing_or_cancels_out_is_rejected(dead, monkeypatch):
    """R19: x - x is no use of x, wherever its two parts stand."""
    monkeypatch.setattr(_Becomes, "cell", CellGraph.from_equations(f"h' = {dead}"), raising=False)
    with pytest.raises(ConfigError, match="becomes"):
        mutate(TANH, [_Becomes()], random.Random(7))


def test_what_does_not_cancel_out_is_accepted(monkeypatch):
    """R19: the counterpart of the rejections."""
    cell = CellGraph.from_equations("h' = tanh((h + x) + x)")
    monkeypatch.setattr(_Becomes, "cell", cell, raising=False)
    assert mutate(TANH, [_Becomes()], random.Random(7)).graph == cell.canonical()


class _Grows(_Unchanged):
    """Gives cells that break a rule of graphs, each time another one, and then a good one."""

    name = "grows"
    num_calls = 0

    def apply(self, structure, *_arguments):
        type(self).num_calls += 1
        if self.num_calls == 1:  # 2,001 nodes, one more than a cell may have
            nodes = {f"n{i}": Node("tanh", (f"n{i - 1}" if i else "x",)) for i in range(2000)}
            return Structure(("h",), nodes | {"n2000": Node("add", ("n1999", "h"))}, {"h": "n2000"})
        if self.num_calls == 2:  # 162 nodes, and nearly 5,000 in canonical form
            lines = [f"b{i} = 1001 * x + 999 * h + 777 * tanh(x) + {i}01 * tanh(h)" for i in range(1, 10)]
            lines += [f"p{i} = tanh({' * '.join([f'b{i}'] * 6)})" for i in range(1, 10)]
            total = " + ".join(f"p{i}" for i in range(1, 10))
            return CellGraph.from_equations("\n".join([*lines, f"h' = {total}"])).structure
        return structure


def test_a_child_that_no_cell_may_be_is_rejected():
    """Too large as it is written, or in canonical form only: a draw like any other, not the end of the search."""
    assert mutate(TANH, [_Grows()], random.Random(3)).graph == TANH.canonical()
    assert _Grows.num_calls >= 3


@FOUNDERS
def test_same_generator_same_child_however_the_parent_is_written(founder, transformations):
    names = {name: f"q{index}" for index, name in enumerate(founder.nodes)}
    nodes = {
        names[name]: replace(node, operands=tuple(names.get(operand, operand) for operand in node.operands))
        for name, node in reversed(founder.nodes.items())
    }
    new_states = {state: names[value] for state, value in founder.new_states.items()}
    respelt = CellGraph.from_structure(Structure(founder.states, nodes, new_states))
    assert respelt != founder
    for seed in range(20):
        child = mutate(founder, transformations, random.Random(seed))
        assert child == mutate(founder, transformations, random.Random(seed))
        assert child == mutate(respelt, transformations, random.Random(seed))


@FOUNDERS
def test_the_parent_is_left_unchanged_and_the_child_is_canonical(founder, transformations):
    before = CellGraph.from_json(founder.to_json())
    for seed in range(20):
        child = mutate(founder, transformations, random.Random(seed)).graph
        assert child == child.canonical()
        assert child.states == founder.canonical().states
    assert founder == before


def walk(founder: CellGraph, transformations: list[Transformation], num_generations: int) -> list[CellGraph]:
    """Mutates again and again, within bounds, and checks every child."""
    rng = random.Random(8)
    bounds = Bounds(max_nodes=60, max_parameters=600_000, max_multiply_adds=600_000)
    parent, children = founder, []
    for _ in range(num_generations):
        child = mutate(parent, transformations, rng).graph
        assert not find_violations(child.graph)
        assert len(child.states) == len(founder.states)
        children.append(child)
        if bounds.violation(child.structure) is None:
            parent = child
    return children


@FOUNDERS
def test_a_long_walk_stays_valid(founder, transformations):
    """R10, R19: 300 generations, each a checked child with the states of its parent."""
    children = walk(founder, transformations, 300)
    # without selection cells shrink: three of the six make them smaller
    assert len({child.digest for child in children}) > 100


@FOUNDERS
def test_a_walk_among_large_cells_stays_valid(founder, transformations):
    """R10, R19: the same where cells grow."""
    weights = {"insert_activation": 3.0, "remove_node": 0.5, "replace_by_ancestor": 0.25}
    growing = [replace(each, weight=weights.get(each.name, 1.0)) for each in transformations]
    children = walk(founder, growing, 300)
    assert max(len(child.nodes) for child in children) > 25
    assert len({child.digest for child in children}) > 200


@pytest.mark.parametrize(
    "transformations",
    [(), (SwapActivation(weight=0),), (SwapElementwise(primitives=("add",)),)],
    ids=["none", "all off", "not applicable"],
)
def test_a_cell_that_nothing_applies_to_is_refused(transformations):
    with pytest.raises(ConfigError, match=rf"cell {TANH.digest}: .* Give more transformations a weight"):
        mutate(TANH, transformations, random.Random(0))


class _Severed(_Unchanged):
    """Cuts the output off `x` and counts how often it did."""

    name = "severed"
    num_calls = 0

    def apply(self, structure, *_arguments):
        type(self).num_calls += 1
        return replace(structure, nodes={}, new_states=dict.fromkeys(structure.states, "h"))


def test_rejection_ends():
    """R19: drawn again, but not for ever."""
    with pytest.raises(ConfigError, match="in 1000 draws"):
        mutate(TANH, [_Severed()], random.Random(0))
    # at most once a draw: where two nodes were hit, the second is gone
    assert _Severed.num_calls == 1000


def test_child_is_plain_data(transformations):
    child = mutate(GRU, transformations, random.Random(9))
    assert isinstance(child, Child)
    assert all(isinstance(name, str) for name in child.transformations)
