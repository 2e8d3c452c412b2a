"""An exported module on disk: written, and read back to compare it with the layer."""

import math
import sys
from collections.abc import Sequence
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from archsearch.compiler.layer import RecurrentLayer
from archsearch.errors import FileFormatError
from archsearch.export.agreement import Tensors, largest_difference
from archsearch.export.copies import in_double, options_of
from archsearch.export.names import class_name
from archsearch.export.python_source import export_python


def write_python(layer: RecurrentLayer, path: Path, called: str | None = None) -> None:
    """Writes the source of a layer's cell.

    Args:
        layer: Its cell is what counts.
        path: The file; an older one is replaced.
        called: The name of the class; made of the file's if None.
    """
    path.write_text(export_python(layer.cell, called or class_name(path.stem)), encoding="utf-8")


def verify_python(layer: RecurrentLayer, path: Path) -> float:
    """Compares the class of a file with the layer, both in float64, and lets the file test itself.

    Returns:
        The largest difference of any two numbers, relative beyond 1.

    Raises:
        FileFormatError: No stored number is finite.
    """
    module = load_module(path)
    exported = build_exported(module, layer)
    exported.load_state_dict(layer.state_dict())
    with torch.random.fork_rng(devices=()):
        stored = float(module._test())
    if math.isnan(stored):
        raise FileFormatError(
            f"{path}: expected numbers that the file can be compared with, but the cell gave none that is finite, even "
            "in one small step. Look at the cell: something in it overflows."
        )
    return max(stored, largest_difference(in_double(layer), partial(run, exported.double())))


def load_module(path: Path) -> ModuleType:
    """Imports a file, without keeping it among the modules or compiled beside it."""
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None  # the ending is .py
    assert spec.loader is not None
    module = module_from_spec(spec)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes
    return module


def build_exported(module: ModuleType, layer: RecurrentLayer) -> nn.Module:
    """Builds the class of an exported module with the sizes and options of a layer; weights are drawn anew.

    Torch's global generator stays as it was.
    """
    (exported,) = (value for name, value in vars(module).items() if _is_exported_class(module, name, value))
    with torch.random.fork_rng(devices=()):
        built: nn.Module = exported(**options_of(layer))
    return built.train(layer.training)


def run(module: nn.Module, given: Tensors) -> Sequence[Tensor]:
    """Runs a module called as `nn.GRU` or `nn.LSTM` on an input and states; returns output and new states."""
    like = next(module.parameters(), given[0].double())
    x, *states = (tensor.to(like) for tensor in given)
    output, after = module.eval()(x, states[0] if len(states) == 1 else tuple(states))
    return (output, *(after if isinstance(after, tuple) else (after,)))


def _is_exported_class(module: ModuleType, name: str, value: object) -> bool:
    return isinstance(value, type) and value.__module__ == module.__name__ and not name.startswith("_")
