"""Cells with one thing less."""

import random

import pytest
from shared_simulation import TRANSFORMATIONS

from archsearch.graph.catalog import zoo_cell, zoo_names
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.checks import find_violations
from archsearch.mutation.dataflow import output_uses_input_and_state
from archsearch.mutation.mutate import NoChildError, mutate
from archsearch.studies.simplifications import simplify


def check(cell: CellGraph) -> None:
    found = simplify(cell)
    digests = [simplification.graph.digest for simplification in found]
    assert len(set(digests)) == len(digests)
    assert cell.digest not in digests
    for simplification in found:
        graph = simplification.graph
        assert find_violations(graph.graph) == ()
        assert graph == graph.canonical()
        assert output_uses_input_and_state(graph.structure)
        assert set(graph.states) <= set(cell.states) | set(cell.canonical().states)
        assert "→" in simplification.change or "without" in simplification.change


@pytest.mark.parametrize("name", zoo_names())
def test_every_cell_of_the_zoo_can_be_taken_apart(name):
    check(zoo_cell(name))


def test_mutants_can_be_taken_apart():
    rng = random.Random(1)
    graph = zoo_cell("lstm").canonical()
    for _ in range(30):
        try:
            graph = mutate(graph, TRANSFORMATIONS, rng).graph
        except NoChildError:
            graph = zoo_cell("gru").canonical()
        if len(graph.nodes) > 40:
            graph = zoo_cell("lstm").canonical()
        check(graph)


def digest(equations: str) -> str:
    return CellGraph.from_equations(equations).digest


def test_a_gru_loses_its_gates_its_biases_and_its_activations():
    found = {simplification.graph.digest: simplification.change for simplification in simplify(zoo_cell("gru"))}
    gate, new = "sigmoid(linear(x, h))", "n = tanh(linear(x, r * h))"
    without_reset = f"z = {gate}\nn = tanh(linear(x, h))\nh' = n + z * (h - n)\n"
    assert found[digest(without_reset)] == "r * h → h in n"
    unbiased = f"r = {gate}\nz = sigmoid(linear(x, h, bias=no))\n{new}\nh' = n + z * (h - n)\n"
    assert found[digest(unbiased)] == "linear(x) without bias in z"
    linear = f"r = {gate}\nz = {gate}\nn = linear(x, r * h)\nh' = n + z * (h - n)\n"
    assert found[digest(linear)] == "tanh(linear(x) + linear(r * h)) → linear(x) + linear(r * h) in n"


def test_a_state_that_nothing_reads_any_longer_goes():
    found = {simplification.change: simplification.graph for simplification in simplify(zoo_cell("lstm"))}
    forgotten = [graph for graph in found.values() if graph.states == ("h",)]
    assert forgotten
    assert all("c" not in graph.states for graph in forgotten)


def test_scale_and_shift_read_as_in_equations():
    cell = CellGraph.from_equations("z = sigmoid(linear(x, h))\nh' = tanh(z * (1 - z)) + 0.95 * (h + x)\n")
    changes = [simplification.change for simplification in simplify(cell)]
    assert "0.95 * (h + x) → h + x in h'" in changes
    assert "1 - z → z in h'" in changes


def test_a_diagonal_is_taken_off():
    cell = CellGraph.from_equations("h' = tanh(linear(x) + linear(h, diagonal=1, bias=no))\n")
    changes = [simplification.change for simplification in simplify(cell)]
    assert "linear(h) without diagonal in h'" in changes


def test_what_would_no_longer_be_a_recurrent_cell_is_left_out():
    changes = [simplification.change for simplification in simplify(zoo_cell("tanh"))]
    assert not [change for change in changes if change.endswith(("→ linear(x) in h'", "→ linear(h) in h'"))]
