"""NaN, infinities and huge numbers: the native engine has them where the interpreter has them."""

import random

import pytest
import torch
from shared_unrolling import (
    CountedEngine,
    cell_of_all_primitives,
    convert,
    draw_case,
    draw_tame_case,
    random_cell,
    values_and_gradients,
    why_not_native,
    zoo_structures,
)

from archsearch.compiler.interpreter import Interpreter
from archsearch.compiler.lower import lower
from archsearch.graph.equations import parse_equations

DTYPES = [torch.float32, torch.float64]
NAN, INFINITY = float("nan"), float("inf")
CELLS = {name: zoo_structures()[name] for name in ("gru", "lstm", "mut1", "mut3")}
CELLS["relu"] = parse_equations("h' = relu(linear(x, h)) * x - relu(h)")
CELLS |= {f"all primitives {seed}": cell_of_all_primitives(seed) for seed in (1, 2, 5, 10, 11)}
CELLS |= {f"random {seed}": random_cell(seed) for seed in (1, 2, 5, 10, 11, 12, 16, 36, 45, 50)}


@pytest.fixture(autouse=True)
def _native():
    if why_not_native() is not None:
        pytest.skip(why_not_native())


def run_poisoned(run, case, poison, place, gradients_too=True):
    """Runs a case with one number replaced: in `x`, a state, a parameter or the gradient of the output."""
    x, states, parameters = convert(case, case[0].dtype)
    inputs = [x, *states, *parameters.values()]
    kind, index = place
    with torch.no_grad():
        if kind != "output":
            target = inputs[kind % len(inputs)].view(-1)
            target[index % target.numel()] = poison
    output, last = run(x, states, parameters)
    values = (output, *last)
    weights = [torch.linspace(0.5, 1.5, value.numel(), dtype=x.dtype).view_as(value) for value in values]
    if kind == "output":
        weights[0].view(-1)[index % output.numel()] = poison
    gradients = torch.autograd.grad(values, inputs, weights, allow_unused=True, materialize_grads=True)
    return [*values, *gradients]


def kinds_of(tensor):
    """Returns 0 for finite numbers, 1 and -1 for infinities, 2 for NaN."""
    tensor = tensor.detach()
    return torch.where(tensor.isnan(), 2, torch.where(tensor.isinf(), tensor.sign().nan_to_num().long(), 0))


def assert_same_pattern(structure, dtype, poison, place):
    case = convert(draw_tame_case(structure, (3, 2, 5, 9))[0], dtype)
    native = CountedEngine(structure, dtype)
    actual = run_poisoned(native, case, poison, place)
    expected = run_poisoned(Interpreter(lower(structure)), case, poison, place)
    assert native.calls == ["forward", "backward"]
    for index, (one, other) in enumerate(zip(actual, expected, strict=True)):
        assert torch.equal(kinds_of(one), kinds_of(other)), f"tensor {index}, {poison} put in {place}"
    return expected


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_the_pattern_is_the_interpreters(name, dtype):
    rng = random.Random(name)
    found = set()
    for poison in (NAN, INFINITY, -INFINITY):
        for kind in ("output", *range(8)):
            for expected in assert_same_pattern(CELLS[name], dtype, poison, (kind, rng.randrange(1000))):
                found.update(kinds_of(expected).unique().tolist())
    assert {0, 2} <= found  # there was something to compare


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["gru", "lstm", "mut1", "relu"])
@pytest.mark.parametrize("poison", [1e30, -1e30, 1e-30])
def test_huge_and_tiny_numbers(name, dtype, poison):
    for kind in ("output", *range(6)):
        assert_same_pattern(CELLS[name], dtype, poison, (kind, 7))


@pytest.mark.parametrize("poison", [NAN, INFINITY])
def test_other_sequences_stay_as_they_are(poison):
    """A sequence that went astray changes no other one of its batch, and no later batch."""
    structure = CELLS["lstm"]
    case = draw_case(structure, 4, 6, 5, 9)
    run = CountedEngine(structure, torch.float64)
    clean = values_and_gradients(run, *case)
    x, states, parameters = convert(case, torch.float64)
    with torch.no_grad():
        x[:, 2] = poison
    output, _ = run(x, states, parameters)
    others = [0, 1, 3, 4, 5]
    assert torch.equal(output[:, others], clean[0][:, others])
    assert output[:, 2].isnan().any() or poison == INFINITY
    values_and_gradients(run, x, states, parameters)
    for one, other in zip(values_and_gradients(run, *case), clean, strict=True):
        assert torch.equal(one, other)
