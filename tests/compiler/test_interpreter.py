"""The interpreter against a naive evaluator: node by node, step by step, nothing hoisted, nothing packed."""

import random

import pytest
import torch
from shared_cells import random_structure
from torch import Tensor

from archsearch.compiler.interpreter import Interpreter
from archsearch.compiler.lower import lower
from archsearch.graph.structure import Node, Structure

Weights = dict[str, Tensor]


def evaluate_naively(structure, x, states, parameters):
    """Shapes: `x` `[T, B, I]`, each state `[B, H]`; returns `[T, B, H]` outputs and the last states."""
    formulas = {
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "relu": lambda a: a * (a > 0),
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
    }
    states = dict(zip(structure.states, states, strict=True))
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
    return torch.stack(outputs), tuple(states[state] for state in structure.states)


def draw_parameters(structure, input_size, hidden_size, generator) -> Weights:
    parameters = {}
    program = lower(structure)
    for spec in program.parameters:
        width = input_size if spec.width == "I" else hidden_size
        shape = (hidden_size, width)
        parameters[f"{spec.name}.weight"] = torch.randn(shape, generator=generator, dtype=torch.float64) / width**0.5
        if spec.bias:
            parameters[f"{spec.name}.bias"] = torch.randn(hidden_size, generator=generator, dtype=torch.float64)
    if program.needs_input_projection and input_size != hidden_size:
        projection = torch.randn(hidden_size, input_size, generator=generator, dtype=torch.float64)
        parameters["input_projection.weight"] = projection
    return {name: tensor.requires_grad_() for name, tensor in parameters.items()}


def draw_case(structure, num_steps, batch_size, input_size, hidden_size):
    generator = torch.Generator().manual_seed(1)
    shape = (num_steps, batch_size, input_size)
    x = torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
    states = tuple(
        torch.randn(batch_size, hidden_size, generator=generator, dtype=torch.float64).requires_grad_()
        for _ in structure.states
    )
    return x, states, draw_parameters(structure, input_size, hidden_size, generator)


def values_and_gradients(run, x, states, parameters):
    """Runs, then derives a loss that weighs every output and every last state differently."""
    output, last = run(x, states, parameters)
    loss = sum((value * torch.linspace(0.5, 1.5, value.numel()).view_as(value)).sum() for value in (output, *last))
    inputs = [x, *states, *parameters.values()]
    gradients = torch.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True)
    return [output, *last, *gradients]


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


TANH = {"wx": Node("linear", ("x",)), "wh": Node("linear", ("h",), 0.9, False), "s": Node("add", ("wx", "wh"))}
TANH["t"] = Node("tanh", ("s",))


@pytest.mark.parametrize(
    ("states", "nodes", "new_states"),
    [
        pytest.param("hc", TANH, {"h": "c", "c": "t"}, id="h' is the old c, c reads h"),
        pytest.param("hc", {"t": Node("tanh", ("c",))}, {"h": "c", "c": "t"}, id="h' is the old c, h unread"),
        pytest.param("hc", TANH, {"h": "t", "c": "x"}, id="c' is x and unread"),
        pytest.param("hc", {"p": Node("mul", ("c", "h"))}, {"h": "p", "c": "x"}, id="c' is x"),
        pytest.param("hc", {"p": Node("mul", ("c", "x"))}, {"h": "p", "c": "x"}, id="h' from the x before"),
        pytest.param("hc", TANH, {"h": "t", "c": "c"}, id="c' is c"),
        pytest.param("hc", TANH, {"h": "t", "c": "h"}, id="c' is the old h"),
        pytest.param("hc", {"t": Node("tanh", ("x",))}, {"h": "c", "c": "h"}, id="exchanged, a node unused"),
        pytest.param("hcd", {"t": Node("tanh", ("x",))}, {"h": "c", "c": "d", "d": "t"}, id="a line of delays"),
        pytest.param("h", {"t": Node("tanh", ("x",))}, {"h": "t"}, id="no recurrence"),
        pytest.param("h", {}, {"h": "x"}, id="h' is x"),
        pytest.param("h", {"q": Node("mul", ("h", "h"))}, {"h": "q"}, id="x unread, a value used twice"),
        pytest.param(
            "chd",
            {
                "w": Node("linear", ("c",)),
                "cn": Node("tanh", ("w",)),
                "v": Node("linear", ("cn",)),
                "o": Node("mul", ("v", "d")),
                "u": Node("linear", ("x",)),
                "dn": Node("add", ("u", "c")),
            },
            {"c": "cn", "h": "o", "d": "dn"},
            id="an epilogue reads a delayed and a gathered state",
        ),
    ],
)
def test_awkward_cells(states, nodes, new_states):
    structure = Structure(tuple(states), nodes, new_states)
    assert_equals_naive(structure)
    assert_equals_naive(structure, (1, 2, 3, 3))


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
    torch.testing.assert_close(output[0], x[0] * states[0] - states[0])
