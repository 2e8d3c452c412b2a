"""A trained model put to use: forecasts of a table, continuations of a text."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from archsearch.errors import ArchSearchError, ConfigError, FileFormatError
from archsearch.export.saved_model import check_reader, read_model, read_quality
from archsearch.export.weights import load_weights
from archsearch.training.model import SequenceModel
from archsearch.trials.csv_table import check_columns, number_column, read_csv, sort_by_time
from archsearch.trials.metric import ACCURACY
from archsearch.trials.ngram_chances import NgramChances
from archsearch.trials.numbered_text import read_numbered_text, renumber
from archsearch.trials.scaling import scaled
from archsearch.trials.simple_predictors import SimplePredictors
from archsearch.trials.text_units import UNKNOWN, join_units, numbers_of, split_units
from archsearch.trials.user_files import find_files

MAX_MEGABYTES = 2_000
MAX_TEXT_MEGABYTES = 200
MOST_FOR_NGRAM = 2_000_000  # symbols of a text; each one drawn takes a hundredth of a second
NGRAM_ORDER = {"characters": 6, "words": 3}  # as in tasks/text.py


@dataclass(frozen=True)
class Forecast:
    """What comes next in a table, beside what simple forecasts say.

    Attributes:
        frame: One row for each step of the horizon: the step, then for each target the model's forecast in a column of
            its name, and the simple ones in `NAME (persistence)` and, with a season, `NAME (seasonal naive)`.
        notes: A sentence for each thing that was repaired in the table.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...]


