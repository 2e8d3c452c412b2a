"""Cells drawn for a terminal."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_cells import random_structure

from archsearch.drawing.terminal import draw_text
from archsearch.drawing.wires import wire
from archsearch.graph.catalog import zoo_cell, zoo_names
from archsearch.graph.cell_graph import CellGraph

GRU = """\
x   h
│   │
●───●───◆   v1 = linear(x, h)
│   │   ◇   r = sigmoid(v1)
│   ●───⊗   v2 = r * h
●───┼───◆   v3 = linear(x, v2)
│   │   ◆   n = tanh(v3)
◆───●   │   v4 = linear(x, h)
◇   │   │   z = sigmoid(v4)
│   ◆───●   v5 = h - n
⊗───●   │   v6 = z * v5
◆───────●   h' = n + v6
h'
"""


def test_gru():
    assert draw_text(zoo_cell("gru")) == GRU


def test_gates_and_what_they_rule_are_told_from_other_values():
    text = draw_text(
        CellGraph.from_equations("z = sigmoid(linear(x, h))\ns = sigmoid(linear(h))\nh' = (1 - z) * h + tanh(s)")
    )
    begins = {line.split(" = ")[0].split()[-1]: {*line} & {*"◆◇⊗"} for line in text.splitlines() if " = " in line}
    assert begins["z"] == {"◇"}
    assert begins["s"] == {"◆"}, "a sigmoid that multiplies nothing is no gate"
    assert [line.split(" = ")[1] for line in text.splitlines() if "⊗" in line] == ["v2 * h"]


def test_names_are_those_of_the_equations():
    gru = zoo_cell("gru").canonical()
    assert "g2 = sigmoid(linear(x, h" in gru.equations()
    assert "g2 = sigmoid(v" in draw_text(gru)


def test_new_states_that_repeat_a_value_have_a_row():
    text = draw_text(CellGraph.from_equations("h' = x + x\nc' = h'\nd' = d"))
    assert "h' = x + x" in text
    assert "c' = h'" in text
    assert "d' = d" in text
    assert "h' = x" in draw_text(CellGraph.from_equations("h' = x"))


def test_what_a_matrix_starts_from_is_shown():
    text = draw_text(CellGraph.from_equations("h' = linear(x, diagonal=0.9, bias_init=1) * linear(h, bias=no)"))
    assert "v1 = linear(x, diagonal=0.9, bias_init=1)" in text
    assert "v2 = linear(h, bias=no)" in text


def test_a_sum_of_three_matrices_is_one_row():
    assert "h' = linear(x, h, c)" in draw_text(CellGraph.from_equations("h' = linear(x, h, c)\nc' = c * h"))


def test_matrices_that_the_short_form_cannot_write_have_rows_of_their_own():
    assert "h' = v1 + v2" in draw_text(CellGraph.from_equations("h' = linear(x) + linear(h)"))
    shared = draw_text(CellGraph.from_equations("a = linear(h, bias=no)\nc' = a * c\nh' = linear(x) + a"))
    assert "h' = v1 + a" in shared or "h' = v2 + a" in shared


def test_a_wire_ends_at_its_last_reader_even_if_that_reads_it_twice():
    assert draw_text(CellGraph.from_equations("a = x * x\nh' = a - h")) == (
        "x   h\n│   │\n◆   │   a = x * x\n◆───●   h' = a - h\nh'\n"
    )


def assert_wires_connect(cell: CellGraph) -> None:
    """Every wire that a row reads runs there, and no new value is put on a wire that someone still reads."""
    wiring = wire(cell)
    holds = dict(wiring.top)
    for row in wiring.rows:
        name, _, text = row.label.partition(" = ")
        read = {holds[column] for column in row.reads}
        words = {word.strip("(),") for word in text.replace("(", " ").split()}
        assert read == words & set(holds.values()) - ({name} - read)
        assert set(row.reads) <= row.running
        if row.result is not None:
            holds[row.result] = name
    assert all(holds[column] == name for column, name in wiring.bottom.items())


@pytest.mark.parametrize("name", zoo_names())
def test_wires_of_the_zoo_connect(name):
    assert_wires_connect(zoo_cell(name))


@given(st.integers(0, 10**9), st.integers(1, 30), st.integers(1, 4))
def test_wires_connect(seed, num_nodes, num_states):
    cell = CellGraph.from_structure(random_structure(random.Random(seed), num_nodes, num_states))
    assert_wires_connect(cell)
    assert len(draw_text(cell).splitlines()) == len(wire(cell).rows) + (3 if wire(cell).rows else 2)


def test_highlighted_rows_have_a_star():
    cell = zoo_cell("gru")
    lines = draw_text(cell, ["n", "linear_2", "h'"]).splitlines()
    assert [line.split("* ")[1] for line in lines if "   * " in line] == [
        "v1 = linear(x, h)",
        "n = tanh(v3)",
        "h' = n + v6",
    ]
    plain = [line.replace("   * ", "   ").replace("     ", "   ") for line in lines]
    assert [line.split() for line in plain] == [line.split() for line in GRU.splitlines()]


def test_highlighted_nodes_of_a_canonical_cell_are_found_under_the_names_of_its_equations():
    lines = draw_text(zoo_cell("gru").canonical(), ["sigmoid_2"]).splitlines()
    assert [line.split("* ")[1] for line in lines if "   * " in line] == ["g2 = sigmoid(v1)"]


def test_highlighted_new_states_that_repeat_a_value_have_a_star():
    lines = draw_text(CellGraph.from_equations("h' = x + h\nc' = h'"), ["c'"]).splitlines()
    assert [line.split("* ")[1] for line in lines if "   * " in line] == ["c' = h'"]


def test_affine_and_peephole_read_as_in_equations():
    text = draw_text(CellGraph.from_equations("z = peephole(h, diagonal=0.5)\nh' = (1 - z) * (0.5 * x) - (2 * z + 1)"))
    assert "z = peephole(h, diagonal=0.5)" in text
    assert " = 1 - z" in text
    assert " = 0.5 * x" in text
    assert " = 2 * z + 1" in text
