"""The native engine as a node of autograd's graph."""

import threading
import weakref

import pytest
import torch
from shared_unrolling import (
    CountedEngine,
    convert,
    draw_case,
    draw_tame_case,
    random_cell,
    values_and_gradients,
    why_not_native,
    zoo_structures,
)

from archsearch.compiler.engines import FastestEngine
from archsearch.compiler.interpreter import Interpreter
from archsearch.compiler.layer import RecurrentLayer
from archsearch.compiler.lower import lower
from archsearch.compiler.native import arena
from archsearch.compiler.native import engine as engine_module
from archsearch.compiler.native.engine import NativeEngine
from archsearch.errors import EngineError
from archsearch.graph.equations import parse_equations

DTYPES = [torch.float32, torch.float64]
SIZES = (5, 3, 4, 9)
LSTM = zoo_structures()["lstm"]
MUT1 = zoo_structures()["mut1"]  # reads x bare
TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-12}


@pytest.fixture(autouse=True)
def _native():
    if why_not_native() is not None:
        pytest.skip(why_not_native())


def expected_of(structure, case):
    return values_and_gradients(Interpreter(lower(structure)), *case)


def assert_close(actual, expected, dtype=torch.float64):
    tolerance = TOLERANCES[dtype]
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("seed", [3, 8, 16])
def test_without_gradients_the_output_is_the_same(mode, seed):
    structure = random_cell(seed)
    case, _ = draw_tame_case(structure, SIZES)
    run = CountedEngine(structure, torch.float64)
    output, last = run(*case)
    with mode():
        again, again_last = run(*case)
    assert torch.equal(output, again)
    assert all(torch.equal(one, other) for one, other in zip(last, again_last, strict=True))
    assert output.requires_grad
    assert not again.requires_grad
    assert run.calls == ["forward", "forward"]


def test_without_gradients_no_work_memory_is_kept(monkeypatch):
    kept = []

    class ObservedLease(engine_module.Lease):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            kept.append(weakref.ref(self))

    monkeypatch.setattr(engine_module, "Lease", ObservedLease)
    run = NativeEngine(lower(LSTM))
    case = draw_case(LSTM, *SIZES)
    with torch.no_grad():
        output, _ = run(*case)
    assert output.grad_fn is None
    assert [lease() for lease in kept] == [None]
    output, _ = run(*case)
    assert kept[1]() is not None
    output.sum().backward()
    assert kept[1]() is None


def test_inference_needs_less_work_memory():
    structure = parse_equations("h' = tanh(sigmoid(linear(sigmoid(linear(sigmoid(linear(x, h)))))) * h)")
    engine = NativeEngine(lower(structure))
    x, states, parameters = draw_case(structure, 200, 3, 4, 9)
    places = engine.places(parameters)
    weights = [parameters[key] for key in places.keys]
    sizes = {}
    for is_training in (True, False):
        *_, tape = engine.run_forward(places, (x, *states, *weights), is_training)
        sizes[is_training] = tape.lease.memory.numel()
    assert sizes[False] < 0.7 * sizes[True]


def test_hooks_may_give_x_back_at_another_alignment():
    structure = parse_equations("h' = tanh(linear(h, bias_init=1)) * x + h")
    x, states, parameters = draw_case(structure, 5, 3, 16, 16)
    run = NativeEngine(lower(structure))
    expected = values_and_gradients(run, x, states, parameters)
    run(torch.full_like(x, 1e3), states, parameters)[0].sum().backward()  # other numbers in the memory used again

    def beside_vectors(tensor):
        return torch.empty(tensor.numel() + 1, dtype=tensor.dtype)[1:].view_as(tensor).copy_(tensor)

    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor.detach().clone(), beside_vectors):
        actual = values_and_gradients(run, x, states, parameters)
    assert all(torch.equal(one, other) for one, other in zip(actual, expected, strict=True))


def test_torch_may_have_another_default_device(monkeypatch):
    x, states, parameters = draw_case(LSTM, *SIZES)
    run, gradient = NativeEngine(lower(LSTM)), torch.randn(*x.shape[:2], states[0].shape[2], dtype=x.dtype)

    def output_and_gradient():
        output, _ = run(x, states, parameters)
        return output, *torch.autograd.grad(output, x, gradient)

    expected = output_and_gradient()
    monkeypatch.setattr(arena, "_local", threading.local())  # no work memory to use again
    with torch.device("meta"):
        actual = output_and_gradient()
    assert all(torch.equal(one, other) for one, other in zip(actual, expected, strict=True))


@pytest.mark.parametrize("structure", [LSTM, MUT1, random_cell(8), random_cell(20)])
def test_a_retained_graph_gives_the_same_gradients_again(structure):
    case = draw_case(structure, *SIZES)
    run = CountedEngine(structure, torch.float64)
    x, states, parameters = case
    inputs = [x, *states, *parameters.values()]
    output, last = run(*case)
    loss = output.square().sum() + sum(state.sum() for state in last)
    first = torch.autograd.grad(loss, inputs, retain_graph=True, materialize_grads=True)
    for _ in range(2):
        again = torch.autograd.grad(loss, inputs, retain_graph=True, materialize_grads=True)
        assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert run.calls == ["forward", "backward"] + ["forward", "backward"] * 2


