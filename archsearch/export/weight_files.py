"""Weights of a layer in a safetensors file, loaded again into a layer and into the exported class."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from archsearch.compiler.layer import RecurrentLayer
from archsearch.export.agreement import largest_difference
from archsearch.export.copies import empty_copy, in_double
from archsearch.export.python_file import build_exported, load_module, run, write_python
from archsearch.export.weights import load_weights, save_weights


def write_safetensors(layer: RecurrentLayer, path: Path) -> None:
    """Writes the weights."""
    save_weights(layer, path)


def verify_safetensors(layer: RecurrentLayer, path: Path) -> float:
    """Loads the weights into a new layer and into the exported class, and compares both with the layer in float64."""
    tensors = load_weights(path).tensors
    with TemporaryDirectory() as folder:
        source = Path(folder) / "exported_cell.py"
        write_python(layer, source)
        exported = build_exported(load_module(source), layer)
    modules = (empty_copy(layer), exported.double())
    for module in modules:
        module.load_state_dict(tensors)
    return max(largest_difference(in_double(layer), partial(run, module)) for module in modules)
