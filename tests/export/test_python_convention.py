"""The class of an exported module, called as torch's own layers are."""

import copy
import pickle
import sys

import pytest
import torch
from shared_exports import as_tuple, assert_equal_gradients, assert_equals_layer, build_module
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

from archsearch.compiler.layer import RecurrentLayer
from archsearch.export.python_file import load_module
from archsearch.export.python_source import export_python

OPTIONS = [
    {"bidirectional": True},
    {"batch_first": True},
    {"bidirectional": True, "batch_first": True, "num_layers": 3},
    {"bidirectional": True, "num_layers": 1},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", ["gru_torch", "lstm_torch", "mut1"])
def test_options_equal_the_layers(name, options):
    assert_equals_layer(name, **options)


@pytest.mark.parametrize(("name", "torch_class"), [("gru_torch", nn.GRU), ("lstm_torch", nn.LSTM), ("mut1", nn.GRU)])
@pytest.mark.parametrize("options", [{}, *OPTIONS], ids=str)
def test_shapes_are_torchs(name, torch_class, options):
    """Outputs and states, given and not, of batches, of one sequence and of packed sequences."""
    module, expected = build_module(name, 3, 4, **options), torch_class(3, 4, **options)
    for x in (torch.randn(2, 5, 3), torch.randn(5, 3), pack_sequence([torch.randn(length, 3) for length in (4, 2)])):
        output, after = module(x)
        wanted, wanted_after = expected(x)
        assert [state.shape for state in as_tuple(after)] == [state.shape for state in as_tuple(wanted_after)]
        again, _ = module(x, after)
        for one in (output, again):
            assert isinstance(one, type(wanted))
            assert getattr(one, "data", one).shape == getattr(wanted, "data", wanted).shape


@pytest.mark.parametrize("batch_first", [False, True])
def test_no_sequence_is_a_batch_and_no_step_is_none(batch_first):
    module = build_module("gru", 3, 4, batch_first=batch_first)
    sizes = (0, 5) if batch_first else (5, 0)
    assert module(torch.randn(*sizes, 3))[0].shape == (*sizes, 4)
    with pytest.raises(ValueError, match="at least one time step"):
        module(torch.randn(*sizes[::-1], 3))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", ["gru", "lstm", "mut1"])
@pytest.mark.parametrize("lengths", [(5, 3, 3, 1), (2, 4, 1, 4), (1,), (3, 3)])
def test_packed_sequences_equal_the_layer_and_each_sequence_alone(name, bidirectional, lengths):
    options = {"num_layers": 2, "bidirectional": bidirectional}
    layer = RecurrentLayer(name, 3, 4, engine="interpreter", **options).double()
    module = build_module(name, 3, 4, **options).double()
    module.load_state_dict(layer.state_dict())
    sequences = [torch.randn(length, 3, dtype=torch.float64) for length in lengths]
    rows = 4 if bidirectional else 2
    hx = tuple(torch.randn(rows, len(lengths), 4, dtype=torch.float64) for _ in layer.program.states)
    packed = pack_sequence(sequences, enforce_sorted=False)
    output, after = module(packed, hx if len(hx) > 1 else hx[0])
    wanted, wanted_after = layer(packed, hx if len(hx) > 1 else hx[0])
    torch.testing.assert_close(output, wanted)
    torch.testing.assert_close(after, wanted_after)
    assert_equal_gradients(layer, (wanted.data, wanted_after), module, (output.data, after))
    padded, _ = pad_packed_sequence(output)
    for index, sequence in enumerate(sequences):
        states = tuple(state[:, index] for state in hx)
        alone, last = module(sequence, states if len(hx) > 1 else states[0])
        torch.testing.assert_close(padded[: len(sequence), index], alone)
        for state, one in zip(as_tuple(after), as_tuple(last), strict=True):
            torch.testing.assert_close(state[:, index], one)


def test_packed_sequences_laid_out_batch_first():
    module = build_module("gru", 3, 4, batch_first=True)
    x = torch.randn(2, 5, 3)
    output, after = module(pack_padded_sequence(x, [5, 5], batch_first=True))
    torch.testing.assert_close(pad_packed_sequence(output, batch_first=True)[0], module(x)[0])
    torch.testing.assert_close(after, module(x)[1])


def test_dropout_zeroes_between_layers_in_training_alone():
    """As in torch: of all layers but the last, the others scaled up; the same draws as the layer's."""
    layer = RecurrentLayer("gru", 3, 4, 2, dropout=0.5, engine="interpreter")
    module = build_module("gru", 3, 4, 2, dropout=0.5)
    module.load_state_dict(layer.state_dict())
    x = torch.randn(6, 2, 3)
    outputs = []
    for one in (layer, module):
        torch.manual_seed(3)
        outputs.append(one(x)[0])
    torch.testing.assert_close(outputs[1], outputs[0])
    module.eval()
    assert not torch.allclose(module(x)[0], outputs[1])
    torch.testing.assert_close(module(x)[0], layer.eval()(x)[0])
    with pytest.warns(UserWarning, match="num_layers=1 it does nothing"):
        top = build_module("gru", 3, 4, dropout=1.0)
    assert top(x)[0].abs().sum() > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda module: module(torch.zeros(5, 2, 4)), r"expected 3 features on the last axis, got shape \[5, 2, 4\]"),
        (lambda module: module(torch.zeros(3)), r"expected 2 or 3 axes and at least one time step, got shape \[3\]"),
        (lambda module: module(torch.zeros(0, 2, 3)), r"at least one time step, got shape \[0, 2, 3\]"),
        (lambda module: module(torch.zeros(5, 2, 3), torch.zeros(1, 3, 4)), r"\[1, 2, 4\], got \[\[1, 3, 4\]\]"),
        (lambda module: module(torch.zeros(5, 3), torch.zeros(1, 1, 4)), r"\[1, 4\], got \[\[1, 1, 4\]\]"),
        (lambda module: module(torch.zeros(5, 2, 3), (torch.zeros(1, 2, 4),)), r"\[1, 2, 4\], got \['tuple'\]"),
        (lambda module: module(pack_sequence([torch.zeros(2, 4)])), r"expected 3 features"),
    ],
)
def test_wrong_shapes_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(build_module("gru", 3, 4))


