"""What `archsearch evaluate … save=FILE` kept, checked before anything is built of it: files come from anywhere."""

import json
import math
from collections.abc import Mapping
from typing import Any, get_args

import torch
from torch import Tensor

from archsearch.errors import ConfigError
from archsearch.export.weights import SavedWeights
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.cost import count_parameters
from archsearch.training.model import SequenceModel
from archsearch.trials.interface import Interface
from archsearch.trials.metric import Loss
from archsearch.trials.text_units import UNITS

MAX_LAYERS = 1_000
LARGEST_WHOLE = 10**300  # larger ones are no float
_QUALITY = ("metric", "validation_value", "test_value", "digest")


def read_model(saved: SavedWeights) -> SequenceModel:
    """Returns the model with its weights; torch's global generator stays as it was.

    Raises:
        ConfigError: What is said of the model and its weights do not fit; nothing was built then.
        FileFormatError: Its cell is none.
        KeyError: Something is not there.
        RuntimeError: The weights are called otherwise.
    """
    facts = _mapping("model", json.loads(saved.metadata["model"]))
    interface = _interface(_mapping("interface", facts["interface"]))
    num_layers = _whole("num_layers", facts["num_layers"], 1, MAX_LAYERS)
    cell = CellGraph.from_json(saved.metadata["graph"])
    hidden_size = _hidden_size(saved.tensors["readout.weight"])
    in_layers = num_layers * count_parameters(cell.structure, hidden_size, hidden_size)
    expected = interface.parameters(hidden_size) + in_layers
    got = sum(tensor.numel() for tensor in saved.tensors.values())
    if got != expected:
        raise ConfigError(f"weights: expected {expected:,} numbers in all for such a model, got {got:,}.")
    with torch.random.fork_rng(devices=()):
        model = SequenceModel(cell, interface, hidden_size, num_layers)
    model.load_state_dict(dict(saved.tensors))
    return model


def read_quality(saved: SavedWeights) -> tuple[dict[str, str], dict[str, float]]:
    """Returns how well a model did, and what simple predictors did on the same data.

    Raises:
        ConfigError: These are no numbers.
        KeyError: Something is not there.
    """
    quality = {name: saved.metadata[name] for name in _QUALITY}
    try:
        float(quality["validation_value"])
    except ValueError:
        raise ConfigError(f"validation_value: expected a number, got {quality['validation_value'][:80]!a}.") from None
    baselines = _mapping("baselines", json.loads(saved.metadata["baselines"]))
    if not all(_is_number(value) for value in baselines.values()):
        raise ConfigError("baselines: expected a number for each simple predictor.")
    return quality, {name: float(value) for name, value in baselines.items()}


def check_reader(reader: object, interface: Interface) -> None:
    """Checks what a task knew of its data against what its model reads and predicts.

    Raises:
        ConfigError: It is of a known kind and something is missing or does not fit.
    """
    kind = _mapping("reader", reader).get("kind", "")
    if not isinstance(kind, str):
        raise ConfigError(f"reader, kind: expected a text, got {type(kind).__name__}.")
    if kind == "text":
        _check_text(_mapping("reader", reader), interface)
    elif kind == "series":
        _check_series(_mapping("reader", reader), interface)


def _check_text(reader: Mapping[str, Any], interface: Interface) -> None:
    symbols = _names("symbols", reader["symbols"])
    if reader["unit"] not in UNITS or not isinstance(reader["lower_case"], bool):
        raise ConfigError(f"reader: expected a unit, one of {', '.join(UNITS)}, and a lower_case, true or false.")
    if len(set(symbols)) < len(symbols) or interface != Interface.of_symbols(len(symbols)):
        raise ConfigError(
            f"reader, symbols: expected each that the model reads and predicts once, got {len(symbols):,}; the model "
            f"{interface}."
        )


def _check_series(reader: Mapping[str, Any], interface: Interface) -> None:
    targets, inputs = _names("targets", reader["targets"]), _names("inputs", reader["inputs"])
    window = _whole("reader, window", reader["window"], 1)
    horizon = _whole("reader, horizon", reader["horizon"], 1)
    if reader["season"] is not None:
        _whole("reader, season", reader["season"], 1, window)
    if reader["time"] is not None and not isinstance(reader["time"], str):
        raise ConfigError("reader, time: expected the name of a column or null.")
    num_columns = len(targets) + len(inputs)
    for name, least in (("means", -math.inf), ("scales", 0.0)):
        numbers = reader[name]
        is_list = isinstance(numbers, list) and len(numbers) == num_columns
        if not is_list or not all(_is_number(number) and least < number < math.inf for number in numbers):
            raise ConfigError(f"reader, {name}: expected a finite number for each of {num_columns} columns.")
    if interface != Interface(0, num_columns, horizon * len(targets), "squared_error"):
        raise ConfigError(
            f"reader: expected columns and a horizon of the model, got {num_columns} columns, {len(targets)} of them "
            f"targets, and a horizon of {horizon:,}; the model {interface}."
        )


def _interface(fields: Mapping[str, Any]) -> Interface:
    sizes = {name: _whole(name, fields[name], 0) for name in ("num_symbols", "input_size", "output_size")}
    if bool(sizes["num_symbols"]) == bool(sizes["input_size"]) or not sizes["output_size"]:
        raise ConfigError(f"interface: expected symbols or numbers to read, and something to predict, got {sizes}.")
    if fields["loss"] not in get_args(Loss):
        raise ConfigError(f"interface, loss: expected one of {', '.join(get_args(Loss))}.")
    return Interface(**sizes, loss=fields["loss"])


def _hidden_size(readout: Tensor) -> int:
    if readout.dim() != 2 or not readout.shape[1]:
        raise ConfigError(f"readout.weight: expected [K, H], got shape {list(readout.shape)}.")
    return readout.shape[1]


def _mapping(name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{name}: expected names and values, got {type(value).__name__}.")
    return value


def _names(name: str, value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigError(f"reader, {name}: expected a list of texts.")
    return value


def _whole(name: str, value: object, least: int, most: float = math.inf) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        bounds = f"of at least {least}" if most == math.inf else f"from {least} to {most:,}"
        raise ConfigError(f"{name}: expected a whole number {bounds}, got {ascii(value)[:80]}.")
    return value


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) < LARGEST_WHOLE
