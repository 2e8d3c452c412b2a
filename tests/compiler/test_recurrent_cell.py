"""One step, as torch's own cells take it."""

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from archsearch.compiler.layer import RecurrentLayer
from archsearch.compiler.recurrent_cell import RecurrentCell
from archsearch.errors import ShapeError


@pytest.mark.parametrize("name", ["gru", "lstm", "mut1"])
def test_steps_equal_the_layer(name):
    layer, cell = RecurrentLayer(name, 3, 4), RecurrentCell(name, 3, 4)
    cell.load_state_dict(layer.state_dict())
    x = torch.randn(5, 2, 3)
    output, _ = layer(x)
    states = None
    for x_t, h_t in zip(x, output, strict=True):
        states = cell(x_t, states)
        torch.testing.assert_close(states[0] if isinstance(states, tuple) else states, h_t)


def test_one_sequence_without_a_batch():
    cell = RecurrentCell("lstm", 3, 4)
    x = torch.randn(3)
    h, c = cell(x)
    batched = cell(x[None])
    assert h.shape == c.shape == (4,)
    torch.testing.assert_close(torch.stack((h, c)), torch.cat(batched))
    torch.testing.assert_close(cell(x, (h, c))[0], cell(x[None], (h[None], c[None]))[0][0])


def test_weights_by_name_and_by_generator():
    cell, layer = RecurrentCell("gru", 3, 4), RecurrentLayer("gru", 3, 4)
    for module in (cell, layer):
        module.reset_parameters(0.5, torch.Generator().manual_seed(1))
    assert torch.equal(cell.layers[0].new_2.weight, layer.layers[0].new_2.weight)
    cell.load_weights({"new_2": torch.zeros(4, 4)})
    assert not cell.layers[0].new_2.weight.any()
    assert "states=(h)" in repr(cell)


def test_shapes_are_checked():
    cell = RecurrentCell("gru", 3, 4)
    with pytest.raises(ShapeError, match=r"expected 3 input features.*got 5"):
        cell(torch.zeros(2, 5))
    with pytest.raises(ShapeError, match=r"\[I\] or \[B, I\], got shape \[1, 2, 3\]"):
        cell(torch.zeros(1, 2, 3))
    with pytest.raises(ShapeError, match=r"expected a tensor \[2, 4\] for the state h, got shape \[1, 2, 4\]"):
        cell(torch.zeros(2, 3), torch.zeros(1, 2, 4))
    with pytest.raises(ShapeError, match=r"\[I\] or \[B, I\], got a PackedSequence. Give it to a RecurrentLayer"):
        cell(pack_sequence([torch.zeros(2, 3)]))
