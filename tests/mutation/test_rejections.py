"""What is proved of cells before training, against cells where it is plain to see, and against numbers."""

import random
from dataclasses import replace

import numpy as np
import pytest
from shared_evaluation import evaluate, random_weights
from shared_simulation import TRANSFORMATIONS, make_plan, simulate

from archsearch.errors import ConfigError
from archsearch.graph.catalog import zoo_cell, zoo_names
from archsearch.graph.cell_graph import CellGraph
from archsearch.mutation.intervals import constant_values, value_bounds
from archsearch.mutation.mutate import mutate
from archsearch.mutation.rejections import CONSTANT, EXPLODES, FORGETS, IDLE, TESTS, UNREAD, rejection
from archsearch.search.outcome import NOTHING_NEW
from archsearch.search.plan import Founder

ALL = tuple(TESTS)
SOUND = tuple(name for name in TESTS if name != "unread_state")

CONSTANT_CELLS = [
    "h' = relu(linear(x)) * h",  # from zero it never leaves
    "h' = h * sigmoid(linear(x, h))",
    "c' = tanh(linear(h))\nh' = relu(c - 1) * tanh(linear(x, h)) + tanh(linear(h))",  # relu of what is never above zero
]
FORGETFUL_CELLS = [
    "c' = tanh(linear(x))\nh' = tanh(linear(x, c))",
    "a' = tanh(linear(x))\nb' = tanh(linear(a))\nh' = tanh(linear(x, b))",
]
EXPLODING_CELLS = [
    "h' = h + h + tanh(linear(x))",
    "h' = tanh(linear(x)) - h - h",
    "c' = tanh(linear(x)) + c + c + c\nh' = tanh(linear(x, c, h))",
    "b' = tanh(linear(x, b))\nc' = c + c + b * sigmoid(linear(x))\nh' = tanh(linear(x, c))",
]
INNOCENT_CELLS = [
    "h' = h + tanh(linear(x))",  # an integrator
    "h' = h + h - tanh(linear(x, h))",  # may hold itself back
    "h' = h + h * sigmoid(linear(x)) + tanh(linear(x))",  # the gate may be closed
    "c' = c + c + tanh(linear(x, h))\nh' = tanh(linear(x, c))",  # h may hold c back
    "h' = tanh(linear(x) + linear(h))",
    "c' = tanh(linear(x))\nh' = h * 0.5 + c",
    "h' = h * h + tanh(linear(x))",
]


def structure(text):
    return CellGraph.from_equations(text).canonical().structure


@pytest.mark.parametrize("text", CONSTANT_CELLS)
def test_an_output_that_no_input_reaches(text):
    assert rejection(structure(text), ALL) == CONSTANT


@pytest.mark.parametrize("text", FORGETFUL_CELLS)
def test_an_output_of_the_last_inputs_only(text):
    assert rejection(structure(text), ALL) == FORGETS


@pytest.mark.parametrize("text", EXPLODING_CELLS)
def test_a_state_that_nothing_holds_back(text):
    assert rejection(structure(text), ALL) == EXPLODES


def test_a_state_that_nobody_reads():
    idle = structure("h' = tanh(linear(x, h))\nc' = tanh(linear(x))")
    assert rejection(idle, ("idle_state",)) == IDLE
    assert rejection(idle, ("unread_state",)) == UNREAD


SRU = """
    z  = tanh(linear(x))
    f  = sigmoid(linear(x) + peephole(c))
    c' = f * (c - z) + z
    h' = sigmoid(linear(x) + peephole(c)) * c'
"""


def test_an_output_need_not_be_read():
    """It is of use outside the cell; the test of before, which runs may have kept, turns such cells down."""
    assert rejection(structure(SRU), SOUND) is None
    assert rejection(structure(SRU), ("unread_state",)) == UNREAD


