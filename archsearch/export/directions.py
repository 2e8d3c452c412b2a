"""The layers of a module as an exported file walks them: bottom to top, and in each the ways it reads a sequence."""

from dataclasses import dataclass

from archsearch.compiler.cell_weights import CellWeights
from archsearch.compiler.layer import DIRECTIONS, RecurrentLayer


@dataclass(frozen=True)
class Direction:
    """One reading of the sequence by one layer.

    Attributes:
        stored: What its weights' names begin with in a `state_dict`.
        weights: Its weights.
        input_size: The features of what it reads.
        is_backward: Whether it begins with the last time step.
        row: Where its states stand in `[rows, B, H]`.
    """

    stored: str
    weights: CellWeights
    input_size: int
    is_backward: bool
    row: int


def directions_per_layer(layer: RecurrentLayer) -> list[list[Direction]]:
    """Returns the directions of each layer, whose outputs stand side by side."""
    stack = layer.stacked_weights()
    num_directions = len(stack[0])
    return [
        [
            Direction(
                stored=f"{name}.{level}",
                weights=weights,
                input_size=layer.hidden_size * num_directions if level else layer.input_size,
                is_backward=bool(number),
                row=level * num_directions + number,
            )
            for number, (name, weights) in enumerate(zip(DIRECTIONS, directions, strict=False))
        ]
        for level, directions in enumerate(stack)
    ]


def count_rows(layer: RecurrentLayer) -> int:
    """Returns how many layers and directions have states of their own."""
    return sum(len(directions) for directions in layer.stacked_weights())
