"""How weights are drawn, and loaded by name."""

import math

import numpy as np
import pytest
import torch

from archsearch.compiler.layer import RecurrentLayer
from archsearch.errors import ConfigError, ShapeError
from archsearch.graph.cell_graph import CellGraph

CELL = "h' = tanh(linear(x, name=a, bias_init=0.5, diagonal=3) + linear(h, name=b, bias=no, diagonal=0.9)) + x"


@pytest.mark.parametrize("init_scale", [0.3, 1.0, 2.8])
def test_weights_are_uniform_in_the_scale_over_the_root_of_the_units(init_scale):
    """R20: U[-s/sqrt(n), s/sqrt(n)], n the units of the layer, also for the matrix of x."""
    layer = RecurrentLayer("gru", 50, 100)
    layer.reset_parameters(init_scale, torch.Generator().manual_seed(0))
    bound = init_scale / math.sqrt(100)
    for name, parameter in layer.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
            continue
        assert parameter.abs().max() <= bound
        assert parameter.abs().max() > 0.99 * bound
        assert abs(float(parameter.mean().detach())) < 0.02 * bound
        assert float(parameter.std().detach()) == pytest.approx(bound / math.sqrt(3), rel=0.02)


@pytest.mark.parametrize(("input_size", "hidden_size"), [(6, 4), (4, 6), (5, 5)])
def test_diagonal_and_bias_are_added_to_what_is_drawn(input_size, hidden_size):
    """R13: W is small random plus a on the main diagonal, of a rectangle too; b is its initial value."""
    layer = RecurrentLayer(CellGraph.from_equations(CELL), input_size, hidden_size)
    layer.reset_parameters(0.3, torch.Generator().manual_seed(0))
    weights, bound = layer.layers[0], 0.3 / math.sqrt(hidden_size)
    for linear, diagonal in ((weights.a, 3.0), (weights.b, 0.9)):
        rest = linear.weight.detach() - diagonal * torch.eye(*linear.weight.shape)
        assert rest.abs().max() <= bound * 1.0001
        assert rest.diagonal().abs().min() > 0
    assert (weights.a.bias == 0.5).all()
    assert weights.b.bias is None
    assert hasattr(weights, "input_projection") == (input_size != hidden_size)


def test_the_generator_alone_decides():
    one, other = RecurrentLayer("lstm", 3, 4, 2), RecurrentLayer("lstm", 3, 4, 2)
    for layer in (one, other):
        torch.rand(1)
        layer.reset_parameters(0.7, torch.Generator().manual_seed(9))
    before = torch.get_rng_state()
    for parameter, same in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(parameter, same)
    one.reset_parameters(0.7, torch.Generator().manual_seed(10))
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.equal(one.layers[1].input_1.weight, other.layers[1].input_1.weight)
    assert not torch.equal(other.layers[0].input_2.weight, other.layers[1].input_2.weight)


def test_weights_are_loaded_by_name():
    layer = RecurrentLayer(CellGraph.from_equations(CELL), 3, 2)
    before = layer.layers[0].b.weight.detach().clone()
    layer.load_weights({"a": np.arange(6.0).reshape(2, 3), "a.bias": [1.0, 2.0], "input_projection": torch.ones(2, 3)})
    assert layer.layers[0].a.weight.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert layer.layers[0].a.bias.tolist() == [1, 2]
    assert layer.layers[0].input_projection.weight.tolist() == [[1, 1, 1], [1, 1, 1]]
    assert torch.equal(layer.layers[0].b.weight, before)


def test_stacked_weights_are_loaded_with_their_layer():
    layer = RecurrentLayer("tanh", 3, 2, num_layers=2)
    layer.load_weights({"layers.1.new_1": np.ones((2, 2)), "layers.0.new_1.bias": np.ones(2)})
    assert (layer.layers[1].new_1.weight == 1).all()
    with pytest.raises(ConfigError, match=r"'new_1'.*layers\.0\.new_1\.weight"):
        layer.load_weights({"new_1": np.ones((2, 3))})


def test_nothing_is_loaded_where_one_array_does_not_fit():
    layer = RecurrentLayer("tanh", 3, 2)
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    with pytest.raises(ShapeError, match=r"'new_2' has shape \[3, 2\], expected \[2, 2\]"):
        layer.load_weights({"new_1": np.ones((2, 3)), "new_2": np.ones((3, 2))})
    with pytest.raises(ConfigError, match=r"no weight is called 'nwe_1'.*new_1\.weight, new_1\.bias"):
        layer.load_weights({"new_1": np.ones((2, 3)), "nwe_1": np.ones((2, 3))})
    assert all(torch.equal(tensor, before[name]) for name, tensor in layer.state_dict().items())


def test_a_linear_may_be_called_as_the_layers_are():
    cell = CellGraph.from_equations("h' = tanh(linear(x, name=layers) + linear(h, name=reverse_layers))")
    layer = RecurrentLayer(cell, 3, 2)
    layer.load_weights({"layers": np.ones((2, 3)), "reverse_layers.bias": np.ones(2)})
    assert (layer.layers[0].layers.weight == 1).all()
    assert (layer.layers[0].reverse_layers.bias == 1).all()
