"""The vector functions of the native engine, number by number, through cells of one node."""

import pytest
import torch
from shared_unrolling import CountedEngine, why_not_native
from torch.nn.functional import leaky_relu

from archsearch.graph.equations import parse_equations

MAX_ULP = 4
FUNCTIONS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu, "leaky_relu": leaky_relu}
DTYPES = [torch.float32, torch.float64]
INFINITY, NAN = float("inf"), float("nan")


@pytest.fixture(autouse=True)
def _native():
    if why_not_native() is not None:
        pytest.skip(why_not_native())


def apply(name, numbers, width=16):
    """Computes a function and its derivative natively: one step, `width` units, as many sequences as needed."""
    structure = parse_equations(f"h' = {name}(x)")
    run = CountedEngine(structure, numbers.dtype)
    x = numbers.new_zeros(-(-numbers.numel() // width), width)
    x.view(-1)[: numbers.numel()] = numbers
    x.requires_grad_()
    output, _ = run(x[None], (torch.zeros_like(x[None]),), {})
    output.sum().backward()
    assert run.calls == ["forward", "backward"]
    return output.detach().view(-1)[: numbers.numel()], x.grad.view(-1)[: numbers.numel()]


def grid(dtype):
    """Returns numbers of all magnitudes, dense where the functions bend, with both neighbours at the edges."""
    edges = torch.tensor([0.0, 0.5, 1, 10, 16.6, 20, 88, 88.7, 89, 104, 709, 710, 745, 1000], dtype=dtype)
    neighbours = [torch.nextafter(edges, torch.tensor(towards, dtype=dtype)) for towards in (INFINITY, -INFINITY)]
    tiny = torch.finfo(dtype).tiny
    magnitudes = torch.logspace(-300 if dtype == torch.float64 else -37, 3, 20001, dtype=torch.float64).to(dtype)
    subnormals = torch.tensor([tiny, tiny / 2, tiny / 1024, torch.finfo(dtype).smallest_normal / 3], dtype=dtype)
    positive = torch.cat((edges, *neighbours, magnitudes, subnormals, torch.linspace(0, 30, 60001, dtype=dtype)))
    return torch.cat((positive, -positive))


def errors_in_ulp(actual, expected, dtype):
    """Returns errors in units of the last place of the true number; below the normal numbers, of the smallest."""
    limits = torch.finfo(dtype)
    _, exponent = torch.frexp(expected)
    unit = torch.ldexp(torch.full_like(expected, limits.eps), exponent - 1)
    return (actual.double() - expected).abs() / unit.clamp(min=limits.tiny * limits.eps)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values(name, dtype):
    numbers = grid(dtype)
    expected = FUNCTIONS[name](numbers.double())
    actual, _ = apply(name, numbers)
    errors = errors_in_ulp(actual, expected, dtype)
    # e^-x overflows before the sigmoid is too small for a normal number, in torch's own float32 too
    is_normal = expected.abs() >= 2 * torch.finfo(dtype).tiny
    worst = errors[is_normal].argmax()
    assert errors[is_normal][worst] <= MAX_ULP, f"{name}({numbers[is_normal][worst]!r})"
    assert is_normal.sum() > 0.4 * numbers.numel()
    assert (actual - FUNCTIONS[name](numbers))[~is_normal].abs().max() <= 4 * torch.finfo(dtype).tiny


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_slopes(name, dtype):
    """Derivatives to the same few ulp of 1; those of relu and leaky_relu at 0 are the left ones."""
    numbers = grid(dtype)
    x = numbers.to(torch.float64, copy=True).requires_grad_()
    (expected,) = torch.autograd.grad(FUNCTIONS[name](x).sum(), x)
    _, slopes = apply(name, numbers)
    assert (slopes.double() - expected).abs().max() <= 4 * torch.finfo(dtype).eps


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_at_the_ends(name, dtype):
    actual, slopes = apply(name, torch.tensor([INFINITY, -INFINITY, NAN, 0.0, -0.0], dtype=dtype))
    expected = {
        "sigmoid": [1, 0, 0.5, 0.5],
        "tanh": [1, -1, 0, 0],
        "relu": [INFINITY, 0, 0, 0],
        "leaky_relu": [INFINITY, -INFINITY, 0, 0],
    }[name]
    assert actual[[0, 1, 3, 4]].tolist() == expected
    assert actual[2].isnan()
    x = torch.tensor([INFINITY, -INFINITY, NAN], dtype=dtype, requires_grad=True)
    (wanted,) = torch.autograd.grad(FUNCTIONS[name](x).sum(), x)
    torch.testing.assert_close(slopes[:3], wanted, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_far_out_they_are_monotone_and_within_bounds(name, dtype):
    for low, high in ((-1000, -15), (15, 1000), (-110, -80), (-760, -700)):
        values, _ = apply(name, torch.linspace(low, high, 20001, dtype=dtype))
        assert values.max() <= 1
        assert values.min() >= (0 if name == "sigmoid" else -1)
        steps = values.diff()
        # within a unit of the last place, as everywhere
        slack = torch.finfo(dtype).eps * values[1:].abs() * MAX_ULP
        assert (steps >= -slack).all()
    largest = torch.tensor([1000.0, 1e30, -1000.0, -1e30], dtype=dtype)
    values, _ = apply(name, largest)
    assert values.tolist() == [1, 1, *([0, 0] if name == "sigmoid" else [-1, -1])]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_number_does_not_depend_on_its_place(dtype):
    """Full vectors and the rest of a row give the same bits."""
    numbers = torch.linspace(-3, 3, 37, dtype=dtype)
    for name in FUNCTIONS:
        whole, _ = apply(name, numbers)
        for start in (1, 5, 30):
            assert torch.equal(apply(name, numbers[start:], 37 - start)[0], whole[start:])
