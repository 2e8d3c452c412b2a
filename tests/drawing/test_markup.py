"""Cells in Mermaid and DOT."""

import re

import pytest

from archsearch.drawing.markup import to_dot, to_mermaid
from archsearch.graph.catalog import zoo_cell, zoo_names
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.structure import Node, Structure

CELL = CellGraph.from_equations("end = linear(x, diagonal=0.9)\nh' = end - tanh(h)")


def test_mermaid():
    assert to_mermaid(CELL) == (
        "flowchart TD\n"
        '    v0(["x"])\n'
        '    v1(["h"])\n'
        '    v2["linear diagonal 0.9"]\n'
        '    v3["tanh"]\n'
        '    v4["-"]\n'
        '    v5(["h\'"])\n'
        "    v0 --> v2\n"
        "    v1 --> v3\n"
        "    v2 -->|a| v4\n"
        "    v3 -->|b| v4\n"
        "    v4 --> v5\n"
    )


def test_dot():
    assert to_dot(CELL) == (
        "digraph cell {\n"
        '    v0 [label="x", shape=ellipse];\n'
        '    v1 [label="h", shape=ellipse];\n'
        '    v2 [label="linear diagonal 0.9", shape=box];\n'
        '    v3 [label="tanh", shape=box];\n'
        '    v4 [label="-", shape=box];\n'
        '    v5 [label="h\'", shape=ellipse];\n'
        "    v0 -> v2;\n"
        "    v1 -> v3;\n"
        '    v2 -> v4 [label="a"];\n'
        '    v3 -> v4 [label="b"];\n'
        "    v4 -> v5;\n"
        "}\n"
    )


@pytest.mark.parametrize("name", zoo_names())
def test_each_edge_is_drawn_once(name):
    cell = zoo_cell(name)
    assert len(re.findall(r" -->", to_mermaid(cell))) == cell.graph.number_of_edges()
    assert len(re.findall(r" -> ", to_dot(cell))) == cell.graph.number_of_edges()


def test_highlighted_nodes_and_new_states_are_marked():
    mermaid, dot = to_mermaid(CELL, ["end", "h'"]), to_dot(CELL, ["end", "h'"])
    assert "classDef changed stroke:" in mermaid
    assert mermaid.endswith("    class v2,v5 changed\n")
    marked = [line.split()[0] for line in dot.splitlines() if "penwidth=3" in line]
    assert marked == ["v2", "v5"]
    assert "changed" not in to_mermaid(CELL)
    assert "penwidth" not in to_dot(CELL)


def test_matrices_show_their_names_and_starts():
    cell = CellGraph.from_equations("h' = linear(x, bias_init=2, name=forget) * linear(h, bias=no)")
    assert '["linear forget bias 2"]' in to_mermaid(cell)
    assert 'label="linear no bias", shape=box' in to_dot(cell)


def test_affine_and_peephole():
    cell = CellGraph.from_equations("z = peephole(h, diagonal=0.5, name=peep)\nh' = (1 - z) * x")
    assert '{{"peephole peep diagonal 0.5"}}' in to_mermaid(cell)
    assert '["1 - a"]' in to_mermaid(cell)
    assert 'label="peephole peep diagonal 0.5", shape=hexagon' in to_dot(cell)
    assert 'label="1 - a", shape=box' in to_dot(cell)


def test_names_are_escaped():
    """No checked cell has such a name; the drawing does not rely on it."""
    cell = object.__new__(CellGraph)
    nodes = {"a": Node("linear", ("h",), weights='q"];\\#'), "b": Node("mul", ("a", "x"))}
    cell._structure = Structure(("h",), nodes, {"h": "b"})
    assert '["linear q#quot;];\\#35;"]' in to_mermaid(cell)
    assert 'label="linear q\\"];\\\\#", shape=box' in to_dot(cell)
