"""Derivatives of derivatives, which generated passes do not have: by another engine's forward pass and autograd."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from archsearch.compiler.program import CellProgram
from archsearch.errors import EngineError

Run = Callable[[Tensor, tuple[Tensor, ...], Mapping[str, Tensor]], tuple[Tensor, tuple[Tensor, ...]]]


class Generated(Protocol):
    """An engine whose gradients cannot be derived again."""

    program: CellProgram
    for_second_derivatives: Run | None


def differentiable_gradients(
    name: str, engine: Generated, keys: Sequence[str], tensors: tuple[Tensor, ...], given: tuple[Tensor | None, ...]
) -> tuple[Tensor | None, ...]:
    """Returns gradients that can be derived again and transformed.

    Args:
        name: The engine's, for messages.
        engine: Whose backward pass was called.
        keys: Of the weights among the tensors.
        tensors: `x`, the states and the weights.
        given: Gradients of the output and of the states after the last step.

    Raises:
        EngineError: The engine has nothing that computes them.
    """
    if engine.for_second_derivatives is None:
        missing = "derivatives of derivatives (create_graph=True)" if torch.is_grad_enabled() else "batched derivatives"
        raise EngineError(
            f"engine {name}: it has no {missing}. Use engine=interpreter, or engine=auto in full precision."
        )
    num_states = len(engine.program.states)
    with torch.enable_grad():
        # of its own for each place: one tensor may stand in several, and has a history that autograd walks itself
        tensors = tuple([tensor.view_as(tensor) if tensor.requires_grad else tensor for tensor in tensors])
        x, *others = tensors
        parameters = dict(zip(keys, others[num_states:], strict=True))
        output, after = engine.for_second_derivatives(x, tuple(others[:num_states]), parameters)
    # to autograd each result of the node depends on all that it takes; in truth some depend on nothing that is derived
    pairs = [
        (value, gradient)
        for value, gradient in zip((output, *after), given, strict=True)
        if gradient is not None and value.requires_grad
    ]
    wanted = [tensor for tensor in tensors if tensor.requires_grad]
    found = torch.autograd.grad(
        [value for value, _ in pairs],
        wanted,
        [gradient for _, gradient in pairs],
        create_graph=True,
        allow_unused=True,
    )
    gradients = iter(found)
    return tuple(next(gradients) if tensor.requires_grad else None for tensor in tensors)
