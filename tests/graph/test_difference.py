"""What changed between two cells, in one set of names."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_cells import random_structure
from shared_respelling import respell

from archsearch.graph.catalog import zoo_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.difference import changed_lines, find_difference
from archsearch.mutation.mutate import NoChildError, mutate
from archsearch.mutation.swap_activation import SwapActivation

SEEDS = st.integers(0, 10**9)


def changes(before: str, after: str) -> list[str]:
    """Returns the changed lines of two texts of equations."""
    difference = find_difference(CellGraph.from_equations(before), CellGraph.from_equations(after))
    return [f"{sign} {line}" for sign, line in changed_lines(difference) if sign != " "]


def random_cell(seed: int, num_nodes: int, num_states: int) -> CellGraph:
    return CellGraph.from_structure(random_structure(random.Random(seed), num_nodes, num_states))


def test_gru_to_mut1_reads_as_in_the_paper():
    difference = find_difference(zoo_cell("gru"), zoo_cell("mut1"))
    assert changed_lines(difference) == [
        (" ", "r = sigmoid(linear(x, h))"),
        ("-", "z = sigmoid(linear(x, h))"),
        ("+", "z = sigmoid(linear(x))"),
        ("-", "n = tanh(linear(x, r * h))"),
        ("+", "n = tanh(tanh(x) + linear(r * h))"),
        ("-", "h' = n + z * (h - n)"),
        ("+", "h' = h + z * (n - h)"),
    ]


def test_what_is_spelt_otherwise_is_no_change():
    before = "z = sigmoid(linear(x, h))\nn = tanh(linear(x))\nh' = n + z * (h - n)"
    after = "a = sigmoid(linear(h, bias=no) + linear(x))\nb = tanh(linear(x))\nh' = h * a + b - a * b"
    assert changes(before, after) == []


def test_one_activation():
    before = "r = sigmoid(linear(x, h))\nh' = tanh(linear(x, r * h))"
    after = "r = sigmoid(linear(x, h))\nh' = relu(linear(x, r * h))"
    assert changes(before, after) == ["- h' = tanh(linear(x, r * h))", "+ h' = relu(linear(x, r * h))"]


def test_an_inserted_value_leaves_the_name_where_it_was():
    before = "z = sigmoid(linear(x, h))\nh' = z * h + tanh(z)"
    after = "z = tanh(sigmoid(linear(x, h)))\nh' = z * h + tanh(z)"
    assert changes(before, after)[-1].startswith("+ z = tanh(")
    assert not any(" h' = " in line for line in changes(before, after))


def test_a_bias_and_a_diagonal_are_changes():
    before = "h' = tanh(linear(x) + linear(h, diagonal=0.9, bias=no))"
    assert changes(before, before.replace("0.9", "1.1")) == [
        "- h' = tanh(linear(x) + linear(h, diagonal=0.9, bias=no))",
        "+ h' = tanh(linear(x) + linear(h, diagonal=1.1, bias=no))",
    ]
    assert changes(before, before.replace("linear(x)", "linear(x, bias_init=1)"))[1] == (
        "+ h' = tanh(linear(x, bias_init=1) + linear(h, diagonal=0.9, bias=no))"
    )


def test_the_order_of_factors_follows_the_first_cell():
    # canonical order alone would turn h * r round where another matrix stands in the place of x's
    before = "r = sigmoid(linear(x, h))\nh' = h + tanh(linear(x) * r)"
    after = "r = sigmoid(linear(x, h))\nh' = h + tanh(linear(h) * r)"
    removed, added = changes(before, after)
    assert added[2:] == removed[2:].replace("linear(x)", "linear(h)")


def test_a_new_state_and_its_equation():
    lines = changes("h' = tanh(linear(x, h))", "h' = tanh(linear(x, h)) * c\nc' = sigmoid(c + h)")
    assert any(line.startswith("+ c' = ") for line in lines)
    difference = find_difference(
        CellGraph.from_equations("h' = tanh(linear(x, h))"),
        CellGraph.from_equations("h' = tanh(linear(x, h)) * c\nc' = sigmoid(c + h)"),
    )
    assert "c'" in difference.changed_after


def test_states_with_other_names_are_matched():
    before = zoo_cell("lstm").equations()
    renamed = before.replace("c'", "memory'").replace("c *", "memory *").replace("tanh(c", "tanh(memory")
    assert changes(before, renamed) == []
    assert find_difference(CellGraph.from_equations(before), CellGraph.from_equations(renamed)).after.states == (
        "h",
        "c",
    )


def test_states_that_changed_names_with_one_another_are_no_change():
    before = "h' = tanh(c) * d\nc' = x * h\nd' = c + h"
    after = "h' = tanh(d) * c\nd' = x * h\nc' = d + h"
    assert changes(before, after) == []


def test_names_of_the_second_cell_stay_where_the_first_has_none():
    difference = find_difference(
        CellGraph.from_equations("h' = tanh(sigmoid(linear(x, h)) * linear(h))"),
        CellGraph.from_equations("gate = sigmoid(linear(x, h))\nh' = relu(gate * linear(h))"),
    )
    assert (" ", "gate = sigmoid(linear(x, h))") in changed_lines(difference)


def test_a_name_of_both_cells_for_unlike_values_is_given_once():
    before = "a = tanh(x)\nh' = a * linear(h)"
    after = "a = x - h\nh' = sigmoid(a) * linear(h)"
    difference = find_difference(CellGraph.from_equations(before), CellGraph.from_equations(after))
    names = [line.split()[0] for sign, line in changed_lines(difference) if sign != "-"]
    assert len(set(names)) == len(names)
    assert "a" in difference.before.nodes
    assert "a" not in difference.after.nodes or difference.after.nodes["a"].primitive == "sub"


def test_a_matrix_that_starts_otherwise_keeps_its_place():
    before = CellGraph.from_equations("h' = tanh(linear(x) + linear(h, diagonal=0.9, bias=no))")
    after = CellGraph.from_equations("h' = tanh(linear(x) + linear(h, diagonal=1.1, bias=no))")
    difference = find_difference(before, after)
    assert difference.before.nodes.keys() == difference.after.nodes.keys()
    assert len(difference.changed_after) == 1


def test_names_go_to_the_values_that_the_author_gave_them():
    cell = CellGraph.from_equations("a = x - tanh(h)\nb = x + tanh(h)\nh' = linear(a) * sigmoid(b)")
    named = find_difference(cell, zoo_cell("lstm")).before
    assert {name: named.nodes[name].primitive for name in "ab"} == {"a": "sub", "b": "add"}


@given(SEEDS, SEEDS, st.integers(1, 20), st.integers(1, 3))
def test_both_cells_stay_what_they_are(one, two, num_nodes, num_states):
    before, after = random_cell(one, num_nodes, num_states), random_cell(two, num_nodes, num_states)
    difference = find_difference(before, after)
    assert difference.before.digest == before.digest
    assert difference.after.digest == after.digest
    lines = changed_lines(difference)
    for keep, cell in ((" -", difference.before), (" +", difference.after)):
        assert sorted(line for sign, line in lines if sign in keep) == sorted(cell.equations().splitlines())


@given(SEEDS, st.integers(1, 20), st.integers(1, 3))
def test_another_spelling_of_a_cell_has_no_changes(seed, num_nodes, num_states):
    cell = random_cell(seed, num_nodes, num_states)
    other = CellGraph.from_structure(respell(cell.structure, random.Random(seed)))
    difference = find_difference(cell, other)
    assert difference.changed_before == difference.changed_after == frozenset()
    assert all(sign == " " for sign, _ in changed_lines(difference))


@given(SEEDS, st.sampled_from(["gru", "lstm", "mut1", "mut2", "mut3"]))
@settings(max_examples=40)
def test_what_is_not_marked_is_computed_alike(seed, name):
    parent = zoo_cell(name)
    try:
        child = mutate(parent, [SwapActivation()], random.Random(seed)).graph
    except NoChildError:
        return
    difference = find_difference(parent, child)
    before, after = difference.before, difference.after
    for value in {*after.nodes} - difference.changed_after:
        assert before.nodes[value] == after.nodes[value]
    # one to three activations were swapped; a `linear` in the place of another one may hand its bias on
    assert len(difference.changed_after) <= 10
    assert bool(difference.changed_after) == (parent.digest != child.digest)


@pytest.mark.parametrize("name", ["gru", "lstm", "mut1"])
def test_one_swapped_activation_is_one_change(name):
    canonical = zoo_cell(name).canonical()
    for node, found in canonical.nodes.items():
        if found.primitive in {"tanh", "sigmoid"}:
            text = canonical.to_json().replace(
                f'"name": "{node}", "primitive": "{found.primitive}"', f'"name": "{node}", "primitive": "relu"'
            )
            difference = find_difference(canonical, CellGraph.from_json(text))
            assert len(difference.changed_before) == len(difference.changed_after) == 1
