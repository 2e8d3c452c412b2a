"""A calculation with made-up numbers that a layer and its exported module both go through.

The exported module carries the source of both functions, so that they use torch alone.
"""

import torch
from torch import Tensor, nn


def numbers(shape: torch.Size, start: int, scale: float = 1.0) -> Tensor:
    """Returns numbers between -scale / 2 and scale / 2 that are the same on every machine."""
    index = torch.arange(start, start + shape.numel())
    return (((index * index * 37 + index * 101) % 211).double() / 211 - 0.5).reshape(shape) * scale


def probe(
    module: nn.Module, input_size: int, state_shape: tuple[int, ...], num_states: int, num_steps: int, scale: float
) -> Tensor:
    """Sets the weights; returns outputs, new states and the gradient of the input, one after the other."""
    module = module.double()
    with torch.no_grad():
        for index, parameter in enumerate(module.parameters()):
            parameter.copy_(numbers(parameter.shape, 1000 * (index + 1), scale))
    x = numbers(torch.Size((num_steps, state_shape[1], input_size)), 0, scale).requires_grad_()
    shape = torch.Size(state_shape)
    before = [numbers(shape, 100 * (index + 1), scale).requires_grad_() for index in range(num_states)]
    output, after = module(x, before[0] if num_states == 1 else tuple(before))
    states = [after] if num_states == 1 else list(after)
    total = (output * numbers(output.shape, 7)).sum() + sum(state.sum() for state in states)
    (gradient,) = torch.autograd.grad(total, x, allow_unused=True, materialize_grads=True)
    return torch.cat([tensor.detach().flatten() for tensor in (output, *states, gradient)])
