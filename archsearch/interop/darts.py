"""The recurrent genotypes of DARTS.

Source: Liu 2019, DARTS: differentiable architecture search, and the authors' released code; arXiv 1806.09055.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

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

_ACTIVATIONS = {"tanh": "tanh", "relu": "relu", "sigmoid": "sigmoid", "identity": ""}
_WEIGHT_KEY = re.compile(r"(?:.*\.)?(?P<place>_W0|_Ws\.[0-9]+)", re.DOTALL)


class Genotype(Protocol):
    """What DARTS calls a genotype: a named tuple of these two."""

    recurrent: Sequence[tuple[str, int]]
    concat: Sequence[int]


def from_darts(genotype: Genotype | Mapping[str, Any]) -> CellGraph:
    """Reads a genotype: `recurrent`, a list of pairs of activation and predecessor, and `concat`, states to average.

    State 0 is `h + sigmoid(c0) * (tanh(h0) - h)`, where the halves of `[x, h] W0` are `c0` and `h0`. The k-th pair,
    counted from 1, makes state k from its predecessor s, `s + sigmoid(c) * (f(g) - s)`, where the halves of `s W_k` are
    `c` and `g`. The output is the mean of the states in `concat`. There are no biases.

    Weights are named after the authors' arrays: `W0_gate_1` (of x), `W0_gate_2` (of h), `W0_new_1`, `W0_new_2` from
    `_W0`; `Ws_0_gate`, `Ws_0_new` from `_Ws.0`, which makes state 1; see `darts_weights`. States that the output needs
    not are left out, and their weights with them.

    Args:
        genotype: The authors' named tuple, or a mapping with the same two fields, neither longer than 64.

    Raises:
        InvalidGraphError: The genotype breaks a rule. All broken rules are listed.
    """
    return highway_cell(*_read(genotype))


def darts_weights(
    genotype: Genotype | Mapping[str, Any], arrays: Mapping[str, ArrayLike]
) -> dict[str, NDArray[np.generic]]:
    """Returns foreign weights under the names that `load_weights` of a layer of the genotype's cell takes.

    Args:
        genotype: As `from_darts` takes it.
        arrays: The state dict of the foreign cell or of a module around it: `_W0` `[I + H, 2 H]` and `_Ws.K`
            `[H, 2 H]`, all that the cell needs and those of one layer. Other entries, and those of states that the
            output needs not, are passed over.

    Raises:
        InvalidGraphError: The genotype breaks a rule.
        ConfigError: An array that the cell needs is missing, or is there twice.
        ShapeError: An array has another shape.
    """
    steps, averaged = _read(genotype)
    places = {f"_Ws.{number - 1}" if number else "_W0": number for number in needed_steps(steps, averaged)}
    found: dict[str, NDArray[np.generic]] = {}
    for place, (key, array) in pick_arrays("darts_weights", arrays, _WEIGHT_KEY, places).items():
        step = steps[places[place]]
        split = split_step if places[place] else split_first
        found |= split(f"darts_weights, {key!a}", array, (step.gate, step.candidate))
    return found


def _read(genotype: Any) -> tuple[list[HighwayStep], list[int]]:
    recurrent, concat = (_field(genotype, name) for name in ("recurrent", "concat"))
    if recurrent is None or concat is None:
        message = "genotype: expected recurrent, a list of (activation, predecessor), and concat, a list of states"
        raise InvalidGraphError((f"{message}; got {shown(genotype)}. Give both.",))
    if len(recurrent) > MAX_STEPS or len(concat) > MAX_STEPS:
        got = f"{len(recurrent):,} and {len(concat):,}"
        expected = f"expected at most {MAX_STEPS} steps and states to average"
        raise InvalidGraphError((f"genotype: {expected}, got {got}. Cut the cell down.",))
    violations: list[str] = []
    steps = [HighwayStep("tanh", 0, "W0_gate", "W0_new")]
    for index, pair in enumerate(recurrent):
        steps.append(_step(index, pair, violations))
    averaged = []
    for position, item in enumerate(concat):
        state = whole_number(item)
        if state is None or not 0 <= state <= len(recurrent):
            expected = f"expected a state, 0 to {len(recurrent)}"
            violations.append(f"genotype, concat[{position}]: {expected}, got {shown(item)}. Correct it.")
        else:
            averaged.append(state)
    if len(concat) == 0:  # an array has no truth
        violations.append("genotype, concat: expected at least one state to average, got none. Name one.")
    if violations:
        raise InvalidGraphError(violations)
    return steps, averaged


def _field(genotype: Any, name: str) -> Sequence[Any] | None:
    value = genotype.get(name) if isinstance(genotype, Mapping) else getattr(genotype, name, None)
    is_list = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes)
    return value if is_list else None


def _step(index: int, pair: Any, violations: list[str]) -> HighwayStep:
    where = f"genotype, recurrent[{index}]"
    activation, predecessor = "", 0
    if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
        violations.append(f"{where}: expected a pair (activation, predecessor), got {shown(pair)}. Correct it.")
    else:
        known = isinstance(pair[0], str) and pair[0] in _ACTIVATIONS
        number = whole_number(pair[1])
        if not known:
            violations.append(f"{where}: expected one of {', '.join(_ACTIVATIONS)}, got {shown(pair[0])}. Correct it.")
        if number is None or not 0 <= number <= index:
            expected = f"expected an earlier state, 0 to {index}" if index else "expected state 0, the only earlier one"
            violations.append(f"{where}: {expected}, got {shown(pair[1])}. Correct it.")
        activation = _ACTIVATIONS[pair[0]] if known else ""
        predecessor = number or 0
    return HighwayStep(activation, predecessor, f"Ws_{index}_gate", f"Ws_{index}_new")
