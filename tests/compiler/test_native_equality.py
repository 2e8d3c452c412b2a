"""The native engine against the interpreter: every value, every last state, every gradient."""

import os
import shutil
import subprocess
import sys

import pytest
import torch
from shared_corners import CORNERS_AS_GRAPHS
from shared_unrolling import (
    FLOAT32_FLOOR,
    MAX_ERROR,
    MAX_ERROR_RATIO,
    SIZES,
    CountedEngine,
    cell_of_all_primitives,
    compare_in_double,
    compare_in_float,
    convert,
    distance,
    draw_case,
    random_cell,
    reorder_units,
    values_and_gradients,
    why_not_native,
    worst_error,
    zoo_structures,
)

from archsearch.compiler.interpreter import Interpreter
from archsearch.compiler.lower import lower
from archsearch.compiler.native.engine import NativeEngine
from archsearch.graph.equations import parse_equations

ZOO = zoo_structures()
NUM_RANDOM = 60


def structure_of(equations):
    return parse_equations(equations)


@pytest.fixture(autouse=True)
def _native():
    if why_not_native() is not None:
        pytest.skip(why_not_native())


def assert_equals_interpreter(structure, sizes):
    error, where = compare_in_double(structure, sizes)
    assert error <= MAX_ERROR, f"{where}, sizes {sizes}"


@pytest.mark.parametrize("name", ZOO)
def test_the_zoo_equals_the_interpreter(name):
    for sizes in SIZES[list(ZOO).index(name) % 4 :: 4]:
        assert_equals_interpreter(ZOO[name], sizes)


@pytest.mark.parametrize("seed", range(NUM_RANDOM))
def test_random_cells_equal_the_interpreter(seed):
    structure = random_cell(seed)
    assert_equals_interpreter(structure, SIZES[seed % len(SIZES)])
    assert_equals_interpreter(structure, SIZES[(seed + 5) % len(SIZES)])


@pytest.mark.parametrize("seed", range(NUM_RANDOM))
def test_random_cells_of_all_primitives_equal_the_interpreter(seed):
    structure = cell_of_all_primitives(seed)
    assert_equals_interpreter(structure, SIZES[seed % len(SIZES)])
    assert_as_exact_as_the_interpreter(structure, SIZES[(seed + 5) % len(SIZES)])


# mistakes of the engine that these tests found
@pytest.mark.parametrize("name", CORNERS_AS_GRAPHS)
def test_corners_equal_the_interpreter(name):
    for sizes in ((1, 1, 1, 1), (1, 3, 4, 7), (5, 2, 4, 7), (4, 3, 9, 9), (3, 2, 1, 33), (4, 3, 16, 16)):
        assert_equals_interpreter(CORNERS_AS_GRAPHS[name], sizes)


@pytest.mark.parametrize("name", CORNERS_AS_GRAPHS)
def test_an_input_that_is_read_where_it_lies_is_not_changed(name):
    structure = CORNERS_AS_GRAPHS[name]
    x, states, parameters = draw_case(structure, 4, 3, 16, 16)
    before = x.detach().clone()
    in_place = values_and_gradients(NativeEngine(lower(structure)), x, states, parameters)
    assert torch.equal(x, before)
    beside_vectors = torch.empty(x.numel() + 1, dtype=x.dtype)[1:].view_as(x).copy_(before).requires_grad_()
    assert beside_vectors.data_ptr() % 16
    copied = values_and_gradients(NativeEngine(lower(structure)), beside_vectors, states, parameters)
    assert all(torch.equal(one, other) for one, other in zip(in_place, copied, strict=True))


@pytest.mark.parametrize("sizes", [(2, 20, 1030, 5), (2, 20, 3, 530), (60, 20, 5, 6), (1, 1, 600, 600)])
def test_products_longer_than_a_block(sizes):
    """Inner dimensions of more than 512 are taken in several goes: features, units, steps times sequences."""
    assert_equals_interpreter(structure_of("h' = tanh(linear(x, h) + linear(h)) * x"), sizes)


def assert_as_exact_as_the_interpreter(structure, sizes):
    native, interpreter = compare_in_float(structure, sizes)
    assert native <= MAX_ERROR_RATIO * interpreter + FLOAT32_FLOOR, f"sizes {sizes}"


@pytest.mark.parametrize("name", ZOO)
def test_the_zoo_in_float32(name):
    for sizes in ((5, 3, 4, 7), (3, 20, 33, 33)):
        assert_as_exact_as_the_interpreter(ZOO[name], sizes)