def test_a_graph_that_is_not_retained_can_be_used_once():
    run = CountedEngine(LSTM, torch.float64)
    output, _ = run(*draw_case(LSTM, *SIZES))
    output.sum().backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        output.sum().backward()


def test_several_forward_passes_wait_for_their_backward_passes():
    """Two calls of each of two cells, derived in another order: none disturbs the memory of another."""
    structures = [LSTM, MUT1, LSTM, MUT1]
    engines = {id(structure): CountedEngine(structure, torch.float64) for structure in (LSTM, MUT1)}
    cases = [draw_case(structure, 3 + index, 3, 4, 9) for index, structure in enumerate(structures)]
    passes = []
    for structure, case in zip(structures, cases, strict=True):
        output, last = engines[id(structure)](*case)
        passes.append((output.square().sum() + sum(state.sum() for state in last), case))
    for index in (2, 0, 3, 1):
        loss, (x, states, parameters) = passes[index]
        inputs = [x, *states, *parameters.values()]
        actual = torch.autograd.grad(loss, inputs)
        output, last = Interpreter(lower(structures[index]))(x, states, parameters)
        expected = torch.autograd.grad(output.square().sum() + sum(state.sum() for state in last), inputs)
        assert_close(actual, expected)


def test_stacked_layers_and_two_calls():
    layer = RecurrentLayer("lstm", 4, 9, num_layers=3, engine="native").double()
    slow = RecurrentLayer("lstm", 4, 9, num_layers=3, engine="interpreter").double()
    slow.load_state_dict(layer.state_dict())
    torch.manual_seed(0)
    x = torch.randn(7, 3, 4, dtype=torch.float64)
    for module in (layer, slow):
        output, states = module(x[:4])
        second, _ = module(x[4:], states)
        (output.square().mean() + second.square().mean()).backward()
    for one, other in zip(layer.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("structure", [LSTM, MUT1, random_cell(6), random_cell(10)])
def test_only_some_inputs_require_gradients(structure):
    case = draw_case(structure, *SIZES)
    everything = expected_of(structure, case)[1 + len(structure.states) :]
    run = CountedEngine(structure, torch.float64)
    for wanted in range(len(everything)):
        x, states, parameters = convert(case, torch.float64)
        inputs = [x, *states, *parameters.values()]
        for index, tensor in enumerate(inputs):
            tensor.requires_grad_(index == wanted)
        output, last = run(x, states, parameters)
        loss = sum((value * torch.linspace(0.5, 1.5, value.numel()).view_as(value)).sum() for value in (output, *last))
        loss.backward()
        for index, tensor in enumerate(inputs):
            assert (tensor.grad is not None) == (index == wanted)
        assert_close([inputs[wanted].grad], [everything[wanted]])
    assert run.calls == ["forward", "backward"] * len(everything)


@pytest.mark.parametrize("structure", [LSTM, MUT1, random_cell(2)])
def test_only_some_results_are_derived(structure):
    """Each output or last state alone: the others' gradients are missing, not zero tensors."""
    case = draw_case(structure, *SIZES)
    x, states, parameters = case
    inputs = [x, *states, *parameters.values()]
    run, slow = CountedEngine(structure, torch.float64), Interpreter(lower(structure))
    for index in range(1 + len(structure.states)):
        gradients = []
        for engine in (run, slow):
            output, last = engine(*case)
            loss = (output, *last)[index].square().sum()
            gradients.append(torch.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True))
        assert_close(*gradients)


def strided(tensor):
    """Returns the same numbers with gaps between them."""
    wide = torch.full((*tensor.shape[:-1], 2 * tensor.shape[-1] + 1), float("nan"), dtype=tensor.dtype)
    wide[..., 1::2] = tensor.detach()
    return wide[..., 1::2]


def misaligned(tensor):
    """Returns the same numbers, one number off from where vectors begin."""
    flat = torch.full((tensor.numel() + 1,), float("nan"), dtype=tensor.dtype)
    flat[1:] = tensor.detach().reshape(-1)
    return flat[1:].view(tensor.shape)


def transposed(tensor):
    """Returns the same numbers, with the first two axes laid out the other way round."""
    return tensor.detach().transpose(0, 1).contiguous().transpose(0, 1)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("lay_out", [strided, misaligned, transposed])
@pytest.mark.parametrize("hidden_size", [9, 16])
def test_tensors_laid_out_otherwise(lay_out, dtype, hidden_size):
    """Of 16 units, rows of gradients need no padding and are read where they are, if they are aligned."""
    case = convert(draw_case(MUT1, 5, 3, 4, hidden_size), dtype)
    x, states, parameters = case
    inputs = [x, *states, *parameters.values()]
    output, last = Interpreter(lower(MUT1))(*case)
    generator = torch.Generator().manual_seed(3)
    given = [torch.randn(value.shape, generator=generator, dtype=dtype) for value in (output, *last)]
    expected = [output, *last, *torch.autograd.grad((output, *last), inputs, given)]

    x = lay_out(x).requires_grad_()
    states = tuple(lay_out(state).requires_grad_() for state in states)
    parameters = {
        name: (lay_out(tensor) if tensor.dim() == 2 else misaligned(tensor)).requires_grad_()
        for name, tensor in parameters.items()
    }
    run = CountedEngine(MUT1, dtype)
    output, last = run(x, states, parameters)
    gradients = torch.autograd.grad(
        (output, *last), [x, *states, *parameters.values()], [lay_out(gradient) for gradient in given]
    )
    assert_close([output, *last, *gradients], expected, dtype)
    assert run.calls == ["forward", "backward"]


