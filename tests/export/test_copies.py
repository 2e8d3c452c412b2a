"""Names of weights that nobody named: files of one export agree on them."""

import pytest
import torch

from archsearch.compiler.layer import RecurrentLayer
from archsearch.export.cell_files import difference_of
from archsearch.export.copies import as_read
from archsearch.export.self_test import TOLERANCE
from archsearch.graph.cell_graph import CellGraph

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