@pytest.mark.parametrize("seed", range(NUM_RANDOM))
def test_random_cells_in_float32(seed):
    assert_as_exact_as_the_interpreter(random_cell(seed), SIZES[seed % len(SIZES)])


@pytest.mark.parametrize("sizes", [(3, 2, 4, 7), (3, 2, 7, 7)])
def test_units_in_another_order_are_the_same_cell(sizes):
    structure = cell_of_all_primitives(11)
    case = draw_case(structure, *sizes)
    run = Interpreter(lower(structure))
    order = torch.randperm(sizes[3], generator=torch.Generator().manual_seed(1))
    reordered_case = reorder_units(case, structure, order)
    output, *_ = values = values_and_gradients(run, *case)
    reordered_output, *_ = reordered = values_and_gradients(run, *reordered_case, order=order)
    assert not torch.allclose(reordered_output, output)
    assert torch.allclose(reordered_output, output[..., order], rtol=0, atol=1e-12)
    for one, other in zip(values, reordered, strict=True):
        assert torch.allclose(one.square().sum(), other.square().sum())


def test_random_cells_vary():
    """The cells above have what they are drawn for."""
    structures = [random_cell(seed) for seed in range(NUM_RANDOM)]
    assert {len(structure.states) for structure in structures} == {1, 2, 3, 4, 5}
    assert max(len(structure.nodes) for structure in structures) >= 50
    operands = [node.operands for structure in structures for node in structure.nodes.values()]
    assert any(len(pair) == 2 and pair[0] == pair[1] for pair in operands)
    programs = [lower(structure) for structure in structures]
    assert any(program.needs_input_projection for program in programs)
    assert any(len(program.recurrent) < len(program.states) for program in programs)
    assert any(program.epilogue for program in programs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_same_input_gives_the_same_bits(dtype):
    structure = random_cell(8)
    case = convert(draw_case(structure, 5, 20, 7, 33), dtype)
    run = CountedEngine(structure, dtype)
    first, second = values_and_gradients(run, *case), values_and_gradients(run, *case)
    assert run.calls == ["forward", "backward"] * 2
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)


def test_two_half_unrolls_equal_one():
    structure = ZOO["lstm"]
    x, states, parameters = convert(draw_case(structure, 7, 3, 4, 9), torch.float64)
    run = CountedEngine(structure, torch.float64)
    expected = values_and_gradients(run, x, states, parameters)

    def run_halves(x, states, parameters):
        first, middle = run(x[:3], states, parameters)
        second, last = run(x[3:], middle, parameters)
        return torch.cat((first, second)), last

    actual = values_and_gradients(run_halves, x, states, parameters)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_gradcheck(seed):
    structure = random_cell(100 + seed)
    x, states, parameters = draw_case(structure, 2, 2, 2, 3)
    run = CountedEngine(structure, torch.float64)

    def unroll(x, *tensors):
        output, last = run(x, tensors[: len(states)], dict(zip(parameters, tensors[len(states) :], strict=True)))
        return output, *last

    assert torch.autograd.gradcheck(unroll, (x, *states, *parameters.values()))
    assert "backward" in run.calls


def test_an_engine_that_is_a_little_wrong_is_noticed():
    """The comparison itself: a relative change of 1e-8 in one gradient, and of 1e-5 in float32, are errors."""
    structure = ZOO["gru"]
    case = draw_case(structure, 3, 2, 4, 5)
    expected = values_and_gradients(Interpreter(lower(structure)), *case)
    changed = [tensor.detach().clone() for tensor in expected]
    changed[3].view(-1)[0] += 1e-8 * float(changed[3].abs().max())
    error, index = worst_error(changed, expected)
    assert (error > MAX_ERROR, index) == (True, 3)
    changed[3].view(-1)[0] = float("nan")
    assert worst_error(changed, expected) == (float("inf"), 3)
    assert distance([tensor.float() for tensor in expected], expected) < FLOAT32_FLOOR
    assert distance([tensor.float() * (1 + 1e-5) for tensor in expected], expected) > 2 * FLOAT32_FLOOR


def test_skipping_has_the_right_reason():
    """Where a compiler makes a shared object, nothing is skipped; without one, the reason says so."""
    environment = {name: value for name, value in os.environ.items() if name != "CC"} | {"PATH": ""}
    command = "from shared_unrolling import why_not_native; print(why_not_native())"
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", command], env=environment | {"PYTHONPATH": paths}, capture_output=True, text=True
    )
    assert "no C compiler found" in done.stdout
    assert why_not_native() is None
    assert os.environ.get("CC") or any(shutil.which(name) for name in ("cc", "gcc", "clang"))
