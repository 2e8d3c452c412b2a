"""Random cells taken away and brought back: equations, JSON and Python all equal the layer.

ARCHSEARCH_RANDOM_CELLS sets how many; 300 take some minutes.
"""

import os
from functools import partial

import pytest
import torch
from shared_exports import assert_equal_gradients, build_module, random_cells

from archsearch.compiler.layer import RecurrentLayer
from archsearch.export.agreement import largest_difference
from archsearch.export.cell_files import difference_of
from archsearch.export.python_file import run
from archsearch.export.self_test import TOLERANCE
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.names import paired_values

COUNT = int(os.environ.get("ARCHSEARCH_RANDOM_CELLS", "100"))
CHUNK = 10


@pytest.mark.parametrize("chunk", range((COUNT + CHUNK - 1) // CHUNK))
def test_random_cells_come_back_equal(chunk):
    """In one layer or two, in one direction or both; in float64, as deep cells amplify rounding."""
    for index, cell in enumerate(random_cells(chunk, min(CHUNK, COUNT - chunk * CHUNK))):
        num_layers, bidirectional = 1 + index % 2, index % 3 == 0
        torch.manual_seed(index)
        layer = RecurrentLayer(cell, 3, 4, num_layers, bidirectional=bidirectional, engine="interpreter").double()
        read = CellGraph.from_equations(cell.equations())
        assert paired_values(cell.structure, read.structure) is not None, cell.equations()
        assert CellGraph.from_equations(read.equations()).structure == read.structure
        assert CellGraph.from_json(cell.to_json()) == cell
        assert difference_of(layer, read) <= TOLERANCE, cell.equations()
        assert difference_of(layer, CellGraph.from_json(cell.to_json())) <= TOLERANCE, cell.equations()
        assert exported_difference(layer) <= TOLERANCE, cell.equations()


def exported_difference(layer: RecurrentLayer) -> float:
    """Returns the largest difference of outputs and states, relative beyond 1; gradients are compared, too."""
    module = build_module(
        layer.cell, layer.input_size, layer.hidden_size, layer.num_layers, bidirectional=layer.bidirectional
    ).double()
    module.load_state_dict(layer.state_dict())
    x = torch.randn(5, 2, layer.input_size, dtype=torch.float64)
    assert_equal_gradients(layer, layer(x), module, module(x))
    return largest_difference(layer, partial(run, module))
