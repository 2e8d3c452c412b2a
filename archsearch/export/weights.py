"""Weights on disk: safetensors files that say which cell they belong to."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from archsearch.compiler.layer import RecurrentLayer
from archsearch.compiler.recurrent_cell import RecurrentCell
from archsearch.errors import ConfigError, FileFormatError
from archsearch.export.written_bytes import write_whole
from archsearch.graph.cell_graph import CellGraph

Source = torch.nn.Module | Mapping[str, Tensor]


@dataclass(frozen=True)
class SavedWeights:
    """The content of a file of weights.

    Attributes:
        tensors: A `state_dict`, on the CPU.
        metadata: Texts by name, such as `digest`, `graph`, `equations` and `setting`.
    """

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def save_weights(source: Source, path: Path | str, metadata: Mapping[str, str] | None = None) -> Path:
    """Writes weights to a safetensors file, whole or not at all; an older file of the same name is replaced.

    Args:
        source: A module or its `state_dict`. A layer's or cell's `digest`, `graph` and `equations` are put into the
            metadata. `graph` is its JSON form, of which the weights have their names; read back from `equations`,
            weights that nobody named are numbered anew.
        path: The file; its folder exists.
        metadata: More texts to keep with the weights.

    Returns:
        The path.

    Raises:
        ConfigError: A text of the metadata is none, the path names no file, or the file cannot be written.
    """
    path = Path(path)
    if not path.name or "\0" in path.name:
        raise ConfigError(f"weights: expected the name of a file, got {str(path)!a}. Name one, such as w.safetensors.")
    texts = _texts_of(source) | dict(metadata or {})
    for name, text in texts.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise ConfigError(f"metadata {name!r}: expected text, got {type(text).__name__} {text!r}. Use str(...).")
    state: Mapping[str, Any] = source.state_dict() if isinstance(source, torch.nn.Module) else source
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}
    try:
        write_whole(path, save(tensors, texts))
    except OSError as error:
        raise ConfigError(
            f"weights {path}: cannot be written: {error.strerror}. Name a file in a folder that exists and is yours."
        ) from error
    return path


def load_weights(path: Path | str) -> SavedWeights:
    """Reads a safetensors file.

    Raises:
        ConfigError: There is no such file, or it cannot be read.
        FileFormatError: It is no whole safetensors file.
    """
    path = Path(path)
    if not path.is_file():
        got = "a folder" if path.is_dir() else "no such file"
        raise ConfigError(f"weights {path}: expected a safetensors file, got {got}. Check the path.")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no dict)
            return SavedWeights(tensors, dict(file.metadata() or {}))
    except SafetensorError as error:
        raise FileFormatError(
            f"weights {path}: expected a whole safetensors file, got something else ({error}). Save or copy it again."
        ) from error
    except OSError as error:
        raise ConfigError(f"weights {path}: cannot be read: {error}. Check its permissions.") from error


def texts_of_cell(cell: CellGraph) -> dict[str, str]:
    """Returns what a file of weights says of their cell: see `save_weights`."""
    return {"digest": cell.digest, "graph": cell.to_json(), "equations": cell.equations()}


def _texts_of(source: Source) -> dict[str, str]:
    if not isinstance(source, RecurrentLayer | RecurrentCell):
        return {}
    return texts_of_cell(source.cell)
