"""The recurrent arcs of ENAS.

Source: Pham 2018, Efficient neural architecture search via parameter sharing, and the authors' released code for a
fixed arc on Penn Treebank; arXiv 1802.03268.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archsearch.errors import InvalidGraphError
from archsearch.graph.cell_graph import CellGraph
from archsearch.interop.foreign_arrays import pick_arrays
from archsearch.interop.highway_steps import (
    MAX_STEPS,
    HighwayStep,
    highway_cell,
    needed_steps,
    split_first,
    split_step,
    whole_number,
)
from archsearch.interop.shown_values import shown

_ACTIVATIONS = ("tanh", "relu", "", "sigmoid")  # by id; the third is the identity
_NUMBER = re.compile(r"[0-9]{1,9}")  # ASCII, and of no more digits than int takes
_WEIGHT_KEY = re.compile(r"(?:.*/)?(?P<place>w_prev|layer_[0-9]+/w)(?::0)?", re.DOTALL)


def from_enas(arc: Sequence[int] | str) -> CellGraph:
    """Reads an arc: an activation id, then for each further node its predecessor and its activation id.

    What this relies on, after the authors' code: activation ids are 0 tanh, 1 ReLU, 2 identity, 3 sigmoid; nodes are
    counted from 0. Node 0 is `h + sigmoid(t) * (f(n) - h)`, where the halves of `[x, h] w_prev` are `n` and `t`, in
    this order; node k is made from its predecessor s in the same way, with `s w_k`. The output is the mean of the
    loose ends, the nodes that are nobody's predecessor. There are no biases, and none of the batch normalization that
    the search uses and a fixed arc does not.

    Weights are named after the authors' arrays: `w_prev_new_1` (of x), `w_prev_new_2` (of h), `w_prev_gate_1`,
    `w_prev_gate_2`; for node 1 `w_1_new` and `w_1_gate`; see `enas_weights`.

    Args:
        arc: Numbers, or text with the numbers between spaces, as the authors write it; for at most 64 nodes.

    Raises:
        InvalidGraphError: The arc breaks a rule. All broken rules are listed.
    """
    return highway_cell(*_read(arc))


def enas_weights(arc: Sequence[int] | str, arrays: Mapping[str, ArrayLike]) -> dict[str, NDArray[np.generic]]:
    """Returns foreign weights under the names that `load_weights` of a layer of the arc's cell takes.

    Args:
        arc: As `from_enas` takes it.
        arrays: By the authors' names of variables in one layer, `w_prev` `[I + H, 2 H]` and `layer_K/w` `[H, 2 H]`,
            with any scope before them, all that the cell needs and those of one layer. Other entries are passed
            over.

    Raises:
        InvalidGraphError: The arc breaks a rule.
        ConfigError: An array that the cell needs is missing, or is there twice.
        ShapeError: An array has another shape.
    """
    steps, averaged = _read(arc)
    places = {f"layer_{number}/w" if number else "w_prev": number for number in needed_steps(steps, averaged)}
    found: dict[str, NDArray[np.generic]] = {}
    for place, (key, array) in pick_arrays("enas_weights", arrays, _WEIGHT_KEY, places).items():
        step = steps[places[place]]
        split = split_step if places[place] else split_first
        found |= split(f"enas_weights, {key!a}", array, (step.candidate, step.gate))
    return found


def _read(arc: Sequence[int] | str) -> tuple[list[HighwayStep], list[int]]:
    numbers: Sequence[object]
    if isinstance(arc, str):
        numbers = [int(word) if _NUMBER.fullmatch(word) else word for word in arc.split()]
    elif isinstance(arc, Sequence | np.ndarray) and not isinstance(arc, bytes):
        numbers = arc
    else:
        raise InvalidGraphError((f"arc: expected a list of numbers, got {shown(arc)}. Give one.",))
    num_nodes = (len(numbers) + 1) // 2
    if num_nodes > MAX_STEPS:
        raise InvalidGraphError((f"arc: expected at most {MAX_STEPS} nodes, got {num_nodes:,}. Cut the cell down.",))
    if len(numbers) % 2 == 0:
        expected = "expected 2 N - 1 numbers for N nodes"
        raise InvalidGraphError((f"arc: {expected}, got {len(numbers):,} numbers. Add or remove one.",))
    violations: list[str] = []
    steps = [HighwayStep(_activation(0, numbers[0], violations), 0, "w_prev_gate", "w_prev_new")]
    for position in range(1, len(numbers), 2):
        node = len(steps)
        predecessor = whole_number(numbers[position])
        if predecessor is None or not 0 <= predecessor < node:
            expected = f"expected the predecessor of node {node}, an earlier node, 0 to {node - 1}"
            violations.append(f"arc[{position}]: {expected}, got {shown(numbers[position])}. Correct it.")
        activation = _activation(position + 1, numbers[position + 1], violations)
        steps.append(HighwayStep(activation, predecessor or 0, f"w_{node}_gate", f"w_{node}_new"))
    if violations:
        raise InvalidGraphError(violations)
    used = {step.predecessor for step in steps[1:]}
    return steps, [node for node in range(len(steps)) if node not in used]


def _activation(position: int, value: object, violations: list[str]) -> str:
    number = whole_number(value)
    if number is None or not 0 <= number < len(_ACTIVATIONS):
        ids = "0 tanh, 1 relu, 2 identity, 3 sigmoid"
        violations.append(f"arc[{position}]: expected an activation, {ids}, got {shown(value)}. Correct it.")
        return ""
    return _ACTIVATIONS[number]
