"""The passes that train populations against the interpreter: every value, every last state, every gradient."""

import pytest
import torch
from shared_corners import CORNERS_AS_GRAPHS
from shared_passes import Population, assert_members_equal
from shared_unrolling import (
    MAX_ERROR,
    SIZES,
    cell_of_all_primitives,
    draw_tame_case,
    names_of,
    random_cell,
    values_and_gradients,
    worst_error,
    zoo_structures,
)

from archsearch.compiler.lower import lower
from archsearch.compiler.vectorized.engine import VectorizedEngine

ZOO = zoo_structures()
NUM_RANDOM = 50


def assert_engine_equals(structure, sizes):
    case, expected = draw_tame_case(structure, sizes)
    engine = VectorizedEngine(lower(structure))
    for _ in range(2):  # the second time in the memory of the first
        error, index = worst_error(values_and_gradients(engine, *case), expected)
        assert error <= MAX_ERROR, f"{names_of(case, structure)[index]}, sizes {sizes}"


@pytest.mark.parametrize("name", ZOO)
def test_the_zoo_as_one_member(name):
    for sizes in SIZES[list(ZOO).index(name) % 4 :: 4]:
        assert_engine_equals(ZOO[name], sizes)


@pytest.mark.parametrize("name", CORNERS_AS_GRAPHS)
def test_corners_as_one_member(name):
    for sizes in ((1, 1, 1, 1), (1, 3, 4, 7), (5, 2, 4, 7), (4, 3, 9, 9)):
        assert_engine_equals(CORNERS_AS_GRAPHS[name], sizes)


@pytest.mark.parametrize("seed", range(NUM_RANDOM))
def test_random_cells_as_one_member(seed):
    for draw in (random_cell, cell_of_all_primitives):
        assert_engine_equals(draw(seed), SIZES[seed % len(SIZES)])


@pytest.mark.parametrize("name", [*ZOO, *CORNERS_AS_GRAPHS])
def test_members_are_what_each_is_alone(name):
    population = Population({**ZOO, **CORNERS_AS_GRAPHS}[name])
    assert_members_equal(population)
    assert_members_equal(population)  # nothing that the first passes left is in the way


@pytest.mark.parametrize("seed", range(NUM_RANDOM))
def test_members_of_random_cells(seed):
    for draw in (random_cell, cell_of_all_primitives):
        assert_members_equal(Population(draw(seed), seed))


def test_a_member_that_overflows_touches_no_other():
    whole, broken = (Population(ZOO["gru"]) for _ in range(2))
    broken.layer.inputs[1] = float("inf")
    expected, found = whole.run(), broken.run()
    assert found["outputs"][1].isnan().any()
    for name, tensor in expected.items():
        assert torch.equal(tensor[0], found[name][0])
        assert torch.equal(tensor[2], found[name][2])
