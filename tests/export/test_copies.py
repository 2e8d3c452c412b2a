"""Names of weights that nobody named: files of one export agree on them."""

import random

import pytest
import torch
from shared_exports import draw_mutant

from archsearch.compiler.layer import RecurrentLayer
from archsearch.export.cell_files import difference_of
from archsearch.export.copies import as_read
from archsearch.export.self_test import TOLERANCE
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.names import paired_values
from archsearch.graph.primitives import PRIMITIVES
from archsearch.graph.structure import Node, Structure

PLAIN = """z = sigmoid(linear(x) + linear(h))
n = tanh(linear(x) + linear(z * h))
h' = (1 - z) * n + z * h
"""


@pytest.fixture
def canonical():
    """A layer of the canonical graph, whose second matrix of x is `linear_2`; in equations that is one of h."""
    torch.manual_seed(0)
    return RecurrentLayer(CellGraph.from_equations(PLAIN).canonical(), 4, 4, num_layers=2, bidirectional=True)


def test_weights_get_the_names_of_the_equations(canonical):
    layer = as_read(canonical)
    x = torch.randn(5, 3, 4)
    assert torch.allclose(layer(x)[0], canonical(x)[0], atol=1e-6)
    again = RecurrentLayer(CellGraph.from_equations(layer.cell.equations()), 4, 4, num_layers=2, bidirectional=True)
    again.load_state_dict(layer.state_dict())
    assert torch.allclose(again(x)[0], layer(x)[0], atol=1e-6)
    assert as_read(layer) is layer


def test_equations_under_other_names_are_found_out(canonical):
    """The names are the same, and so are the shapes: only the numbers tell."""
    read = CellGraph.from_equations(canonical.cell.equations())
    assert read.digest == canonical.cell.digest
    assert set(RecurrentLayer(read, 4, 4, 2, bidirectional=True).state_dict()) == set(canonical.state_dict())
    assert difference_of(canonical, read) > 1000 * TOLERANCE
    assert difference_of(as_read(canonical), read) <= TOLERANCE


def test_names_of_the_equations_stay_when_read_again():
    """Of 300 canonical cells; many had other names, or nothing would be tested."""
    rng = random.Random(0)
    num_renamed = 0
    for _ in range(300):
        cell = draw_mutant(rng).canonical()
        read = CellGraph.from_equations(cell.equations())
        assert CellGraph.from_equations(read.equations()) == read, cell.equations()
        pairs = paired_values(cell.structure, read.structure)
        assert pairs is not None, cell.equations()
        num_renamed += any(
            (node.weights or name) != (read.nodes[pairs[name]].weights or pairs[name])
            for name, node in cell.nodes.items()
            if PRIMITIVES[node.primitive].has_weights
        )
    assert num_renamed >= 30


def test_a_node_that_equations_leave_out():
    """A factor of 1 is not written; weights that a person named keep their names."""
    nodes = {"a": Node("linear", ("x",)), "b": Node("affine", ("a",)), "t": Node("tanh", ("b",))}
    layer = RecurrentLayer(CellGraph.from_structure(Structure(("h",), nodes, {"h": "t"})), 3, 4)
    assert as_read(layer) is layer
    read = CellGraph.from_equations(layer.cell.equations())
    assert len(read.nodes) == 2
    assert difference_of(layer, read) <= TOLERANCE