@pytest.mark.parametrize(("name", "num_taken"), [("idle_state", 6), ("unread_state", 0)])
def test_founders_whose_output_is_not_read_have_children(name, num_taken):
    founder = Founder("scrn", zoo_cell("scrn").canonical())
    plan = make_plan(founders=(founder,), num_candidates=6, max_draws=10, rejections=(name,))
    proposed = [outcome for outcome in simulate(plan).outcomes if outcome.kind == "propose"]
    assert sum(outcome.stage != NOTHING_NEW for outcome in proposed) == num_taken


def test_a_run_that_kept_the_former_test_goes_on():
    """Its identity, as it was computed when there was no other."""
    kept = ("constant_output", "no_memory", "exploding_state", "unread_state")
    assert make_plan(rejections=kept).identity == "c4a84ef2ad7e3821"


@pytest.mark.parametrize("text", INNOCENT_CELLS)
def test_what_cannot_be_proved_passes(text):
    assert rejection(structure(text), SOUND) is None


@pytest.mark.parametrize("name", zoo_names())
def test_no_cell_of_the_zoo_is_turned_down(name):
    assert rejection(zoo_cell(name).canonical().structure, SOUND) is None


def test_no_tests_turn_nothing_down():
    assert rejection(structure(EXPLODING_CELLS[0]), ()) is None


@pytest.mark.parametrize("text", EXPLODING_CELLS)
def test_they_do_explode(text):
    """By numbers: beyond 1e30 within 120 steps of random inputs, with any weights."""
    cell = structure(text)
    for seed in range(3):
        rng = random.Random(seed)
        weights = random_weights(cell, rng)
        states = {state: np.zeros(3) for state in cell.states}
        draws = np.random.default_rng(seed)
        for _ in range(120):
            states = evaluate(cell, draws.normal(size=3), states, weights.matrices, weights.biases)
        assert max(np.abs(value).max() for value in states.values()) > 1e30


def test_bounds_hold_on_random_cells():
    """Over some steps of mutants with random weights, values lie within their bounds, and constants do not change."""
    rng = random.Random(0)
    parents = [zoo_cell(name).canonical() for name in ("gru", "lstm", "mut1")]
    num_bounded = 0
    for number in range(150):
        graph = mutate(parents[number % 3], TRANSFORMATIONS, rng).graph
        parents[number % 3] = graph if len(graph.nodes) < 40 and number % 10 else zoo_cell("gru").canonical()
        cell = graph.structure
        bounds, constant = value_bounds(cell), constant_values(cell)
        num_bounded += sum(np.isfinite(bounds[name]).all() for name in cell.nodes)
        weights = random_weights(cell, rng)
        states = {state: np.zeros(3) for state in cell.states}
        draws = np.random.default_rng(number)
        seen = []
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(10):
                values = evaluate(
                    replace(cell, new_states={name: name for name in cell.nodes} | cell.new_states),
                    draws.normal(size=3),
                    states,
                    weights.matrices,
                    weights.biases,
                )
                states = {state: values[state] for state in cell.states}
                seen.append(values)
                if not all(np.isfinite(value).all() for value in states.values()):
                    break
                for name in cell.nodes:
                    low, high = bounds[name]
                    if np.isfinite(values[name]).all():
                        assert ((values[name] >= low - 1e-9) & (values[name] <= high + 1e-9)).all(), name
        for name in constant & set(cell.nodes):
            assert all(np.array_equal(values[name], seen[0][name]) for values in seen), name
    assert num_bounded > 100


def test_a_search_counts_what_it_turned_down():
    founders = make_plan().founders
    plan = make_plan(num_candidates=120, rejections=ALL, reevaluate_probability=0.0, founders=founders)
    simulated = simulate(plan)
    reasons = {reason for outcome in simulated.outcomes for _, reason in outcome.dropped}
    assert reasons & set(TESTS.values())
    for outcome in simulated.outcomes[1:]:
        assert rejection(outcome.cells[0].graph.structure, ALL) is None


def test_unknown_tests_are_refused():
    with pytest.raises(ConfigError, match=r"rejections: expected different ones of constant_output, .* got dull"):
        make_plan(rejections=("dull",))
