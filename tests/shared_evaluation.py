"""A slow, obvious evaluation of a cell in float64, and what it says about two cells: `shared_evaluation` in tests."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from archsearch.graph.structure import Node, Structure

SIZE = 3
Arrays = dict[str, np.ndarray]

FORMULAS = {
    "tanh": np.tanh,
    # the logistic function, without overflow
    "sigmoid": lambda a: (1 + np.tanh(a / 2)) / 2,
    "relu": lambda a: np.maximum(a, 0),
    "leaky_relu": lambda a: np.maximum(a, 0.01 * a),
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
}


@dataclass(frozen=True)
class Weights:
    """`[SIZE]` input, `[SIZE]` per state, and by linear node a `[SIZE, SIZE]` matrix and a `[SIZE]` bias.

    A peephole has the main diagonal of its matrix, and no bias.
    """

    x: np.ndarray
    states: Arrays
    matrices: Arrays
    biases: Arrays


def evaluate(
    structure: Structure,
    x: np.ndarray,
    states: Arrays,
    matrices: Arrays,
    biases: Arrays,
    formulas: Mapping[str, Callable[..., np.ndarray]] = FORMULAS,
) -> Arrays:
    """Computes one step: `[SIZE]` per new state. A bias given for a linear without one is not used."""
    values = {"x": x, **states}

    def value(name: str) -> np.ndarray:
        if name not in values:
            node = structure.nodes[name]
            operands = [value(operand) for operand in node.operands]
            if node.primitive == "linear":
                values[name] = matrices[name] @ operands[0] + (biases[name] if node.bias else 0.0)
            elif node.primitive == "peephole":
                values[name] = np.diagonal(matrices[name]) * operands[0]
            elif node.primitive == "affine":
                values[name] = node.scale * operands[0] + node.shift
            else:
                values[name] = formulas[node.primitive](*operands)
        return values[name]

    return {state: value(new_value) for state, new_value in structure.new_states.items()}


def outputs(structure: Structure, weights: Weights) -> Arrays:
    """Computes one step with given weights."""
    return evaluate(structure, weights.x, weights.states, weights.matrices, weights.biases)


def random_weights(structure: Structure, rng: random.Random) -> Weights:
    """Draws inputs, states and weights, biases away from zero.

    Each draw depends on the name alone, so that two cells with the same names have the same weights.
    """
    seed = rng.getrandbits(64)

    def draws(name: str) -> np.random.Generator:
        return np.random.default_rng([seed, *name.encode()])

    linears = [name for name, node in structure.nodes.items() if node.primitive in ("linear", "peephole")]
    return Weights(
        draws("x").uniform(-1, 1, SIZE),
        {state: draws(state).uniform(-1, 1, SIZE) for state in structure.states},
        {name: draws(f"{name} matrix").uniform(-1, 1, (SIZE, SIZE)) for name in linears},
        {name: draws(f"{name} bias").uniform(0.1, 1, SIZE) for name in linears},
    )


def carried_over(
    weights: Weights,
    matrices: Mapping[str, str],
    biases: Mapping[str, tuple[str, int]],
    states: Mapping[str, str],
) -> Weights:
    """Gives a respelt cell the weights of the original, by the account that came with it."""
    return Weights(
        weights.x,
        {new: weights.states[old] for new, old in states.items()},
        {new: weights.matrices[old] for new, old in matrices.items()},
        {new: sign * weights.biases[old] for new, (old, sign) in biases.items()},
    )


class Respelt(Protocol):
    """A cell written another way, and where its weights and states come from; a `Canonical` is one."""

    @property
    def structure(self) -> Structure: ...
    @property
    def matrices(self) -> Mapping[str, str]: ...
    @property
    def biases(self) -> Mapping[str, tuple[str, int]]: ...
    @property
    def states(self) -> Mapping[str, str]: ...


def error_of(structure: Structure, respelt: Respelt, rng: random.Random) -> float:
    """Returns the relative error of one step of a cell written another way."""
    weights = random_weights(structure, rng)
    carried = carried_over(weights, respelt.matrices, respelt.biases, respelt.states)
    return relative_error(outputs(structure, weights), outputs(respelt.structure, carried), respelt.states)


def relative_error(original: Arrays, respelt: Arrays, states: Mapping[str, str]) -> float:
    """Returns the largest difference between new states, relative to the largest of them where that is above 1."""
    scale = max(1.0, *(float(np.abs(value).max()) for value in original.values()))
    return max(float(np.abs(respelt[new] - original[old]).max()) for new, old in states.items()) / scale


def surely_differ(left: Structure, right: Structure, rng: random.Random) -> bool:
    """Tells whether two cells differ however their states other than `h` and their matrices are renamed.

    Compared is what no renaming changes: the outputs when all matrices are one matrix, all biases are at their first
    values and the states other than `h` are equal; else the number of matrices and biases that have an effect, with
    their diagonals and first values. False means: not known.
    """
    seed = rng.getrandbits(64)
    with np.errstate(over="ignore", invalid="ignore"):
        left_outputs, right_outputs = (_symmetric_outputs(cell, seed) for cell in (left, right))
        if left_outputs.shape != right_outputs.shape:
            return True
        if not (np.isfinite(left_outputs).all() and np.isfinite(right_outputs).all()):
            return False
        if not np.allclose(left_outputs, right_outputs, rtol=1e-5, atol=1e-7):
            return True
        return _effective_weights(left, seed) != _effective_weights(right, seed)


def _symmetric_outputs(structure: Structure, seed: int) -> np.ndarray:
    draws = np.random.default_rng(seed)
    rows = []
    for _ in range(3):
        x, h, other = draws.uniform(-1, 1, (3, SIZE))
        matrix = draws.uniform(-1, 1, (SIZE, SIZE))
        new_states = evaluate(
            structure,
            x,
            {state: h if state == "h" else other for state in structure.states},
            dict.fromkeys(structure.nodes, matrix),
            {name: np.full(SIZE, node.bias_init) for name, node in structure.nodes.items()},
        )
        rows.append([new_states["h"], *sorted((value for s, value in new_states.items() if s != "h"), key=list)])
    return np.array(rows)


def _has_bias(node: Node) -> bool:
    return node.primitive == "linear" and node.bias


def _effective_weights(structure: Structure, seed: int) -> tuple[list[float], list[float]]:
    """Returns the diagonals of the matrices, and the sizes of the biases, that change an output when they change.

    A relu is leaky here: whether a weight matters should not depend on a unit that happens to be off.
    """
    formulas = {**FORMULAS, "relu": lambda a: np.where(a > 0, a, 0.3 * a)}
    diagonals: dict[str, float] = {}
    bias_inits: dict[str, float] = {}
    for draw in range(3):
        weights = random_weights(structure, random.Random(seed + draw))

        def results(matrices: Arrays, biases: Arrays, weights: Weights = weights) -> np.ndarray:
            new_states = evaluate(structure, weights.x, weights.states, matrices, biases, formulas)
            return np.array([new_states[state] for state in structure.states])

        before = results(weights.matrices, weights.biases)
        for name, matrix in weights.matrices.items():
            if not np.allclose(before, results({**weights.matrices, name: matrix + 0.1}, weights.biases), 1e-7, 1e-9):
                diagonals[name] = structure.nodes[name].diagonal
            changed = {**weights.biases, name: weights.biases[name] + 0.1}
            if _has_bias(structure.nodes[name]) and not np.allclose(
                before, results(weights.matrices, changed), 1e-7, 1e-9
            ):
                bias_inits[name] = abs(structure.nodes[name].bias_init)
    return sorted(diagonals.values()), sorted(bias_inits.values())
