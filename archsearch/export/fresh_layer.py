"""A layer with newly drawn weights, the same for the same seed."""

import torch

from archsearch.compiler.layer import RecurrentLayer
from archsearch.graph.cell_graph import CellGraph


def fresh_layer(
    cell: CellGraph, input_size: int, hidden_size: int, num_layers: int, seed: int, bidirectional: bool = False
) -> RecurrentLayer:
    """Builds a layer whose weights depend on the arguments alone; torch's global generator stays as it was."""
    with torch.random.fork_rng(devices=()):
        layer = RecurrentLayer(cell, input_size, hidden_size, num_layers, bidirectional=bidirectional)
    layer.reset_parameters(generator=torch.Generator().manual_seed(seed))
    return layer
