"""The front of fitness against cost."""

from hypothesis import given
from hypothesis import strategies as st

from archsearch.search.pareto import pareto_front


def test_a_cell_that_wins_by_being_bigger_stands_beside_the_smaller_one():
    assert pareto_front([1.0, 1.1, 0.9, 1.05], [100, 200, 90, 250]) == (True, True, True, False)


def test_equal_cells_are_all_on_the_front_and_what_lacks_a_number_is_not():
    assert pareto_front([1.0, 1.0, None, 1.2], [100, 100, 10, None]) == (True, True, False, False)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_every_cell_off_the_front_is_beaten_by_one_on_it(cells):
    fitnesses, costs = zip(*cells, strict=True)
    front = pareto_front(fitnesses, costs)
    best = [cell for cell, is_on_it in zip(cells, front, strict=True) if is_on_it]
    assert best
    for (fitness, cost), is_on_it in zip(cells, front, strict=True):
        beats = [b for b in best if b[0] >= fitness and b[1] <= cost and b != (fitness, cost)]
        assert bool(beats) != is_on_it
