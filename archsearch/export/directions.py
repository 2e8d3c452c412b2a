"""The layers of a module as an exported file walks them: bottom to top, and in each the ways it reads a sequence."""

from collections.abc import Iterator
from dataclasses import dataclass

from archsearch.compiler.cell_weights import CellWeights, weights_per_layer
from archsearch.compiler.layer import RecurrentLayer


@dataclass(frozen=True)
class Direction:
    """One reading of the sequence by one layer.

    Attributes:
        stored: What its weights' names begin with in a `state_dict`.
        weights: Its weights.
        layer: Its layer, counted from the bottom.
        is_backward: Whether it begins with the last time step.
        row: Where its states stand in `[rows, B, H]`.
    """

    stored: str
    weights: CellWeights
    layer: int
    is_backward: bool
    row: int


def directions_per_layer(layer: RecurrentLayer) -> Iterator[list[Direction]]:
    """Returns the directions of each layer, whose outputs stand side by side."""
    for index, weights in enumerate(weights_per_layer(layer.layers)):
        yield [Direction(f"layers.{index}", weights, index, is_backward=False, row=index)]