@pytest.mark.parametrize("hidden_size", [9, 16])
def test_expanded_gradients_and_inputs(hidden_size):
    """`.sum()` gives a gradient of one number, seen everywhere; a state may be one row, seen by every sequence."""
    x, states, parameters = draw_case(LSTM, 5, 3, 4, hidden_size)
    row = torch.randn(1, 1, hidden_size, dtype=torch.float64, requires_grad=True)
    results = []
    for run in (CountedEngine(LSTM, torch.float64), Interpreter(lower(LSTM))):
        output, _ = run(x[:1].expand(5, -1, -1), (row.expand(-1, 3, -1), states[1]), parameters)
        results.append([output, *torch.autograd.grad(output.sum(), [x, row, states[1], *parameters.values()])])
    assert_close(*results)


def test_batch_first():
    layer = RecurrentLayer("gru", 4, 9, batch_first=True, engine="native").double()
    slow = RecurrentLayer("gru", 4, 9, batch_first=True, engine="interpreter").double()
    slow.load_state_dict(layer.state_dict())
    torch.manual_seed(0)
    x, other = (torch.randn(3, 6, 4, dtype=torch.float64) for _ in range(2))
    results = []
    for module in (layer, slow):
        given = x.clone().requires_grad_()
        output, last = module(given)
        (output * other.new_ones(()).expand_as(output)).transpose(0, 2).sum().backward()
        results.append([output, last, given.grad])
    assert_close(*results)


def test_a_saved_tensor_changed_in_place_is_noticed():
    case = draw_case(LSTM, *SIZES)
    x, states, parameters = case
    for tensor in (x, states[0], next(iter(parameters.values()))):
        output, _ = NativeEngine(lower(LSTM))(*case)
        with torch.no_grad():
            tensor += 1
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            output.sum().backward()


def test_the_output_may_be_changed_in_place():
    case = draw_case(MUT1, *SIZES)
    results = []
    for run in (NativeEngine(lower(MUT1)), Interpreter(lower(MUT1))):
        output, last = run(*case)
        output.mul_(2)
        results.append(torch.autograd.grad(output.square().sum() + last[0].sum(), [case[0], *case[2].values()]))
    assert_close(*results)


def test_inputs_are_not_modified():
    case = draw_case(MUT1, *SIZES)
    before = convert(case, torch.float64)
    values_and_gradients(NativeEngine(lower(MUT1)), *case)
    assert torch.equal(case[0], before[0])
    assert torch.equal(case[1][0], before[1][0])
    assert all(torch.equal(case[2][name], tensor) for name, tensor in before[2].items())


def test_derivatives_of_derivatives_are_refused_or_left_to_the_interpreter():
    case = draw_case(LSTM, 2, 2, 2, 3)
    output, _ = NativeEngine(lower(LSTM))(*case)
    with pytest.raises(EngineError, match=r"create_graph=True\)\. Use engine=interpreter"):
        torch.autograd.grad(output.square().sum(), case[0], create_graph=True)
    slow = Interpreter(lower(LSTM))
    results = []
    for run in (FastestEngine(lower(LSTM)), slow):
        output, _ = run(*case)
        (gradient,) = torch.autograd.grad(output.square().sum(), case[0], create_graph=True)
        results.append([gradient, *torch.autograd.grad(gradient.square().sum(), list(case[2].values()))])
    assert_close(*results)


def test_gradgradcheck():
    structure = parse_equations("c' = tanh(linear(x, h))\nh' = c' * sigmoid(linear(c)) + x")
    x, states, parameters = draw_case(structure, 2, 2, 2, 3)
    run = FastestEngine(lower(structure))

    def unroll(x, *tensors):
        output, last = run(x, tensors[: len(states)], dict(zip(parameters, tensors[len(states) :], strict=True)))
        return output, *last

    assert torch.autograd.gradgradcheck(unroll, (x, *states, *parameters.values()))


def test_checkpointing_and_hooks():
    """Recomputation by torch, and hooks on parameters, meet an ordinary node."""
    case = draw_case(LSTM, *SIZES)
    run = NativeEngine(lower(LSTM))
    expected = expected_of(LSTM, case)
    seen = []
    handle = case[0].register_hook(lambda gradient: seen.append(gradient.clone()))

    def checkpointed(x, states, parameters):
        return torch.utils.checkpoint.checkpoint(run, x, states, parameters, use_reentrant=False)

    actual = values_and_gradients(checkpointed, *case)
    handle.remove()
    assert_close(actual, expected)
    assert_close(seen, [expected[1 + len(LSTM.states)]])
