"""Mistakes in building and calling a layer, and what the messages say."""

import re

import numpy as np
import pytest
import torch
from shared_unrolling import why_not_native
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from archsearch.compiler.layer import RecurrentLayer
from archsearch.compiler.recurrent_cell import RecurrentCell
from archsearch.errors import ConfigError, ShapeError
from archsearch.graph.cell_graph import CellGraph


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_size": 0}, "at least 1 for input_size, got 0"),
        ({"hidden_size": -2}, "at least 1 for hidden_size, got -2"),
        ({"hidden_size": 2.5}, "at least 1 for hidden_size, got 2.5"),
        ({"num_layers": 0}, "at least 1 for num_layers, got 0"),
        ({"num_layers": True}, "at least 1 for num_layers, got True"),
        ({"dropout": 1.1}, "for dropout a number from 0 to 1, .* got 1.1"),
        ({"dropout": -0.1}, "got -0.1"),
        ({"dropout": True}, "got True"),
        ({"dropout": "0.5"}, "got '0.5'"),
        ({"bidirectional": "no"}, "True or False for bidirectional, got 'no'"),
        ({"batch_first": 1}, "True or False for batch_first, got 1"),
        ({"engine": "nativ"}, "engine 'nativ' is not known. Expected one of: auto, interpreter"),
        ({"cell": "grru"}, "Did you mean 'gru'"),
    ],
)
def test_building(arguments, message):
    with pytest.raises(ConfigError, match=message):
        RecurrentLayer(**({"cell": "gru", "input_size": 3, "hidden_size": 4} | arguments))


@pytest.mark.parametrize("module", [RecurrentLayer, RecurrentCell])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cell": None}, "expected for cell a CellGraph, the name .* got NoneType. Give one, such as 'gru'"),
        ({"cell": CellGraph}, "expected for cell .* got type"),
        ({"cell": {"h": "tanh(x)"}}, "expected for cell .* got dict"),
        ({"cell": b"gru"}, "expected for cell .* got bytes"),
        ({"engine": ["native"]}, r"engine \['native'\] is not known. Expected one of: auto, interpreter"),
        ({"dtype": torch.int64}, "expected for dtype one of torch.float32, .* got torch.int64"),
        ({"dtype": torch.complex64}, "expected for dtype .* got torch.complex64"),
        ({"dtype": torch.float8_e5m2}, "expected for dtype .* got torch.float8_e5m2"),
        ({"dtype": "float32"}, "expected for dtype .* got 'float32'"),
    ],
)
def test_building_with_wrong_types(module, arguments, message):
    with pytest.raises(ConfigError, match=message):
        module(**({"cell": "gru", "input_size": 3, "hidden_size": 4} | arguments))


@pytest.mark.parametrize("module", [RecurrentLayer, RecurrentCell])
def test_arrays_of_wrong_types(module):
    built = module("tanh", 3, 4, engine="interpreter")
    with pytest.raises(ConfigError, match="load_weights: expected a dict of arrays by the names of weights, got list"):
        built.load_weights([1])
    name = next(iter(built.state_dict()))
    with pytest.raises(ShapeError, match=f"load_weights: expected for '{name}' an array of numbers, got str"):
        built.load_weights({name: "ones"})


X = torch.zeros(5, 2, 3)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(5, 2, 4), r"expected 3 input features on the last axis, got 4 \(shape \[5, 2, 4\]\)"),
        (torch.zeros(3), r"\[T, I\] or \[T, B, I\], got shape \[3\]"),
        (torch.zeros(1, 5, 2, 3), r"\[T, I\] or \[T, B, I\], got shape \[1, 5, 2, 3\]"),
        (torch.zeros(0, 2, 3), "at least one time step"),
        (X.double(), "the input has type torch.float64, the weights torch.float32"),
        (X.to("meta"), "the input is on device meta, the weights on cpu"),
        (np.zeros((5, 2, 3)), "expected a tensor .* got ndarray"),
        (pack_sequence([torch.zeros(5, 4)]), r"expected 3 input features on the last axis, got 4 \(shape \[5, 4\]\)"),
        (pack_sequence([torch.zeros(5, 1, 3)]), r"an input \[N, I\], got shape \[5, 1, 3\]"),
        (pack_sequence([torch.zeros(5, 3)]).double(), "the input has type torch.float64, the weights torch.float32"),
        (
            PackedSequence(torch.zeros(4, 3), torch.tensor([2, 1])),
            r"3 time steps, the sum of its batch_sizes, got data",
        ),
        (PackedSequence(torch.zeros(3, 3), torch.tensor([[2, 1]])), r"a vector of torch.int64, got .* shape \[1, 2\]"),
        (PackedSequence(torch.zeros(3, 3), torch.tensor([2.0, 1.0])), "a vector of torch.int64, got torch.float32"),
        (PackedSequence(torch.zeros(3, 3), torch.tensor([1, 2])), r"never grow and are at least 1, got \[1, 2\]"),
        (PackedSequence(torch.zeros(1, 3), torch.tensor([1, 0])), r"never grow and are at least 1, got \[1, 0\]"),
        (PackedSequence(torch.zeros(0, 3), torch.tensor([], dtype=torch.int64)), r"at least 1, got \[\]"),
    ],
)
def test_inputs(x, message):
    with pytest.raises(ShapeError, match=message):
        RecurrentLayer("gru", 3, 4)(x)


