"""How a cell of the zoo is compared with numbers from elsewhere: `from shared_zoo_numbers import assert_equal_numbers`.

A peer computes the same cell in other code. It takes our weights by name, so that gradients of ours come out of it.
"""

from collections.abc import Callable, Mapping

import torch
from shared_unrolling import values_and_gradients, worst_error
from torch import Tensor

from archsearch.compiler.engines import ENGINES
from archsearch.compiler.lower import lower
from archsearch.graph.catalog import zoo_cell

Weights = Mapping[str, Tensor]
Peer = Callable[[Tensor, tuple[Tensor, ...], Weights], tuple[Tensor, tuple[Tensor, ...]]]

NUM_STEPS, BATCH_SIZE, INPUT_SIZE, HIDDEN_SIZE = 6, 3, 4, 5
# of the largest number of a tensor; float32 has 6e-8, and rounding adds up over six steps and back
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6}


def draw_weights(name: str, input_size: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """Draws all weights of a cell, biases included, none of them zero."""
    generator = torch.Generator().manual_seed(3)
    weights = {}
    for spec in lower(zoo_cell(name).structure).parameters:
        shape = (HIDDEN_SIZE,) if spec.is_vector else (HIDDEN_SIZE, input_size if spec.width == "I" else HIDDEN_SIZE)
        weights[f"{spec.name}.weight"] = 0.6 * torch.randn(shape, generator=generator, dtype=torch.float64)
        if spec.bias:
            weights[f"{spec.name}.bias"] = 0.6 * torch.randn(HIDDEN_SIZE, generator=generator, dtype=torch.float64)
    return {key: tensor.to(dtype).requires_grad_() for key, tensor in weights.items()}


def assert_equal_numbers(name: str, peer: Peer, engine: str, dtype: torch.dtype, input_size: int = INPUT_SIZE) -> None:
    """Compares outputs, last states and all gradients of a cell with its peer's, from states that are not zero."""
    structure = zoo_cell(name).structure
    generator = torch.Generator().manual_seed(4)
    x = torch.randn((NUM_STEPS, BATCH_SIZE, input_size), generator=generator, dtype=torch.float64)
    shape = (BATCH_SIZE, HIDDEN_SIZE)
    states = [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in structure.states]
    x, *states = (tensor.to(dtype).requires_grad_() for tensor in (x, *states))
    weights = draw_weights(name, input_size, dtype)
    unroll = ENGINES[engine](lower(structure))

    def run(x: Tensor, states: tuple[Tensor, ...], weights: Weights) -> tuple[Tensor, tuple[Tensor, ...]]:
        output, after = unroll(x, tuple(state[None] for state in states), weights)
        return output, tuple(state[0] for state in after)

    actual = values_and_gradients(run, x, tuple(states), weights)
    expected = values_and_gradients(peer, x, tuple(states), weights)
    # a peer that passes a weight by would agree with a cell that does
    assert all(float(gradient.abs().max()) > 0 for gradient in expected[-len(weights) :])
    error, index = worst_error(actual, expected)
    assert error < TOLERANCE[dtype], f"{name}, tensor {index}: {error:.2e}"


def unrolled(step: Callable[..., tuple[Tensor, ...]]) -> Peer:
    """Makes a peer of one step, `(x_t, states, weights) -> new states`, of which the first is the output."""

    def run(x: Tensor, states: tuple[Tensor, ...], weights: Weights) -> tuple[Tensor, tuple[Tensor, ...]]:
        outputs = []
        for x_t in x:
            states = step(x_t, states, weights)
            outputs.append(states[0])
        return torch.stack(outputs), tuple(states)

    return run
