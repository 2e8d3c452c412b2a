"""CSV files that people bring, as columns of numbers."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from archsearch.errors import ConfigError
from archsearch.trials.user_files import find_files, has_foreign_line_ends, read_texts

MAX_NUMBER = 1e100  # the squares of larger ones, and sums of these, may be no numbers any more


def read_csv(task: str, path: object, max_megabytes: int) -> tuple[pd.DataFrame, Path, list[str]]:
    """Reads one CSV file, every cell as text, with missing ones as such.

    Returns:
        The table, its file, and a sentence for each thing that was repaired.

    Raises:
        ConfigError: There is not exactly one file, or it is no table with rows.
    """
    files = find_files(task, path, (".csv",))
    if len(files) != 1:
        raise ConfigError(f"task {task}, {path}: expected one CSV file, got {len(files)}. Name one of them.")
    (text,) = read_texts(task, files, max_megabytes)
    try:
        frame = pd.read_csv(io.StringIO(text), dtype=str, skipinitialspace=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"task {task}, {files[0]}: expected a CSV file with a line of column names, got one that does not parse: "
            f"{reason}."
        ) from error
    frame.columns = [str(name).strip() for name in frame.columns]
    if frame.empty:
        raise ConfigError(f"task {task}, {files[0]}: expected rows below the column names, found none.")
    notes = [f"line ends of another system in {files[0].name} are read as plain ones"]
    return frame, files[0], notes if has_foreign_line_ends(files) else []


def check_columns(task: str, file: Path, frame: pd.DataFrame, columns: Sequence[str], field: str) -> None:
    """Checks that a table has some columns, each once.

    Raises:
        ConfigError: One is missing or stands there twice.
    """
    for column in columns:
        if column not in frame.columns:
            raise ConfigError(
                f"task {task}, {field}: expected columns of {file.name}, which has {', '.join(frame.columns)}; got "
                f"{column!r}. Names are separated by commas in the file's first line."
            )
        if list(columns).count(column) > 1:
            raise ConfigError(f"task {task}, {field}: expected each column once, got {column!r} twice.")


def number_column(task: str, file: Path, frame: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """Returns a column's numbers, NaN where one is missing.

    Raises:
        ConfigError: A cell holds something else, or no cell holds anything.
    """
    numbers = pd.to_numeric(frame[column], errors="coerce").to_numpy(np.float64)
    wrong = (np.isnan(numbers) & frame[column].notna().to_numpy()) | (np.abs(numbers) > MAX_NUMBER)
    if wrong.any():
        row = int(wrong.argmax())
        raise ConfigError(
            f"task {task}, {file.name}: expected numbers in column {column!r}, got {frame[column].iloc[row]!r} in line "
            f"{row + 2} and {int(wrong.sum()) - 1} more. Leave such cells empty, or leave the column out."
        )
    if np.isnan(numbers).all():
        raise ConfigError(f"task {task}, {file.name}: expected numbers in column {column!r}, all cells are missing.")
    return numbers


def sort_by_time(task: str, file: str, frame: pd.DataFrame, time: str) -> tuple[pd.DataFrame, list[str]]:
    """Returns the rows in the order of their times, and what that changed.

    Raises:
        ConfigError: A time is missing, cannot be read, or stands there twice.
    """
    times: pd.Series[Any] = pd.to_numeric(frame[time], errors="coerce")
    if times.isna().mean() > 0.5:  # else they are numbers, and some of them are wrong
        times = pd.to_datetime(frame[time], errors="coerce", utc=True, format="mixed")
    if times.isna().any():
        row = int(times.isna().to_numpy().argmax())
        raise ConfigError(
            f"task {task}, {file}: expected times such as 2026-01-31 12:00, or numbers, in column {time!r}, got "
            f"{frame[time].iloc[row]!r} in line {row + 2}."
        )
    if times.duplicated().any():
        row = int(times.duplicated().to_numpy().argmax())
        raise ConfigError(
            f"task {task}, {file}: expected each time once, got {frame[time].iloc[row]!r} again in line {row + 2} "
            f"({int(times.duplicated().sum())} rows are such). Keep one row for each time, for example their mean."
        )
    if times.is_monotonic_increasing:
        return frame, []
    order = times.argsort(kind="stable").to_numpy()
    return frame.iloc[order].reset_index(drop=True), [f"the rows of {file} were not in the order of time; now they are"]