H = torch.zeros(1, 2, 4)


@pytest.mark.parametrize(
    ("name", "states", "message"),
    [
        ("gru", torch.zeros(2, 4), r"a tensor \[1, 2, 4\] for the state h, got shape \[2, 4\]"),
        ("gru", H.double(), "state h has type torch.float64, the input torch.float32"),
        ("gru", H.to("meta"), "state h is on device meta, the input on cpu"),
        ("gru", 0.0, "a tensor .* for the state h, got float"),
        ("gru", (H, H), "for the state h, got tuple"),
        ("lstm", H, r"a tuple of 2 tensors \[1, 2, 4\] for the states h, c, got Tensor"),
        ("lstm", (H,), "a tuple of 2 tensors .* got 1 of them"),
        ("lstm", (H, torch.zeros(1, 3, 4)), r"got shape \[1, 3, 4\] for c"),
        ("lstm", (H, None), "got NoneType for c"),
    ],
)
def test_states(name, states, message):
    with pytest.raises(ShapeError, match=message):
        RecurrentLayer(name, 3, 4)(X, states)


def test_states_of_both_directions():
    layer = RecurrentLayer("gru", 3, 4, num_layers=2, bidirectional=True)
    with pytest.raises(ShapeError, match=r"a tensor \[4, 2, 4\] for the state h, got shape \[2, 2, 4\]"):
        layer(X, torch.zeros(2, 2, 4))
    with pytest.raises(ShapeError, match=r"a tensor \[4, 3, 4\] for the state h, got shape \[4, 2, 4\]"):
        layer(pack_sequence([torch.zeros(2, 3)] * 3), torch.zeros(4, 2, 4))


def test_dropout_without_effect():
    with pytest.warns(UserWarning, match=r"dropout=0.5 has no effect with num_layers=1"):
        RecurrentLayer("gru", 3, 4, dropout=0.5)


def test_batch_first_is_named_in_the_message():
    with pytest.raises(ShapeError, match=r"\[T, I\] or \[B, T, I\]"):
        RecurrentLayer("gru", 3, 4, batch_first=True)(torch.zeros(3))


@pytest.mark.parametrize("engine", ["native", "auto", "vectorized"])
@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("reset_1.weight", (3, 4), [4, 3]),  # as many numbers
        ("reset_2.weight", (1, 1), [4, 4]),  # could be broadcast
        ("update_2.weight", (5, 4), [4, 4]),
        ("new_1.bias", (1,), [4]),
    ],
)
def test_weights_of_another_shape(engine, name, shape, expected):
    if engine != "vectorized" and why_not_native() is not None:
        pytest.skip(why_not_native())
    layer = RecurrentLayer("gru", 3, 4, engine=engine)
    message = re.escape(f"weight '{name}' has shape {list(shape)}, expected {expected}")
    with pytest.raises(ShapeError, match=message):
        torch.func.functional_call(layer, {f"layers.0.{name}": torch.zeros(shape)}, (X,))
    layer(X)
    layer.get_parameter(f"layers.0.{name}").data = torch.zeros(shape)
    with pytest.raises(ShapeError, match=message), torch.no_grad():
        layer(X)


def test_an_input_projection_of_another_shape():
    layer = RecurrentLayer("mut1", 3, 4, engine="vectorized" if why_not_native() else "native")
    layer(X)
    layer.layers[0].input_projection.weight.data = torch.zeros(3, 4)
    with pytest.raises(ShapeError, match=r"weight 'input_projection.weight' has shape \[3, 4\], expected \[4, 3\]"):
        layer(X)
