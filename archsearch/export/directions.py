"""The layers of a module as an exported file walks them: bottom to top, and in each the ways it reads a sequence."""

from dataclasses import dataclass

from archsearch.compiler.cell_weights import CellWeights, weights_per_layer
from archsearch.compiler.layer import RecurrentLayer


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
    stacks = [("layers", weights_per_layer(layer.layers))]
    if layer.bidirectional:
        stacks.append(("reverse_layers", weights_per_layer(layer.reverse_layers)))
    return [
        [
            Direction(
                stored=f"{name}.{index}",
                weights=stack[index],
                input_size=layer.hidden_size * len(stacks) if index else layer.input_size,
                is_backward=name == "reverse_layers",
                row=index * len(stacks) + number,
            )
            for number, (name, stack) in enumerate(stacks)
        ]
        for index in range(layer.num_layers)
    ]


def count_rows(layer: RecurrentLayer) -> int:
    """Returns how many layers and directions have states of their own."""
    return sum(len(directions) for directions in directions_per_layer(layer))
