"""Layers with the weights of another, to compare exported files with."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from archsearch.compiler.layer import RecurrentLayer
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.names import paired_values
from archsearch.graph.primitives import PRIMITIVES


def in_double(layer: RecurrentLayer) -> RecurrentLayer:
    """Returns a copy in float64: there a cell that amplifies rounding does not look like another cell."""
    return deepcopy(layer).double()


def options_of(layer: RecurrentLayer) -> dict[str, Any]:
    """Returns the keywords that a layer and its exported class have in common, as a layer has them."""
    names = ("input_size", "hidden_size", "num_layers", "batch_first", "dropout", "bidirectional")
    return {name: getattr(layer, name) for name in names}


def empty_copy(layer: RecurrentLayer, cell: CellGraph | None = None) -> RecurrentLayer:
    """Returns a layer in float64 with the sizes and options of another, of its cell or of another one."""
    with torch.random.fork_rng(devices=()):
        return RecurrentLayer(cell or layer.cell, engine="interpreter", **options_of(layer)).double()


def as_read(layer: RecurrentLayer) -> RecurrentLayer:
    """Returns a layer whose weights have the names that they get when its cell is read from its equations.

    Weights that nobody named are numbered where they stand, which differs between a canonical graph and its equations:
    files of one export must agree.

    Returns:
        A layer like it with the same weights; the layer itself where the names are those already, or where equations
        are read with fewer nodes (a factor of 1 is not written): there the check of the written file tells.
    """
    cell = CellGraph.from_equations(layer.cell.equations())
    if cell == layer.cell or paired_values(layer.cell.structure, cell.structure) is None:
        return layer
    state = respelt_weights(layer, cell)
    with torch.random.fork_rng(devices=()):
        other = RecurrentLayer(cell, **options_of(layer), dtype=next(iter(state.values())).dtype if state else None)
    other.load_state_dict(state)
    return other.train(layer.training)


def respelt_weights(layer: RecurrentLayer, cell: CellGraph) -> dict[str, Tensor]:
    """Returns a layer's `state_dict` under the names that its weights have in another spelling of its cell.

    Raises:
        ValueError: The other cell is not the same but for names.
    """
    pairs = paired_values(layer.cell.structure, cell.structure)
    if pairs is None:
        raise ValueError("more than names differs")
    renamed = {
        node.weights or name: cell.nodes[pairs[name]].weights or pairs[name]
        for name, node in layer.cell.nodes.items()
        if PRIMITIVES[node.primitive].has_weights
    }
    state: dict[str, Tensor] = {}
    for key, tensor in layer.state_dict().items():
        stack, index, name, kind = key.split(".")
        state[f"{stack}.{index}.{renamed.get(name, name)}.{kind}"] = tensor
    return state
