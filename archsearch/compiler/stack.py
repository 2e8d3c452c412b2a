"""Stacked layers, each in one or both directions."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import dropout

from archsearch.compiler.cell_weights import CellWeights, tensors_by_name
from archsearch.compiler.engines import Unroll
from archsearch.compiler.sequences import Sequences


def run_stack(
    engine: Unroll,
    sequences: Sequences,
    stack: Sequence[Sequence[CellWeights]],
    x: Tensor,
    before: Sequence[tuple[Tensor, ...]],
    dropout_probability: float = 0.0,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Runs layers, each of which reads the outputs of the one below.

    Shapes: `B` sequences, `H` hidden units, `L` layers, `D` directions.

    Args:
        engine: Runs the cell.
        sequences: The layout of `x`.
        stack: The weights of each layer: forward and, if it has one, backward.
        x: Inputs, features last.
        before: `[1, B, H]` states for each layer's forward direction, and before the next layer its backward one; see
            `rows_of`.
        dropout_probability: With which an output of any layer but the last is zeroed.

    Returns:
        The outputs of the last layer, laid out as `x`, `D * H` wide, and the states after the last step,
        `[L * D, B, H]` each.
    """
    if len(stack) == 1 == len(stack[0]):
        return sequences.unroll(engine, x, before[0], tensors_by_name(stack[0][0]), False)
    after: list[tuple[Tensor, ...]] = []
    for level, directions in enumerate(stack):
        if level and dropout_probability:
            x = dropout(x, dropout_probability)
        outputs = []
        for is_reversed, weights in enumerate(directions):
            states = before[len(after)]
            output, states = sequences.unroll(engine, x, states, tensors_by_name(weights), bool(is_reversed))
            outputs.append(output)
            after.append(states)
        x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
    return x, tuple(torch.cat(layers) for layers in zip(*after, strict=True))


def rows_of(states: tuple[Tensor, ...], num_rows: int) -> list[tuple[Tensor, ...]]:
    """Returns states `[L * D, B, H]` as `run_stack` takes them, row by row; `num_rows` is `L * D`."""
    if num_rows == 1:
        return [states]
    return [tuple([state[row : row + 1] for state in states]) for row in range(num_rows)]
