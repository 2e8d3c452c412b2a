"""What an exported module is compared with when it is run: small numbers that the layer gives at export."""

import inspect
import re
from collections.abc import Callable
from string import Template

import torch

from archsearch.compiler.layer import RecurrentLayer
from archsearch.export.agreement import TOLERANCE
from archsearch.export.probe import numbers, probe
from archsearch.graph.cell_graph import CellGraph

_NUMBERS_PER_LINE = 8
_INPUT_SIZE, _HIDDEN_SIZE, _NUM_LAYERS, _NUM_SEQUENCES = 3, 2, 2, 2
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


def _test() -> float:
    """Returns the largest difference from the stored numbers, relative to those beyond 1."""
    actual = _probe(_build(), $input_size, $state_shape, $num_states)
    expected = torch.tensor([float(number) for number in _STORED.split()], dtype=torch.float64)
    is_same = (actual == expected) | (actual.isnan() & expected.isnan())
    difference = (actual - expected).abs() / expected.abs().clamp(min=1)
    return float(difference.nan_to_num(nan=math.inf).masked_fill(is_same, 0).max())


if __name__ == "__main__":
    _largest = _test()
    print(f"$name: largest difference from the stored numbers {_largest:.1e}")
    raise SystemExit(_largest > $tolerance)
'''


def write_self_test(cell: CellGraph, class_name: str) -> str:
    """Returns the end of an exported module: stored numbers, and the comparison that running it makes."""
    with torch.random.fork_rng(devices=()):
        layer = RecurrentLayer(cell, _INPUT_SIZE, _HIDDEN_SIZE, _NUM_LAYERS, bidirectional=True, engine="interpreter")
    stored = probe(layer, _INPUT_SIZE, _STATE_SHAPE, len(cell.states))
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
        tolerance=TOLERANCE,
    )


def _private_source(function: Callable[..., object]) -> str:
    """Returns the source of a function of `probe`, with names that modules keep to themselves."""
    return re.sub(r"\b(numbers|probe)\(", r"_\1(", inspect.getsource(function)).strip()
