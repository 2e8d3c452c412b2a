"""A layer as an ONNX file, for runtimes that have no torch.

Shapes: `T` time steps, `B` sequences, `I` input features, `H` hidden units, `L` layers, `D` directions.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from archsearch.compiler.layer import RecurrentLayer
from archsearch.errors import ConfigError
from archsearch.export.agreement import Tensors, largest_difference, largest_step_difference
from archsearch.export.written_bytes import write_bytes

if TYPE_CHECKING:
    from onnx import ModelProto

MAX_WEIGHTS = 2**29 - 2**24  # of 4 bytes: a file has at most 2 GiB, and there are nodes and texts, too


def check_onnx() -> None:
    """Checks that files can be written and run here.

    Raises:
        ConfigError: onnx or onnxruntime is not installed.
    """
    missing = [package for package in ("onnx", "onnxruntime") if find_spec(package) is None]
    if missing:
        raise _not_installed(" and ".join(missing))


def export_onnx(layer: RecurrentLayer, path: Path) -> None:
    """Writes a model that runs a layer over sequences of any length, in batches of any size.

    Inputs: `input` `[T, B, I]`, with the layer's `batch_first` `[B, T, I]`, and for each state `STATE_0`
    `[L * D, B, H]`. Outputs: `output` `[T, B, D * H]`, laid out as the input, and for each state `STATE_n`
    `[L * D, B, H]`. All are float32; weights are stored under the names of the layer's `state_dict`.
    The metadata have `digest` and `equations`.

    Args:
        layer: As in evaluation: dropout is left out.
        path: The file; an older one is replaced.

    Raises:
        ConfigError: onnx is not installed, or the file cannot be written.
    """
    _write(_graphs().sequence_model(layer), path)


def export_onnx_step(layer: RecurrentLayer, path: Path) -> None:
    """Writes a model that runs a layer for one time step, for a loop of the caller's own.

    As `export_onnx` does, with `input` `[B, I]` and `output` `[B, H]`.

    Args:
        layer: As in evaluation: dropout is left out.
        path: The file; an older one is replaced.

    Raises:
        ConfigError: The layer is bidirectional, onnx is not installed, or the file cannot be written.
    """
    if layer.bidirectional:
        raise ConfigError(
            "export onnx step: expected a layer of one direction, got bidirectional=True. One direction begins with "
            "the last time step, so it cannot go step by step: export whole sequences with export_onnx."
        )
    _write(_graphs().step_model(layer), path)


def verify_onnx(layer: RecurrentLayer, path: Path) -> float:
    """Runs a file of `export_onnx` in onnxruntime beside the layer, on drawn inputs of several lengths and batches.

    Returns:
        The largest difference of outputs and new states, as `largest_difference` measures it.

    Raises:
        ConfigError: onnxruntime is not installed.
    """
    return largest_difference(layer, _Session(layer, path), in_float32=True)


def verify_onnx_step(layer: RecurrentLayer, path: Path) -> float:
    """Does the same for a file of `export_onnx_step`, time step after time step."""
    return largest_step_difference(layer, _Session(layer, path), in_float32=True)


class _Session:
    """A file in onnxruntime, called with the input and the states."""

    def __init__(self, layer: RecurrentLayer, path: Path) -> None:
        onnxruntime = _runtime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the cases are small
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._inputs = ["input", *(f"{state}_0" for state in layer.program.states)]
        self._outputs = ["output", *(f"{state}_n" for state in layer.program.states)]

    def __call__(self, given: Tensors) -> Sequence[Tensor]:
        arrays = {name: tensor.contiguous().numpy() for name, tensor in zip(self._inputs, given, strict=True)}
        return [torch.from_numpy(array) for array in self._session.run(self._outputs, arrays)]


def _graphs() -> ModuleType:
    try:
        from archsearch.export import onnx_graph
    except ImportError as error:
        raise _not_installed("onnx") from error
    return onnx_graph


def _runtime() -> ModuleType:
    try:
        import onnxruntime
    except ImportError as error:
        raise _not_installed("onnxruntime") from error
    runtime: ModuleType = onnxruntime
    return runtime


def _not_installed(packages: str) -> ConfigError:
    return ConfigError(
        f"export onnx: expected {packages} to be installed. Install the extra in archsearch's own folder: "
        "pip install -c constraints.txt -e '.[onnx]'."
    )


def _write(model: "ModelProto", path: Path) -> None:
    write_bytes("onnx", path, model.SerializeToString())
