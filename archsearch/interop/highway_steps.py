"""What DARTS and ENAS share: a chain of highway steps, each from an earlier one, some of which are averaged."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archsearch.errors import ShapeError
from archsearch.graph.cell_graph import CellGraph
from archsearch.interop.foreign_arrays import array_of_numbers

MAX_STEPS = 64  # the published cells have 8 and 12; the digest of a chain of 64 takes several seconds


@dataclass(frozen=True, slots=True)
class HighwayStep:
    """One step: `s + g * (f(n) - s)`, the gate `g` and the candidate `n` without biases.

    Attributes:
        activation: `f`, a primitive, or empty for the identity.
        predecessor: Which earlier step is `s`, of which `g` and `n` are matrices. Of the first step `s` is the state
            `h`, and the matrices read `x` and `h`.
        gate: The name of the gate's weights.
        candidate: The name of the candidate's weights.
    """

    activation: str
    predecessor: int
    gate: str
    candidate: str


def highway_cell(steps: Sequence[HighwayStep], averaged: Sequence[int]) -> CellGraph:
    """Returns the cell whose output and one state is the mean of some steps. Steps that it needs not are left out."""
    lines = []
    for number in needed_steps(steps, averaged):
        step = steps[number]
        before = f"s{step.predecessor}" if number else "h"
        operands = before if number else "x, h"
        candidate = f"linear({operands}, bias=no, name={step.candidate})"
        lines.append(f"g{number} = sigmoid(linear({operands}, bias=no, name={step.gate}))")
        lines.append(f"n{number} = {step.activation}({candidate})" if step.activation else f"n{number} = {candidate}")
        lines.append(f"s{number} = {before} + g{number} * (n{number} - {before})")
    total = " + ".join(f"s{number}" for number in averaged)
    lines.append(f"h' = {1 / len(averaged)!r} * ({total})" if len(averaged) > 1 else f"h' = {total}")
    return CellGraph.from_equations("\n".join(lines))


def needed_steps(steps: Sequence[HighwayStep], averaged: Sequence[int]) -> list[int]:
    """Returns the steps that the averaged ones need, in order; the first is always one of them."""
    needed = {0}
    for number in averaged:
        while number not in needed:
            needed.add(number)
            number = steps[number].predecessor
    return sorted(needed)


def split_first(where: str, array: ArrayLike, names: tuple[str, str]) -> dict[str, NDArray[np.generic]]:
    """Splits `[I + H, 2 H]`, x above h, into `NAME_1` `[H, I]` and `NAME_2` `[H, H]` for each of two names.

    Raises:
        ShapeError: The array has another shape, or is no array of numbers.
    """
    matrix = array_of_numbers(where, array)
    hidden_size = matrix.shape[-1] // 2 if matrix.ndim else 0
    if matrix.ndim != 2 or matrix.shape[1] % 2 or matrix.shape[0] <= hidden_size:
        raise ShapeError(
            f"{where}: expected [input_size + H, 2 H], got shape {list(matrix.shape)}. Is it another array?"
        )
    input_size = matrix.shape[0] - hidden_size
    parts = {}
    for name, half in zip(names, np.split(matrix, 2, axis=1), strict=True):
        parts[f"{name}_1"] = half[:input_size].T
        parts[f"{name}_2"] = half[input_size:].T
    return parts


def split_step(where: str, array: ArrayLike, names: tuple[str, str]) -> dict[str, NDArray[np.generic]]:
    """Splits `[H, 2 H]` into two `[H, H]`, transposed to what a `linear` takes.

    Raises:
        ShapeError: The array has another shape, or is no array of numbers.
    """
    matrix = array_of_numbers(where, array)
    if matrix.ndim != 2 or matrix.shape[1] != 2 * matrix.shape[0]:
        raise ShapeError(f"{where}: expected [H, 2 H], got shape {list(matrix.shape)}. Is it another array?")
    return {name: half.T for name, half in zip(names, np.split(matrix, 2, axis=1), strict=True)}


def whole_number(value: object) -> int | None:
    """Returns a value as an int, one of numpy's too; None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]  # whatever it is
    except TypeError:
        return None
