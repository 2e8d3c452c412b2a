"""What an exported module is compared with when it is run: small numbers that the layer gives at export."""

import inspect
import re
from collections.abc import Callable
from itertools import product
from string import Template

import torch
from torch import Tensor

from archsearch.compiler.layer import RecurrentLayer
from archsearch.export.agreement import TOLERANCE
from archsearch.export.probe import numbers, probe
from archsearch.graph.cell_graph import CellGraph

_NUMBERS_PER_LINE = 8
_INPUT_SIZE, _HIDDEN_SIZE, _NUM_LAYERS, _NUM_SEQUENCES = 3, 2, 2, 2
_SCALES, _NUM_STEPS = tuple(10.0**-power for power in range(13)), (3, 1)
_STATE_SHAPE = (2 * _NUM_LAYERS, _NUM_SEQUENCES, _HIDDEN_SIZE)  # both directions

# The class may have the name of any variable: it is read where there is none, and those of the module have underscores
_TEXT = '''\
# What archsearch's layer gave for the numbers made below: outputs, new states, and the gradient of the input
_STORED = """
$stored
"""


$numbers


$probe


def _build() -> nn.Module:
    """Returns a small module of both directions."""
    return $name($input_size, $hidden_size, num_layers=$num_layers, bidirectional=True)


def _expected() -> Tensor:
    return torch.tensor([float(number) for number in _STORED.split()], dtype=torch.float64)


def _test() -> float:
    """Returns the largest difference from the stored numbers, relative beyond $scale; NaN if none is finite."""
    actual = _probe(_build(), $input_size, $state_shape, $num_states, $num_steps, $scale)
    expected = _expected()
    if not expected.isfinite().any():
        return math.nan
    is_same = (actual == expected) | (actual.isnan() & expected.isnan())
    difference = (actual - expected).abs() / expected.abs().clamp(min=$scale)
    return float(difference.nan_to_num(nan=math.inf).masked_fill(is_same, 0).max())


if __name__ == "__main__":
    _compared = f"{int(_expected().isfinite().sum())} of {_expected().numel()} numbers compared"
    _largest = _test()
    print(f"$name: {_compared}, largest difference from the stored ones {_largest:.1e}")
    raise SystemExit(not _largest <= $tolerance)
'''


def write_self_test(cell: CellGraph, class_name: str) -> str:
    """Returns the end of an exported module: stored numbers, and the comparison that running it makes."""
    with torch.random.fork_rng(devices=()):
        layer = RecurrentLayer(cell, _INPUT_SIZE, _HIDDEN_SIZE, _NUM_LAYERS, bidirectional=True, engine="interpreter")
    stored, num_steps, scale = _finite_numbers(layer)
    texts = [f"{number:.9g}" for number in stored.tolist()]
    lines = (" ".join(texts[first : first + _NUMBERS_PER_LINE]) for first in range(0, len(texts), _NUMBERS_PER_LINE))
    return Template(_TEXT).substitute(
        name=class_name,
        stored="\n".join(lines),
        numbers=_private_source(numbers),
        probe=_private_source(probe),
        input_size=_INPUT_SIZE,
        hidden_size=_HIDDEN_SIZE,
        num_layers=_NUM_LAYERS,
        state_shape=_STATE_SHAPE,
        num_states=len(cell.states),
        num_steps=num_steps,
        scale=repr(scale),
        tolerance=TOLERANCE,
    )


def _finite_numbers(layer: RecurrentLayer) -> tuple[Tensor, int, float]:
    """Returns what the probe gives, its number of steps and the scale of its numbers.

    A changed formula cannot be seen in numbers that are not finite: both shrink until all are, or as many as can be.
    """
    best = None
    for scale, num_steps in product(_SCALES, _NUM_STEPS):
        found = probe(layer, _INPUT_SIZE, _STATE_SHAPE, len(layer.cell.states), num_steps, scale)
        share = float(found.isfinite().double().mean())
        if best is None or share > best[0]:
            best = share, (found, num_steps, scale)
        if share == 1:
            break
    assert best is not None
    return best[1]


def _private_source(function: Callable[..., object]) -> str:
    """Returns the source of a function of `probe`, with names that modules keep to themselves."""
    return re.sub(r"\b(numbers|probe)\(", r"_\1(", inspect.getsource(function)).strip()