@pytest.mark.parametrize("given", [torch.zeros(1, 2, 4), (torch.zeros(1, 2, 4),), (torch.zeros(1, 2, 4), None)])
def test_a_wrong_number_of_states_is_refused(given):
    with pytest.raises(ValueError, match=r"expected 2 states of shape \[1, 2, 4\], got"):
        build_module("lstm", 3, 4)(torch.zeros(5, 2, 3), given)


@pytest.mark.parametrize("options", [{"num_layers": 0}, {"dropout": 1.5}, {"hidden_size": 0}])
def test_senseless_sizes_are_refused(options):
    with pytest.raises(ValueError, match=r"expected sizes of at least 1 and a dropout between 0 and 1"):
        build_module("gru", **{"input_size": 3, "hidden_size": 4} | options)


def test_an_empty_batch():
    output, after = build_module("lstm", 3, 4, bidirectional=True)(torch.zeros(5, 0, 3))
    assert output.shape == (5, 0, 8)
    assert after[1].shape == (2, 0, 4)


def test_weights_have_the_type_and_the_place_asked_for():
    module = build_module("gru", 3, 4, dtype=torch.float64, device="meta")
    assert {(parameter.dtype, parameter.device.type) for parameter in module.parameters()} == {(torch.float64, "meta")}


def test_copies_pickles_and_flattening(tmp_path, monkeypatch):
    path = tmp_path / "exported_for_pickling.py"
    path.write_text(export_python("lstm", "Exported"))
    source = load_module(path)
    monkeypatch.setitem(sys.modules, source.__name__, source)
    module = source.Exported(3, 4)
    module.flatten_parameters()
    x = torch.randn(5, 2, 3)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):  # noqa: S301
        torch.testing.assert_close(other(x), module(x), rtol=0, atol=0)
    assert "bidirectional=False" in repr(module)


@pytest.mark.parametrize("name", ["gru", "lstm"])
@pytest.mark.parametrize("flags", [(True,), (True, True)])
def test_the_positional_call_of_torchs_layers_is_refused(name, flags):
    """`nn.GRU(16, 32, 2, True)` has `bias` in fourth place: here it would be `batch_first`, and dropout in fifth."""
    assert build_module(name, 16, 32, 2).num_layers == 2
    with pytest.raises(TypeError, match="positional arguments"):
        build_module(name, 16, 32, 2, *flags)
    with pytest.raises(ValueError, match="dropout=True"):
        build_module(name, 16, 32, 2, dropout=True)
