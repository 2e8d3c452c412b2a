"""Sequences with their labels, as they stand in the files that people bring."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from archsearch.errors import ConfigError
from archsearch.trials.csv_table import check_columns, read_csv
from archsearch.trials.json_entries import json_entries, plain_step
from archsearch.trials.long_table import sequences_of_rows
from archsearch.trials.user_files import read_texts


class LabelledRow(NamedTuple):
    """One sequence as it stands in a file: texts or lists of numbers, and one label or as many as steps."""

    place: str
    steps: list[Any]
    labels: list[str]
    has_label_per_step: bool

    @property
    def identity(self) -> bytes:
        """What tells the split: the sequence without its label."""
        return json.dumps(self.steps).encode()


def labelled_rows(
    task: str, file: Path, columns: tuple[str, str, str | None], unit: str, per_step: bool, max_megabytes: int
) -> tuple[list[LabelledRow], list[str]]:
    """Reads a CSV file, or one of JSON lines.

    Args:
        task: The task's name, for messages.
        file: A CSV file by the end of its name, otherwise JSON.
        columns: Names of the column, or key, of sequences and of that of labels; then, of a CSV file with a row for
            each step, of what tells the sequences apart, None for any other.
        unit: How a text is read: by `characters` or `words`.
        per_step: Whether the labels of a CSV file are lists of words, one for each step.
        max_megabytes: Larger files are refused.

    Returns:
        The sequences, and a sentence for each thing that was repaired.

    Raises:
        ConfigError: The file cannot be read or has something else than sequences with labels.
    """
    if file.suffix.lower() == ".csv":
        return _csv_rows(task, file, columns, unit, per_step, max_megabytes)
    return _json_rows(task, file, columns, unit, max_megabytes), []


def _csv_rows(
    task: str, file: Path, columns: tuple[str, str, str | None], unit: str, per_step: bool, max_megabytes: int
) -> tuple[list[LabelledRow], list[str]]:
    frame, _, notes = read_csv(task, str(file), max_megabytes, has_words_for_missing=False)
    sequence, label, sequence_column = columns
    rows = []
    if sequence_column is not None:
        names_of = [name.strip() for name in sequence.split(",")]
        for place, steps, names in sequences_of_rows(task, file, frame, sequence_column, names_of, label):
            if not per_step and len(set(names)) > 1:
                raise ConfigError(
                    f"task {task}, {file.name}, {place}: expected one label for all its rows, got {names[0]!r} and "
                    f"others. Set task.{task}.per_step=true if each step has its own."
                )
            rows.append(_row(task, file, place, steps, names if per_step else names[:1], per_step))
        return rows, notes
    check_columns(task, file, frame, (sequence, label), "sequence and label")
    for line, text, name in zip(frame.index, frame[sequence], frame[label], strict=True):
        place = f"line {line}"
        if not isinstance(name, str):
            raise ConfigError(f"task {task}, {file.name}, {place}: expected a label in column {label!r}, got none.")
        steps = _units(text, unit) if isinstance(text, str) else []
        names = name.split() if per_step else [name]
        rows.append(_row(task, file, place, steps, names, per_step))
    return rows, notes


def _json_rows(
    task: str, file: Path, columns: tuple[str, str, str | None], unit: str, max_megabytes: int
) -> list[LabelledRow]:
    (text,) = read_texts(task, [file], max_megabytes)
    sequence, label, sequence_column = columns
    if sequence_column is not None:
        raise ConfigError(f"task {task}, {file.name}: expected a CSV file, as task.{task}.sequence_column is given.")
    rows = []
    for place, steps, names in json_entries(task, file, text, (sequence, label)):
        if isinstance(steps, str):
            steps = _units(steps, unit)
        if not isinstance(steps, list):
            raise ConfigError(f"task {task}, {file.name}, {place}: expected a text or a list, got {steps!r}.")
        per_step = isinstance(names, list)
        named = names if per_step else [names]
        for name in named:
            if name is None or name == "" or isinstance(name, dict | list):
                raise ConfigError(
                    f"task {task}, {file.name}, {place}: expected a label for {label!r}, a text or a number, got "
                    f"{'none (null)' if name is None else repr(name)}."
                )
        if None in steps:
            raise ConfigError(f"task {task}, {file.name}, {place}: expected symbols or numbers, got null.")
        rows.append(
            _row(task, file, place, [plain_step(step) for step in steps], [str(name) for name in named], per_step)
        )
    return rows


def _row(task: str, file: Path, place: str, steps: list[Any], names: list[str], per_step: bool) -> LabelledRow:
    if per_step and len(names) != len(steps):
        raise ConfigError(
            f"task {task}, {file.name}, {place}: expected a label for each of {len(steps)} steps, got {len(names)}."
        )
    return LabelledRow(place, steps, names, per_step)


def _units(text: str, unit: str) -> list[str]:
    return list(text) if unit == "characters" else text.split()
