"""Cells in Mermaid and DOT."""

import re

import pytest

from archsearch.drawing.markup import to_dot, to_mermaid
from archsearch.graph.catalog import zoo_cell, zoo_names
from archsearch.graph.cell_graph import CellGraph

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
