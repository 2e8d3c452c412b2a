"""Dropout, mistakes, and smaller promises of `nn.GRU` and `nn.GRUCell`, put to torch's modules and to ours."""

import warnings

import pytest
import torch
from shared_torch_pairs import HIDDEN_SIZE, INPUT_SIZE, PAIRS, as_tuple, build_pair, data_of, draw_input
from torch import nn
from torch.nn.utils.parametrizations import orthogonal, weight_norm
from torch.nn.utils.rnn import pack_sequence

from archsearch.compiler.layer import RecurrentLayer
from archsearch.compiler.recurrent_cell import RecurrentCell
from archsearch.errors import ArchSearchError, EngineError

X = torch.zeros(6, 4, INPUT_SIZE)
H = torch.zeros(2, 4, HIDDEN_SIZE)
PACKED = pack_sequence([torch.zeros(length, INPUT_SIZE) for length in (3, 2)])


@pytest.mark.parametrize("layout", ["time first", "batch first", "one sequence", "unsorted"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("dropout", [0.3, 1, 1.0])
def test_dropout(dropout, bidirectional, layout):
    """The same seed zeroes the same outputs, of every layer but the last, and none in evaluation."""
    arguments = {"dropout": dropout, "bidirectional": bidirectional, "batch_first": layout == "batch first"}
    pair = build_pair("lstm_torch", 3, dtype=torch.float64, **arguments)
    x, _ = draw_input(layout, torch.float64)
    results = []
    for module in pair:
        torch.manual_seed(7)
        output, states = module(x)
        evaluated, _ = module.eval()(x)
        results.append([data_of(output), *states, data_of(evaluated)])
    torch.testing.assert_close(results[1], results[0], rtol=0, atol=1e-10)
    assert not torch.allclose(results[1][0], results[1][-1])
    assert f"dropout={dropout:g}" in repr(pair[1])


@pytest.mark.parametrize("dropout", [-0.1, 1.1, True, "0.5", None, float("nan")])
def test_dropout_that_both_refuse(dropout):
    with pytest.raises((ValueError, TypeError)):
        nn.GRU(INPUT_SIZE, HIDDEN_SIZE, 2, dropout=dropout)
    with pytest.raises(ArchSearchError, match="for dropout a number from 0 to 1"):
        RecurrentLayer("gru", INPUT_SIZE, HIDDEN_SIZE, 2, dropout=dropout)


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_both_warn_of_dropout_without_effect(num_layers, dropout):
    found = []
    for build in (nn.GRU, lambda *sizes, **rest: RecurrentLayer("gru", *sizes, **rest)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            build(INPUT_SIZE, HIDDEN_SIZE, num_layers, dropout=dropout)
        found.append([warning.category for warning in caught])
    assert [warning.filename for warning in caught] == [__file__] * len(caught)  # where the layer is built
    assert found[0] == found[1] == ([UserWarning] if dropout and num_layers == 1 else [])


@pytest.mark.parametrize(
    "call",
    [
        lambda module: module(X[..., :4]),
        lambda module: module(X[None]),
        lambda module: module(X[0, 0]),
        lambda module: module(X[:0]),
        lambda module: module(X.double()),
        lambda module: module(X, H[:1]),
        lambda module: module(X, H[:, :3]),
        lambda module: module(X, H[..., :3]),
        lambda module: module(X, H[:, 0]),
        lambda module: module(X[:, 0], H[:, :1]),
        lambda module: module(X, H.double()),
        lambda module: module(PACKED, H),
        lambda module: module(pack_sequence([X[:, 0, :4]])),
        lambda module: module(pack_sequence([X[:, 0].double()])),
    ],
)
def test_calls_that_both_refuse(call):
    reference, layer = build_pair("gru_torch", 2)
    with pytest.raises((ValueError, RuntimeError)):
        call(reference)
    with pytest.raises(ArchSearchError, match=r"RecurrentLayer: .*expected|RecurrentLayer: .* has type"):
        call(layer)


def test_weights_of_both_directions_have_names():
    layer = RecurrentLayer("mut1", 3, 4, num_layers=2, bidirectional=True)
    names = [name.removeprefix("layers.") for name in layer.state_dict() if name.startswith("layers.")]
    assert [f"reverse_layers.{name}" for name in names] == [n for n in layer.state_dict() if n.startswith("reverse_")]
    # x is read bare: the second layer reads twice as many features as it has units
    assert [tuple(getattr(layer, kind)[1].input_projection.weight.shape) for kind in ("layers", "reverse_layers")] == [
        (4, 8),
        (4, 8),
    ]
    assert "bidirectional=True" in repr(layer)
    assert "bidirectional" not in repr(RecurrentLayer("mut1", 3, 4))
    # as wide as the units below, twice as wide above
    assert "input projection" in repr(RecurrentLayer("mut1", 4, 4, num_layers=2, bidirectional=True))
    # the names of a layer that reads one way are the same
    lowest = [f"layers.{name}" for name in names if name.startswith("0.")]
    assert list(RecurrentLayer("mut1", 3, 4).state_dict()) == lowest


def test_weights_of_both_directions_are_loaded_by_name():
    layer = RecurrentLayer("tanh", 3, 2, bidirectional=True)
    layer.load_weights({"reverse_layers.0.new_2": torch.zeros(2, 2), "layers.0.new_1.bias": [1, 2]})
    assert not layer.reverse_layers[0].new_2.weight.any()
    assert layer.layers[0].new_2.weight.all()
    assert layer.layers[0].new_1.bias.tolist() == [1, 2]
    with pytest.raises(ArchSearchError, match=r"'new_2'.*layers\.0\.new_1\.weight.*reverse_layers\.0\.new_2\.weight"):
        layer.load_weights({"new_2": torch.zeros(2, 2)})


def test_weights_of_both_directions_are_drawn_as_torch_orders_them():
    """Layer 0 forward, layer 0 backward, layer 1 forward, ...; the first layer as if it were alone."""
    layer, alone = RecurrentLayer("tanh", 2, 2, 2, bidirectional=True), RecurrentLayer("tanh", 2, 2, 3)
    layer.reset_parameters(generator=torch.Generator().manual_seed(2))
    alone.reset_parameters(generator=torch.Generator().manual_seed(2))
    assert torch.equal(layer.layers[0].new_1.weight, alone.layers[0].new_1.weight)
    assert torch.equal(layer.reverse_layers[0].new_1.weight, alone.layers[1].new_1.weight)
    assert layer.layers[1].new_1.weight.shape == (2, 4)


@pytest.mark.parametrize("build", [RecurrentLayer, RecurrentCell])
def test_device_and_type_are_chosen_when_built(build):
    module = build("gru", 3, 4, device="meta", dtype=torch.float64)
    assert {(weight.device.type, weight.dtype) for weight in module.parameters()} == {("meta", torch.float64)}
    empty = nn.utils.skip_init(build, "gru", 3, 4, dtype=torch.float64)
    assert {(weight.device.type, weight.dtype) for weight in empty.parameters()} == {("cpu", torch.float64)}


def test_parametrized_weights():
    """What is computed from other tensors trains, is loaded and is drawn anew through these."""
    layer = RecurrentLayer("gru_torch", 3, 4)
    x = torch.randn(5, 2, 3)
    expected = layer(x)[0]
    normed = weight_norm(layer.layers[0].reset_2)
    orthogonal(layer.layers[0].new_2)
    assert torch.allclose(layer.layers[0].new_2.weight @ layer.layers[0].new_2.weight.T, torch.eye(4), atol=1e-6)
    output, _ = layer(x)
    assert not torch.allclose(output, expected)
    output.sum().backward()
    assert normed.parametrizations.weight.original1.grad.any()
    rotation = torch.eye(4).flip(0)
    layer.load_weights({"new_2": rotation, "reset_2": 2 * rotation})
    torch.testing.assert_close(layer.layers[0].new_2.weight, rotation)
    torch.testing.assert_close(layer.layers[0].reset_2.weight, 2 * rotation)
    layer.reset_parameters()
    assert not torch.allclose(layer.layers[0].reset_2.weight, 2 * rotation)


@pytest.mark.parametrize("name", PAIRS)
def test_autocast(name):
    """As torch: of float32 and of bfloat16 inputs, near what float32 gives; native code takes float32 alone."""
    reference, layer = build_pair(name, 2, "interpreter", bidirectional=True)
    x = draw_input("time first", torch.float32)[0].detach()
    exact, _ = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        for given in (x, x.bfloat16()):
            for module in (reference, layer):
                output, _ = module(given)
                torch.testing.assert_close(output.float(), exact, rtol=0, atol=0.03)
            _, native = build_pair(name, 2, "native", bidirectional=True)
            if given is x:
                torch.testing.assert_close(native(given)[0], exact, rtol=0, atol=1e-5)
            else:
                with pytest.raises(EngineError, match=r"got torch\.bfloat16"):
                    native(given)


CELLS = {"gru_torch": nn.GRUCell, "lstm_torch": nn.LSTMCell, "tanh": nn.RNNCell}


def build_cells(name):
    """Builds torch's cell and ours with the same weights, of float64."""
    reference, layer = build_pair(name, dtype=torch.float64)
    cell, ours = (
        CELLS[name](INPUT_SIZE, HIDDEN_SIZE, dtype=torch.float64),
        RecurrentCell(name, INPUT_SIZE, HIDDEN_SIZE, dtype=torch.float64),
    )
    cell.load_state_dict({key.removesuffix("_l0"): weight for key, weight in reference.state_dict().items()})
    ours.load_state_dict(layer.state_dict())
    return cell, ours


@pytest.mark.parametrize("states_are_given", [False, True])
@pytest.mark.parametrize("batch", [(), (3,), (0,)], ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_cells_equal_torch(name, batch, states_are_given):
    results = []
    for cell in build_cells(name):
        torch.manual_seed(0)
        x, *states = (
            torch.randn(*batch, size, dtype=torch.float64, requires_grad=True)
            for size in (INPUT_SIZE, HIDDEN_SIZE, HIDDEN_SIZE)
        )
        hx = tuple(states) if name == "lstm_torch" else states[0]
        after = cell(input=x, hx=hx) if states_are_given else cell(x)
        assert isinstance(after, tuple) == (name == "lstm_torch")
        sum(state.square().sum() for state in as_tuple(after)).backward()
        results.append([*as_tuple(after), x.grad, *(state.grad for state in states if state.grad is not None)])
    assert len(results[0]) == len(results[1])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "call",
    [
        lambda cell: cell(torch.zeros(2, 4).double()),
        lambda cell: cell(torch.zeros(1, 2, 5).double()),
        lambda cell: cell(torch.zeros(2, 5).double(), torch.zeros(3, 7).double()),
        lambda cell: cell(torch.zeros(2, 5).double(), torch.zeros(2, 6).double()),
        lambda cell: cell(torch.zeros(2, 5)),
    ],
)
def test_calls_that_both_cells_refuse(call):
    reference, cell = build_cells("gru_torch")
    with pytest.raises((ValueError, RuntimeError)):
        call(reference)
    with pytest.raises(ArchSearchError, match="RecurrentCell: "):
        call(cell)


def test_cells_under_transforms():
    reference, cell = build_cells("gru_torch")
    x = torch.randn(3, INPUT_SIZE, dtype=torch.float64)
    expected = reference(x)
    torch.testing.assert_close(torch.vmap(cell)(x), expected, rtol=0, atol=1e-10)
    weights = {name: weight.detach() for name, weight in cell.named_parameters()}
    found = torch.func.grad(lambda given: torch.func.functional_call(cell, given, (x,)).square().sum())(weights)
    cell(x).square().sum().backward()
    for name, parameter in cell.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=0, atol=1e-10)
