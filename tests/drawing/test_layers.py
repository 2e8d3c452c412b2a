"""The layout of cells in layers: complete, in order, without overlaps and with few crossings."""

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_cells import random_structure
from shared_full_cells import full_structure

from archsearch.drawing.heights import find_heights
from archsearch.drawing.layers import Layers, arrange, sink
from archsearch.graph.catalog import zoo_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.structure import Structure

STRUCTURES = st.builds(
    lambda seed, num_nodes, num_states: random_structure(random.Random(seed), num_nodes, num_states),
    st.integers(0, 10**9),
    st.integers(1, 30),
    st.integers(1, 4),
)


def num_crossings(layers: Layers) -> int:
    """Counts, for each two pieces of wire in one gap, whether their ends are in another order than their starts."""
    ranks = {place: rank for column in layers.columns for rank, place in enumerate(column)}
    ends = [(link.target[1], ranks[link.source], ranks[link.target]) for link in layers.links]
    return sum(a[0] == b[0] and (a[1] - b[1]) * (a[2] - b[2]) < 0 for index, a in enumerate(ends) for b in ends[:index])


def wires(structure: Structure, layers: Layers) -> Counter[tuple[str, str, int]]:
    """Returns (value, reader, slot) for each end of a wire, having walked each wire back to where it is made."""
    came_from = {link.target: link.source for link in layers.links if link.slot is None}
    found: Counter[tuple[str, str, int]] = Counter()
    for link in layers.links:
        if link.slot is not None:
            place = link.source
            while place in came_from:
                assert layers.is_bend(place)
                assert place[0] == link.source[0]
                place = came_from[place]
            assert not layers.is_bend(place)
            found[place[0], link.target[0], link.slot] += 1
    return found


@given(STRUCTURES)
def test_every_operand_is_reached_by_the_wire_of_its_value(structure):
    layers = arrange(structure)
    expected = {
        (operand, name, slot): 1 for name, node in structure.nodes.items() for slot, operand in enumerate(node.operands)
    }
    expected |= {(value, sink(state), 0): 1 for state, value in structure.new_states.items()}
    assert wires(structure, layers) == expected
    assert all(link.target[1] == link.source[1] + 1 for link in layers.links)


@given(STRUCTURES)
def test_each_place_stands_once_in_its_column(structure):
    layers = arrange(structure)
    places = [(place, number) for number, column in enumerate(layers.columns) for place in column]
    assert all(place[1] == number for place, number in places)
    assert len({place for place, _ in places}) == len(places)
    assert {place for place, _ in places} >= {*layers.made.items()} | {link.source for link in layers.links}


@given(STRUCTURES)
def test_sources_stand_at_the_left_and_new_states_at_the_right(structure):
    layers = arrange(structure)
    last = len(layers.columns) - 1
    assert [name for name, layer in layers.made.items() if layer == 0] == ["x", *structure.states]
    assert all(layers.made[sink(state)] == last for state in structure.states)


@given(STRUCTURES)
def test_the_same_cell_has_the_same_layout(structure):
    assert arrange(structure) == arrange(structure)


@given(STRUCTURES, st.integers(0, 10**9))
def test_places_keep_their_distance(structure, seed):
    layers = arrange(structure)
    rng = random.Random(seed)
    sizes = {place: rng.choice((6.0, 24.0, 60.0)) for column in layers.columns for place in column}
    heights = find_heights(layers, sizes, gap=10.0)
    for column in layers.columns:
        for upper, lower in pairwise(column):
            assert heights[lower] - heights[upper] >= (sizes[upper] + sizes[lower]) / 2 + 10.0 - 1e-6
    assert min(heights[place] - sizes[place] / 2 for place in heights) == pytest.approx(0, abs=1e-6)


def test_chains_do_not_cross():
    text = "h' = tanh(tanh(c))\nc' = tanh(tanh(d))\nd' = tanh(tanh(x))\ne' = tanh(tanh(h))"
    assert num_crossings(arrange(CellGraph.from_equations(text).structure)) == 0


@pytest.mark.parametrize(("name", "most"), [("gru", 4), ("mut1", 4), ("lstm", 9)])
def test_few_wires_cross(name, most):
    assert num_crossings(arrange(zoo_cell(name).structure)) <= most


def test_larger_cells_have_fewer_crossings_than_sorting_alone_leaves():
    # 419 in the order in which nodes are met, 98 if columns are sorted but no neighbours exchanged
    structures = [full_structure(random.Random(seed), num_nodes=20, num_states=2) for seed in range(30)]
    assert sum(num_crossings(arrange(structure)) for structure in structures) < 98


def test_a_node_stands_near_its_user_where_that_shortens_wires():
    # x and h go to the end anyway: their sum needs no wire of its own on the way
    text = "a = x + h\nb = tanh(tanh(tanh(x * h)))\nh' = (a * b) * x + h"
    made = arrange(CellGraph.from_equations(text).structure).made
    assert made["a"] == made["b"]


def test_a_wire_that_passes_is_straight():
    layers = arrange(CellGraph.from_equations("h' = tanh(tanh(tanh(tanh(x)))) * h").structure)
    heights = find_heights(layers, dict.fromkeys((place for column in layers.columns for place in column), 20.0), 10.0)
    passing = [heights[place] for place in heights if layers.is_bend(place)]
    assert len(passing) == 4
    assert max(passing) - min(passing) < 1e-6


def test_an_unread_state_has_a_place():
    assert ("c", 0) in arrange(CellGraph.from_equations("h' = x * h\nc' = h").structure).columns[0]