class Predictor:
    """A model with the weights that `archsearch evaluate … save=FILE` kept.

    Args:
        model: With its weights.
        reader: What its task knew of the data: the vocabulary, or columns and scales.
        quality: How well it did: `metric`, `validation_value`, `test_value`.
        baselines: What simple predictors did on the same validation data.

    Raises:
        ConfigError: The reader is of a known kind and does not fit the model.
        KeyError: Something is missing in it.
    """

    def __init__(
        self,
        model: SequenceModel,
        reader: Mapping[str, Any],
        quality: Mapping[str, str],
        baselines: Mapping[str, float],
    ) -> None:
        check_reader(reader, model.interface)
        self.model = model.eval()
        self.kind = str(reader.get("kind", ""))
        self.quality = dict(quality)
        self.baselines = dict(baselines)
        self._reader = reader

    @property
    def simple(self) -> SimplePredictors:
        """What simple predictors did on the same validation data, for comparison."""
        metric = self.quality["metric"]
        return SimplePredictors(metric, metric == ACCURACY.name, self.baselines)

    @torch.inference_mode()
    def forecast(self, path: str | Path) -> Forecast:
        """Returns the rows after the last one of a CSV file.

        Raises:
            ConfigError: The model is for something else, or the file lacks a column or enough rows.
        """
        self._check_kind("series", "forecasts")
        if not Path(path).is_file():
            raise ConfigError(f"input: expected a CSV file, found none at {path}.")
        reader = self._reader
        targets, window, horizon = reader["targets"], reader["window"], reader["horizon"]
        numbers, lines, notes = self._read_table(str(path))
        if len(numbers) < window:
            raise ConfigError(f"{path}: expected the {window} whole rows that the model reads, got {len(numbers)}.")
        means, scales = np.array(reader["means"]), np.array(reader["scales"])
        names = (*targets, *reader["inputs"])
        read = scaled(
            numbers[-window:],
            means,
            scales,
            lambda row, column: f"{path}, line {lines[row - window]}, column {names[column]!r}",
        )
        predictions, _ = self.model(torch.from_numpy(read)[:, None, :])
        changes = predictions[-1, 0].double().numpy().reshape(horizon, len(targets))
        values = (read[-1, : len(targets)] + changes) * scales[: len(targets)] + means[: len(targets)]
        columns: dict[str, Any] = {"step": range(1, horizon + 1)}
        for number, target in enumerate(targets):
            columns[target] = values[:, number]
            columns[f"{target} (persistence)"] = np.full(horizon, numbers[-1, number])
            if reader["season"]:
                steps = np.arange(horizon) % reader["season"] - reader["season"]
                columns[f"{target} (seasonal naive)"] = numbers[steps, number]
        return Forecast(pd.DataFrame(columns), tuple(notes))

    def continue_text(self, prompt: str, length: int = 200, temperature: float = 1.0, seed: int = 1) -> str:
        """Returns a text that goes on from a prompt.

        Args:
            prompt: What is read first; at least one character or word that the model knows.
            length: Characters or words to add.
            temperature: 1 draws as the model's probabilities are; less, towards the likeliest; 0 takes the likeliest.
            seed: Of the draws.

        Raises:
            ConfigError: The model is for something else, or knows nothing of the prompt.
        """
        state: Any = None

        def scores(new: list[int]) -> Tensor:
            nonlocal state
            predictions: Tensor
            predictions, state = self.model(torch.tensor(new)[:, None], state)
            return predictions[-1, 0]

        return self._written(prompt, length, temperature, seed, scores)

    def continue_with_ngram(
        self, path: str | Path, prompt: str, length: int = 200, temperature: float = 1.0, seed: int = 1
    ) -> str:
        """Returns how a text goes on from a prompt by the n-grams of a file or folder, drawn as the model draws.

        Args:
            path: Such as the text that the model was trained on; of a long one, its end is counted.
            prompt: See `continue_text`, likewise the others.
            length: Likewise.
            temperature: Likewise.
            seed: Likewise.

        Raises:
            ConfigError: See `continue_text`; or there is no such text.
        """
        self._check_kind("text", "continues texts")
        unit, symbols = self._reader["unit"], self._reader["symbols"]
        files = find_files("predict", str(path)) if Path(path).exists() else []
        if not files:
            raise ConfigError(f"ngram_of: expected a text file or a folder of such, found none at {path}.")
        text = read_numbered_text("predict", files, MAX_TEXT_MEGABYTES, unit, self._reader["lower_case"])
        known = {symbol: number for number, symbol in enumerate(symbols)}
        new = np.array([known.get(name, known.get(UNKNOWN, len(symbols))) for name in text.units])
        numbers = renumber(text.numbers[-MOST_FOR_NGRAM:], new)
        ngram = NgramChances(numbers[numbers < len(symbols)], len(symbols), NGRAM_ORDER[unit])
        read: list[int] = []

        def scores(new: list[int]) -> Tensor:
            read.extend(new)
            return torch.from_numpy(np.log(ngram.after(read)))

        return self._written(prompt, length, temperature, seed, scores)

    def joined(self, prompt: str, continued: str) -> str:
        """Returns both as one text: words want a blank between them."""
        self._check_kind("text", "continues texts")
        is_apart = self._reader["unit"] == "words" and not prompt[-1:].isspace()
        return f"{prompt} {continued}" if is_apart else prompt + continued

    def unknown_in(self, prompt: str) -> list[str]:
        """Returns the characters or words of a prompt that the model does not know."""
        self._check_kind("text", "continues texts")
        return self._numbers_of(prompt)[1]

    @torch.inference_mode()
    def _written(
        self, prompt: str, length: int, temperature: float, seed: int, scores: Callable[[list[int]], Tensor]
    ) -> str:
        """Returns symbols drawn one after the other; `scores` reads new ones and says what log chances come next."""
        self._check_kind("text", "continues texts")
        symbols, unit = self._reader["symbols"], self._reader["unit"]
        new, _ = self._numbers_of(prompt)
        if not new:
            raise ConfigError(f"prompt: expected {unit} that the model knows, got {prompt!r}. It knows {len(symbols)}.")
        if length < 1 or not 0 <= temperature < math.inf:
            raise ConfigError(
                f"predict: expected a length above 0 and a finite temperature of 0 or more, got length={length}, "
                f"temperature={temperature}."
            )
        generator = torch.Generator().manual_seed(seed)
        written: list[str] = []
        for _ in range(length):
            new = [_draw(scores(new), temperature, generator)]
            written.append(symbols[new[0]])
        return join_units(written, unit)

    def _numbers_of(self, prompt: str) -> tuple[list[int], list[str]]:
        symbols, unit = self._reader["symbols"], self._reader["unit"]
        units = split_units(prompt, unit, self._reader["lower_case"])
        return numbers_of(units, {symbol: number for number, symbol in enumerate(symbols)})

    def _read_table(self, path: str) -> tuple[NDArray[np.float64], NDArray[np.int64], list[str]]:
        """Returns the numbers of all whole rows, in the order of time, their lines, and what was repaired."""
        columns = (*self._reader["targets"], *self._reader["inputs"])
        frame, file, notes = read_csv("predict", path, MAX_MEGABYTES)
        time = self._reader["time"]
        if time is not None:
            check_columns("predict", file, frame, (time,), "time")
            frame, sorting = sort_by_time("predict", file.name, frame, time)
            notes += sorting
        check_columns("predict", file, frame, columns, "targets and inputs")
        numbers = np.stack([number_column("predict", file, frame, column) for column in columns], axis=1)
        num_missing = int(np.isnan(numbers).sum())
        if num_missing:
            notes.append(f"{num_missing:,} missing values are read as the last ones before, or their rows left out")
        filled = pd.DataFrame(numbers).ffill().to_numpy()
        is_whole = ~np.isnan(filled).any(axis=1)
        return filled[is_whole], frame.index.to_numpy()[is_whole], notes

    def _check_kind(self, expected: str, does: str) -> None:
        if self.kind != expected:
            got = f"a model of kind '{self.kind}'" if self.kind else "a model whose task has no such use"
            raise ConfigError(f"predict: expected a model that {does}, got {got}.")


def load_predictor(path: str | Path) -> Predictor:
    """Reads a trained model from the file that `archsearch evaluate … save=FILE` wrote.

    Raises:
        ConfigError: There is no such file.
        FileFormatError: It holds no such model.
    """
    saved = load_weights(path)
    try:
        return Predictor(read_model(saved), json.loads(saved.metadata["reader"]), *read_quality(saved))
    except (KeyError, TypeError, ValueError, RuntimeError, FileFormatError) as error:
        # RuntimeError: torch, of tensors that do not fit; json, of brackets without end
        why = str(error) if isinstance(error, ArchSearchError) else repr(error)
        raise FileFormatError(
            f"{path}: expected a model that 'archsearch evaluate … save=FILE' kept, got a file without it ({why})."
        ) from error


def _draw(predictions: Tensor, temperature: float, generator: torch.Generator) -> int:
    if predictions.isnan().any() or predictions.max().isinf():
        raise ConfigError("predict: the model's numbers are not finite, so nothing can be drawn. Train it again.")
    if temperature == 0:
        return int(predictions.argmax())
    below_likeliest = predictions.double() - predictions.double().max()  # before a tiny temperature makes both infinite
    chances = torch.softmax(below_likeliest / temperature, dim=-1)
    return int(torch.multinomial(chances, 1, generator=generator))
