"""Gradients that can be derived again, or many of them at once, where calls follow one another or share tensors."""

import pytest
import torch
from shared_unrolling import why_not_native
from torch.nn.utils.rnn import pack_sequence

from archsearch.compiler.layer import RecurrentLayer
from archsearch.compiler.recurrent_cell import RecurrentCell
from archsearch.graph.cell_graph import CellGraph


@pytest.fixture(autouse=True)
def _native():
    if why_not_native() is not None:
        pytest.skip(why_not_native())


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def loop_of_cells(engine):
    cell = RecurrentCell("gru", 2, 3, engine=engine, dtype=torch.float64)
    x, h = draw(3, 1, 2), torch.zeros(1, 3, dtype=torch.float64)
    for x_t in x:
        h = cell(x_t, h)
    return h, list(cell.parameters())


def packed_sequences(engine):
    """Two lengths: two runs, the second from the states of the first."""
    layer = RecurrentLayer("lstm", 2, 3, engine=engine, dtype=torch.float64)
    output, _ = layer(pack_sequence([draw(4, 2), draw(2, 2)]))
    return output.data, list(layer.parameters())


def one_tensor_as_both_states(engine):
    layer = RecurrentLayer("lstm", 2, 3, engine=engine, dtype=torch.float64)
    state = draw(1, 1, 3).requires_grad_()
    _, (h, c) = layer(draw(1, 1, 2), (state, state))
    return h + c, [state, *layer.parameters()]


def one_tensor_as_two_weights(engine):
    layer = RecurrentLayer("gru_torch", 3, 3, engine=engine, dtype=torch.float64)
    weights = layer.layers[0]
    weights.reset_2.weight = weights.update_2.weight
    output, _ = layer(draw(3, 2, 3))
    return output, list(layer.parameters())


def state_without_derivatives(engine):
    cell = CellGraph.from_equations("h' = tanh(linear(x, h) + c)\nc' = c")
    layer = RecurrentLayer(cell, 2, 3, engine=engine, dtype=torch.float64)
    output, (_, c) = layer(draw(3, 1, 2))
    return output + c, list(layer.parameters())


def gradients(value, inputs):
    return torch.autograd.grad(value.sum(), inputs, create_graph=True)


def hessian_vector_products(value, inputs):
    vectors = [draw(*tensor.shape) for tensor in inputs]
    products = sum((one * other).sum() for one, other in zip(gradients(value.square(), inputs), vectors, strict=True))
    return torch.autograd.grad(products, inputs)


def batched_gradients(value, inputs):
    return torch.autograd.grad(value, inputs, draw(4, *value.shape), is_grads_batched=True)


@pytest.mark.parametrize("derive", [gradients, hessian_vector_products, batched_gradients])
@pytest.mark.parametrize(
    "call",
    [
        loop_of_cells,
        packed_sequences,
        one_tensor_as_both_states,
        one_tensor_as_two_weights,
        state_without_derivatives,
    ],
)
def test_equal_to_the_interpreter(call, derive):
    results = []
    for engine in ("auto", "interpreter"):
        torch.manual_seed(0)
        value, inputs = call(engine)
        results.append(derive(value, inputs))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
