"""Values and gradients beside torch's own modules: every layout, direction, engine and type of number."""

from itertools import product

import pytest
import torch
from shared_torch_pairs import (
    ENGINES,
    HIDDEN_SIZE,
    LENGTHS,
    PAIRS,
    as_tuple,
    build_pair,
    by_name,
    data_of,
    draw_input,
    weighed_sum,
)
from shared_unrolling import why_not_native
from torch.nn.utils.rnn import PackedSequence

TOLERANCES = {torch.float32: 1e-6, torch.float64: 1e-10}
LAYOUTS = ("time first", "batch first", "one sequence", "sorted", "unsorted")


def run(module, num_states, num_rows, layout, dtype, states_are_given):
    """Runs a module and derives; returns output, last states, and gradients of input and given states."""
    given, x = draw_input(layout, dtype)
    batch = () if layout == "one sequence" else (len(LENGTHS),)
    generator = torch.Generator().manual_seed(5)
    shape = (num_rows, *batch, HIDDEN_SIZE)
    states = [torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for _ in range(num_states)]
    hx = (states[0] if num_states == 1 else tuple(states)) if states_are_given else None
    output, last = module(given, hx)
    assert isinstance(last, tuple) == (num_states > 1)
    if isinstance(given, PackedSequence):
        for one, other in zip(output[1:], given[1:], strict=True):
            assert one is other or torch.equal(one, other)
    results = [data_of(output), *as_tuple(last)]
    weighed_sum(results).backward()
    return [*results, x.grad, *(state.grad for state in states if states_are_given)]


def assert_near(actual, expected, dtype):
    scale = max(1.0, float(expected.detach().abs().max()))
    torch.testing.assert_close(actual, expected, rtol=0, atol=TOLERANCES[dtype] * scale)


@pytest.mark.parametrize("states_are_given", [False, True], ids=["zeros", "states"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", PAIRS)
def test_values_and_gradients(name, engine, layout, num_layers, bidirectional, states_are_given):
    if engine == "native" and why_not_native() is not None:
        pytest.skip(why_not_native())
    for dtype, batch_first in product(TOLERANCES, (False, True)):
        if (layout == "batch first" and not batch_first) or (layout == "time first" and batch_first):
            continue
        arguments = {"bidirectional": bidirectional, "batch_first": batch_first, "dtype": dtype}
        reference, layer = build_pair(name, num_layers, engine, **arguments)
        num_states, num_rows = len(layer.program.states), num_layers * (1 + bidirectional)
        results = [run(module, num_states, num_rows, layout, dtype, states_are_given) for module in (reference, layer)]
        for expected, actual in zip(*results, strict=True):
            assert_near(actual, expected, dtype)
        gradients = by_name(reference, name, lambda weight: weight.grad, lambda one, _: one)
        parameters = dict(layer.named_parameters())
        assert sorted(parameters) == sorted(gradients)
        for key, expected in gradients.items():
            assert_near(parameters[key].grad, expected, dtype)
