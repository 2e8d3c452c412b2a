"""The promises of `Transformation`, for every one that has a yaml."""

import copy
import random

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_cells import random_structure

from archsearch.errors import ConfigError
from archsearch.graph.checks import find_violations
from archsearch.graph.structure import Structure
from archsearch.mutation.transformation import Transformation

SIZES = st.tuples(st.integers(1, 25), st.integers(1, 3))
GIVEN = given(seed=st.integers(0, 2**32), size=SIZES, all_primitives=st.booleans())


def every_child(parent: Structure, transformation: Transformation, seed: int) -> list[tuple[str, Structure]]:
    rng = random.Random(seed)
    nodes = [node for node in parent.nodes if transformation.applies(parent, node)]
    return [(node, transformation.apply(parent, node, rng)) for node in nodes]


@GIVEN
def test_leaves_the_parent_unchanged(transformation, seed, size, all_primitives):
    parent = random_structure(random.Random(seed), *size, all_primitives=all_primitives)
    before = copy.deepcopy(parent)
    every_child(parent, transformation, seed)
    assert parent == before
    assert list(parent.nodes) == list(before.nodes)


@GIVEN
def test_gives_a_valid_structure_with_the_parents_states(transformation, seed, size, all_primitives):
    parent = random_structure(random.Random(seed), *size, all_primitives=all_primitives)
    for _, child in every_child(parent, transformation, seed):
        graph = child.to_networkx()
        assert nx.is_directed_acyclic_graph(graph)
        assert child.states == parent.states
        assert tuple(child.new_states) == tuple(parent.new_states)
        sinks = [state + "'" for state in child.states]
        reached = set().union(*(nx.ancestors(graph, sink) for sink in sinks))
        assert set(child.nodes) <= reached
        assert not find_violations(graph)


@GIVEN
def test_same_generator_same_child(transformation, seed, size, all_primitives):
    parent = random_structure(random.Random(seed), *size, all_primitives=all_primitives)
    first, second = every_child(parent, transformation, seed), every_child(parent, transformation, seed)
    assert first == second
    assert [list(child.nodes) for _, child in first] == [list(child.nodes) for _, child in second]


@GIVEN
def test_what_a_node_carries_is_kept(transformation, seed, size, all_primitives):
    """Constants and diagonals belong to their node wherever it goes; only new nodes have new ones."""
    parent = random_structure(random.Random(seed), *size, all_primitives=all_primitives)
    for changed, child in every_child(parent, transformation, seed):
        for name in (child.nodes.keys() & parent.nodes.keys()) - {changed}:
            old, new = parent.nodes[name], child.nodes[name]
            assert (new.primitive, new.attributes()) == (old.primitive, old.attributes())


def test_changes_something(transformation):
    changed = 0
    for seed in range(50):
        parent = random_structure(random.Random(seed), 12, 2)
        changed += sum(child != parent for _, child in every_child(parent, transformation, seed))
    assert changed > 50


def test_weight_0_is_allowed(transformation):
    assert type(transformation)(weight=0).weight == 0


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_other_weights_are_refused(transformation, weight):
    with pytest.raises(ConfigError, match=f"{transformation.name}: weight must be a finite number"):
        type(transformation)(weight=weight)
