"""What a layer takes: the checks, and their messages.

Shapes: `T` time steps, `B` sequences, `I` input features, `H` hidden units, `L` layers, `M` states.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from archsearch.errors import ConfigError, ShapeError
from archsearch.graph.catalog import load_cell
from archsearch.graph.cell_graph import CellGraph

_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def check_cell(owner: str, cell: object) -> CellGraph:
    """Checks what should be a cell, the name of one or a file, and returns the cell.

    Raises:
        ConfigError: It is none of them, or there is no such cell.
    """
    if isinstance(cell, CellGraph):
        return cell
    if not isinstance(cell, str | Path):
        raise ConfigError(
            f"{owner}: expected for cell a CellGraph, the name of one in the zoo or the path of a file, got "
            f"{type(cell).__name__}. Give one, such as 'gru'."
        )
    return load_cell(cell)


def check_dtype(owner: str, dtype: object) -> None:
    """Checks the type of weights; None, for torch's default, will do.

    Raises:
        ConfigError: It is not one that weights can be drawn and trained in.
    """
    if dtype is not None and dtype not in _DTYPES:
        known = ", ".join(map(str, _DTYPES))
        raise ConfigError(f"{owner}: expected for dtype one of {known}, or None, got {dtype!r}. Give one of them.")


def check_sizes(owner: str, **sizes: object) -> None:
    """Checks that sizes are whole numbers of at least 1.

    Raises:
        ConfigError: One is not.
    """
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ConfigError(f"{owner}: expected a whole number of at least 1 for {name}, got {size!r}.")


def check_switches(owner: str, **switches: object) -> None:
    """Checks that switches are on or off.

    Raises:
        ConfigError: One is neither True nor False.
    """
    for name, switch in switches.items():
        if not isinstance(switch, bool):
            raise ConfigError(f"{owner}: expected True or False for {name}, got {switch!r}.")


def check_dropout(owner: str, dropout: object, num_layers: int) -> float:
    """Checks a probability of dropout between layers and returns it; warns where it has no effect.

    Raises:
        ConfigError: It is no number from 0 to 1.
    """
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
        raise ConfigError(
            f"{owner}: expected for dropout a number from 0 to 1, the probability that an output is zeroed, got "
            f"{dropout!r}."
        )
    if dropout and num_layers == 1:
        warnings.warn(
            f"{owner}: dropout={dropout} has no effect with num_layers=1: it zeroes outputs of every layer but the "
            "last. Put nn.Dropout behind the layer, or add layers.",
            stacklevel=3,
        )
    return float(dropout)


def check_input(owner: str, x: object, layouts: Mapping[int, str], input_size: int, weight: Tensor | None) -> Tensor:
    """Checks an input and returns it.

    Args:
        owner: Who speaks.
        x: What the user gave.
        layouts: The shapes that would do, such as `[T, I]` and `[T, B, I]`, by their number of axes.
        input_size: `I`.
        weight: Any weight of the layer, if it has one: type and device must be the same.

    Raises:
        ShapeError: It is no tensor, or has the wrong rank, feature size, length, type or device.
    """
    if isinstance(x, PackedSequence):
        raise ShapeError(
            f"{owner}: expected a tensor {_alternatives(layouts)}, got a PackedSequence. Give it to a RecurrentLayer, "
            "or one time step of its data to this module."
        )
    if not isinstance(x, Tensor):
        raise ShapeError(f"{owner}: expected a tensor {_alternatives(layouts)}, got {type(x).__name__}.")
    shape = x.shape
    if len(shape) not in layouts:
        raise ShapeError(f"{owner}: expected an input {_alternatives(layouts)}, got shape {list(shape)}.")
    if shape[-1] != input_size:
        raise ShapeError(
            f"{owner}: expected {input_size} input features on the last axis, got {shape[-1]} (shape {list(shape)}). "
            f"Build the module with input_size={shape[-1]} or change the input."
        )
    if weight is not None:
        _check_kind(owner, "the input", x, "the weights", weight)
    return x


def check_states(
    owner: str, given: object, names: Sequence[str], shape: tuple[int, ...], x: Tensor
) -> tuple[Tensor, ...]:
    """Checks the states a user gave and returns them as a tuple, one per name.

    Args:
        owner: Who speaks.
        given: A tensor for a cell of one state, a tuple of tensors for several.
        names: Of the cell's states.
        shape: That each must have.
        x: The input: type and device must be the same.

    Raises:
        ShapeError: There are too few or too many, or one has the wrong shape, type or device.
    """
    wanted = f"a tensor {list(shape)}" if len(names) == 1 else f"a tuple of {len(names)} tensors {list(shape)}"
    wanted = f"{owner}: expected {wanted} for the state{'s' * (len(names) > 1)} {', '.join(names)}"
    states = (given,) if len(names) == 1 else given
    if not isinstance(states, tuple | list):
        raise ShapeError(f"{wanted}, got {type(given).__name__}.")
    if len(states) != len(names):
        raise ShapeError(f"{wanted}, got {len(states)} of them.")
    for name, state in zip(names, states, strict=True):
        of = f" for {name}" if len(names) > 1 else ""
        if not isinstance(state, Tensor):
            raise ShapeError(f"{wanted}, got {type(state).__name__}{of}.")
        if tuple(state.shape) != shape:
            raise ShapeError(f"{wanted}, got shape {list(state.shape)}{of}.")
        _check_kind(owner, f"state {name}", state, "the input", x)
    return tuple(states)


def check_weight(owner: str, name: str, weight: Tensor, shape: tuple[int, ...]) -> None:
    """Checks a weight that something else than `load_weights` may have put into a layer.

    Args:
        owner: Who speaks.
        name: The weight's in its layer.
        weight: What is there.
        shape: What must be there.

    Raises:
        ShapeError: It has another shape.
    """
    if weight.shape != shape:
        raise ShapeError(
            f"{owner}: weight '{name}' has shape {list(weight.shape)}, expected {list(shape)}. Matrices are "
            "[hidden_size, input_size or hidden_size]: transpose or slice it, or copy with load_weights, which checks."
        )


def _alternatives(layouts: Mapping[int, str]) -> str:
    return " or ".join(layouts.values())


def _check_kind(owner: str, what: str, tensor: Tensor, other: str, like: Tensor) -> None:
    if tensor.device != like.device:
        raise ShapeError(
            f"{owner}: {what} is on device {tensor.device}, {other} on {like.device}. Move one with .to(device)."
        )
    if tensor.dtype != like.dtype and not torch.is_autocast_enabled(tensor.device.type):
        raise ShapeError(f"{owner}: {what} has type {tensor.dtype}, {other} {like.dtype}. Convert one with .to(dtype).")
