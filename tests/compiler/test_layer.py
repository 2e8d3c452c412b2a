"""Layers against cells written by hand, and the calling convention; torch's own are in `test_layer_equals_torch`."""

import copy
import pickle

import pytest
import torch
from shared_torch_pairs import as_tuple

from archsearch.compiler.layer import RecurrentLayer
from archsearch.graph.catalog import zoo_names
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.cost import count_parameters

TOLERANCES = {torch.float32: 1e-6, torch.float64: 1e-10}


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_gru_equals_a_hand_written_one(dtype):
    """Cho 2014 as Jozefowicz 2015 writes it: the reset before the matrix, `h' = z*h + (1-z)*n`."""
    layer = RecurrentLayer("gru", 5, 7).to(dtype)
    weights = {name: tensor.detach().clone().requires_grad_() for name, tensor in layer.layers[0].named_parameters()}
    torch.manual_seed(5)
    x = torch.randn(6, 3, 5, dtype=dtype)
    h = torch.randn(3, 7, dtype=dtype)
    output, last = layer(x, h[None])
    expected = []
    for x_t in x:
        r = torch.sigmoid(x_t @ weights["reset_1.weight"].T + h @ weights["reset_2.weight"].T + weights["reset_1.bias"])
        z = torch.sigmoid(
            x_t @ weights["update_1.weight"].T + h @ weights["update_2.weight"].T + weights["update_1.bias"]
        )
        n = torch.tanh(x_t @ weights["new_1.weight"].T + (r * h) @ weights["new_2.weight"].T + weights["new_1.bias"])
        h = z * h + (1 - z) * n
        expected.append(h)
    tolerance = TOLERANCES[dtype]
    torch.testing.assert_close(output, torch.stack(expected), rtol=0, atol=tolerance)
    torch.testing.assert_close(last, h[None], rtol=0, atol=tolerance)
    output.square().mean().backward()
    torch.stack(expected).square().mean().backward()
    for name, parameter in layer.layers[0].named_parameters():
        torch.testing.assert_close(parameter.grad, weights[name].grad, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", zoo_names())
def test_every_cell_of_the_zoo_runs_stacked_and_counts(name):
    layer = RecurrentLayer(name, 5, 7, num_layers=2)
    output, last = layer(torch.randn(4, 3, 5))
    assert output.shape == (4, 3, 7)
    assert all(state.shape == (2, 3, 7) for state in as_tuple(last))
    assert torch.equal(as_tuple(last)[0][-1], output[-1])  # h is the output
    structure = layer.cell.structure
    expected = count_parameters(structure, 5, 7) + count_parameters(structure, 7, 7)
    assert sum(parameter.numel() for parameter in layer.parameters()) == expected


def test_one_sequence_without_a_batch():
    for name in ("gru", "lstm"):
        layer = RecurrentLayer(name, 5, 7, num_layers=2, batch_first=True)
        x = torch.randn(4, 5)
        output, last = layer(x)
        batched, batched_last = layer(x[None])
        torch.testing.assert_close(output, batched[0])
        for state, other in zip(as_tuple(last), as_tuple(batched_last), strict=True):
            assert state.shape == (2, 7)
            torch.testing.assert_close(state, other[:, 0])
        again, _ = layer(x[2:], layer(x[:2])[1])
        torch.testing.assert_close(again, output[2:])


@pytest.mark.parametrize("name", ["gru", "lstm", "mut1"])
def test_a_sequence_does_not_depend_on_its_batch_mates(name):
    layer = RecurrentLayer(name, 5, 7).double()
    x = torch.randn(6, 4, 5, dtype=torch.float64)
    other = x.clone()
    other[:, 1:] = torch.randn(6, 3, 5, dtype=torch.float64)
    torch.testing.assert_close(layer(x)[0][:, 0], layer(other)[0][:, 0], rtol=0, atol=1e-14)
    torch.testing.assert_close(layer(x)[0][:, :1], layer(x[:, :1])[0], rtol=0, atol=1e-14)


def test_states_are_in_the_cells_order_and_given_ones_unchanged():
    cell = CellGraph.from_equations("states: c, h\nc' = c + tanh(linear(x, h))\nh' = tanh(c')")
    layer = RecurrentLayer(cell, 3, 4)
    c, h = torch.randn(1, 2, 4), torch.randn(1, 2, 4)
    kept = c.clone(), h.clone()
    output, (c_n, h_n) = layer(torch.randn(5, 2, 3), (c, h))
    assert torch.equal(h_n[0], output[-1])
    torch.testing.assert_close(torch.tanh(c_n), h_n)
    assert torch.equal(c, kept[0])
    assert torch.equal(h, kept[1])


def test_input_projection_only_where_it_is_needed():
    layer = RecurrentLayer("mut1", 3, 4, num_layers=2)
    assert layer.layers[0].input_projection.weight.shape == (4, 3)
    assert "input_projection" not in dict(layer.layers[1].named_children())
    assert "input projection" in repr(layer)
    assert "input projection" not in repr(RecurrentLayer("mut1", 4, 4))
    assert "states=(h, c)" in repr(RecurrentLayer("lstm", 3, 4))
    assert f"engine={layer.engine}" in repr(layer)


@pytest.mark.parametrize("name", ["mut1", "lstm"])
def test_copies_compute_the_same(name):
    layer = RecurrentLayer(name, 3, 4, num_layers=2)
    x = torch.randn(5, 2, 3)
    fresh = RecurrentLayer(name, 3, 4, num_layers=2)
    assert not torch.equal(fresh(x)[0], layer(x)[0])
    fresh.load_state_dict(layer.state_dict())
    for other in (fresh, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):  # noqa: S301
        assert torch.equal(other(x)[0], layer(x)[0])


def test_a_cell_without_weights_runs():
    layer = RecurrentLayer(CellGraph.from_equations("h' = h + tanh(x * h)"), 3, 3)
    assert layer(torch.ones(2, 1, 3))[0].shape == (2, 1, 3)


def test_keywords_and_switches_as_in_torch():
    layer = RecurrentLayer("gru", 3, 4)
    output, _ = layer(input=torch.randn(2, 1, 3), hx=torch.zeros(1, 1, 4))
    assert output.shape == (2, 1, 4)
    assert (layer.input_size, layer.hidden_size, layer.num_layers, layer.batch_first) == (3, 4, 1, False)
