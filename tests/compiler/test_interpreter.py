"""The interpreter against a naive evaluator: node by node, step by step, nothing hoisted, nothing packed."""

import random

import pytest
import torch
from shared_cells import random_structure
from shared_unrolling import AWKWARD_CELLS, draw_case, values_and_gradients

from archsearch.compiler.interpreter import Interpreter
from archsearch.compiler.lower import lower
from archsearch.graph.structure import Node, Structure


def evaluate_naively(structure, x, states, parameters):
    """Shapes: `x` `[T, B, I]`, each state `[1, B, H]`; returns `[T, B, H]` outputs and the last states."""
    formulas = {
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "relu": lambda a: a * (a > 0),
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
    }
    states = dict(zip(structure.states, [state[0] for state in states], strict=True))
    outputs = []
    for x_t in x:
        projection = parameters.get("input_projection.weight")
        bare = x_t if projection is None else torch.einsum("bi,hi->bh", x_t, projection)
        known = {"x": bare, **states}
        while len(known) < 1 + len(states) + len(structure.nodes):
            for name, node in structure.nodes.items():
                if name in known or not all(operand in known for operand in node.operands):
                    continue
                if node.primitive == "linear":
                    operand = x_t if node.operands[0] == "x" else known[node.operands[0]]
                    known[name] = torch.einsum("bi,hi->bh", operand, parameters[f"{node.weights or name}.weight"])
                    if node.bias:
                        known[name] = known[name] + parameters[f"{node.weights or name}.bias"]
                else:
                    known[name] = formulas[node.primitive](*(known[operand] for operand in node.operands))
        states = {state: known[value] for state, value in structure.new_states.items()}
        outputs.append(states["h"])
    return torch.stack(outputs), tuple(states[state][None] for state in structure.states)


def assert_equals_naive(structure, sizes=(4, 2, 3, 5)):
    x, states, parameters = draw_case(structure, *sizes)
    run = Interpreter(lower(structure))
    actual = values_and_gradients(run, x, states, parameters)
    expected = values_and_gradients(lambda *case: evaluate_naively(structure, *case), x, states, parameters)
    for one, other in zip(actual, expected, strict=True):
        # huge random cells without squashing grow large: relative, too
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(60))
def test_random_cells_equal_the_naive_evaluator(seed):
    rng = random.Random(seed)
    structure = random_structure(rng, rng.randint(2, 24), rng.randint(1, 4))
    assert_equals_naive(structure)
    assert_equals_naive(structure, (3, 2, 4, 4))


@pytest.mark.parametrize("seed", range(6))
def test_one_step_one_unit_one_sequence(seed):
    structure = random_structure(random.Random(seed), 12, 2)
    assert_equals_naive(structure, (1, 1, 1, 1))
    assert_equals_naive(structure, (1, 2, 3, 5))
    assert_equals_naive(structure, (4, 1, 3, 1))


@pytest.mark.parametrize("name", AWKWARD_CELLS)
def test_awkward_cells(name):
    assert_equals_naive(AWKWARD_CELLS[name])
    assert_equals_naive(AWKWARD_CELLS[name], (1, 2, 3, 3))


@pytest.mark.parametrize("seed", range(10))
def test_gradcheck(seed):
    structure = random_structure(random.Random(100 + seed), 10, 1 + seed % 3)
    x, states, parameters = draw_case(structure, 2, 2, 2, 3)
    run = Interpreter(lower(structure))

    def unroll(x, *tensors):
        output, last = run(x, tensors[: len(states)], dict(zip(parameters, tensors[len(states) :], strict=True)))
        return output, *last

    assert torch.autograd.gradcheck(unroll, (x, *states, *parameters.values()))


@pytest.mark.parametrize("seed", range(8))
def test_two_half_unrolls_equal_one(seed):
    structure = random_structure(random.Random(200 + seed), 14, 1 + seed % 3)
    x, states, parameters = draw_case(structure, 7, 2, 3, 4)
    run = Interpreter(lower(structure))
    whole, last = run(x, states, parameters)
    first, middle = run(x[:3], states, parameters)
    second, end = run(x[3:], middle, parameters)
    torch.testing.assert_close(torch.cat((first, second)), whole)
    torch.testing.assert_close(end, last)


def test_a_deep_cell_needs_no_recursion():
    nodes = {"n0": Node("mul", ("x", "h"))}
    for index in range(1, 2000):
        nodes[f"n{index}"] = Node("sub" if index % 2 else "add", (f"n{index - 1}", "h"))
    structure = Structure(("h",), dict(reversed(nodes.items())), {"h": "n1999"})
    x, states, parameters = draw_case(structure, 2, 1, 3, 3)
    output, _ = Interpreter(lower(structure))(x, states, parameters)
    output.sum().backward()
    torch.testing.assert_close(output[:1], x[:1] * states[0] - states[0])
