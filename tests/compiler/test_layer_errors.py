"""Mistakes in building and calling a layer, and what the messages say."""

import numpy as np
import pytest
import torch
from torch import nn

from archsearch.compiler.layer import RecurrentLayer
from archsearch.errors import ConfigError, ShapeError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_size": 0}, "at least 1 for input_size, got 0"),
        ({"hidden_size": -2}, "at least 1 for hidden_size, got -2"),
        ({"hidden_size": 2.5}, "at least 1 for hidden_size, got 2.5"),
        ({"num_layers": 0}, "at least 1 for num_layers, got 0"),
        ({"num_layers": True}, "at least 1 for num_layers, got True"),
        ({"dropout": 0.1}, "dropout=0.1 is not supported yet. Leave it at 0"),
        ({"bidirectional": True}, "bidirectional=True is not supported yet. Run"),
        ({"engine": "nativ"}, "engine 'nativ' is not known. Expected one of: auto, interpreter"),
        ({"cell": "grru"}, "Did you mean 'gru'"),
    ],
)
def test_building(arguments, message):
    with pytest.raises(ConfigError, match=message):
        RecurrentLayer(**({"cell": "gru", "input_size": 3, "hidden_size": 4} | arguments))


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
        (nn.utils.rnn.pack_sequence([torch.zeros(5, 3)]), "packed sequences are not supported yet"),
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


def test_batch_first_is_named_in_the_message():
    with pytest.raises(ShapeError, match=r"\[T, I\] or \[B, T, I\]"):
        RecurrentLayer("gru", 3, 4, batch_first=True)(torch.zeros(3))
