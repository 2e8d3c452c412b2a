"""CSV files that people bring, as columns of numbers."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from archsearch.errors import ConfigError
from archsearch.trials.times import read_times
from archsearch.trials.user_files import find_files, has_foreign_line_ends, read_texts

MAX_NUMBER = 1e100  # the squares of larger ones, and sums of these, may be no numbers any more


def read_csv(
    task: str, path: object, max_megabytes: int, has_words_for_missing: bool = True
) -> tuple[pd.DataFrame, Path, list[str]]:
    """Reads one CSV file, every cell as text, with missing ones as such.

    Args:
        task: The task's name, for messages.
        path: As the user gave it.
        max_megabytes: Larger files are refused.
        has_words_for_missing: Whether `NA`, `null` and the like are missing cells; otherwise only empty ones are.

    Returns:
        The table, each row under the number of its line in the file; the file; a sentence for each thing repaired.

    Raises:
        ConfigError: There is not exactly one file, or it is no table with rows.
    """
    files = find_files(task, path, (".csv",))
    if len(files) != 1:
        raise ConfigError(f"task {task}, {path}: expected one CSV file, got {len(files)}. Name one of them.")
    (text,) = read_texts(task, files, max_megabytes)
    separator = _separator(text)
    try:
        frame = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            dtype=str,
            skipinitialspace=separator == ",",
            na_values=[""],
            keep_default_na=has_words_for_missing,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"task {task}, {files[0]}: expected a CSV file with a line of column names, got one that does not parse: "
            f"{reason}."
        ) from error
    if not isinstance(frame.index, pd.RangeIndex):  # pandas takes the cells that are too many for names of rows
        raise ConfigError(
            f"task {task}, {files[0]}: expected a column name for each cell, got {len(frame.columns)} names and rows "
            f"of {len(frame.columns) + frame.index.nlevels} cells. Complete the first line."
        )
    frame.columns = [str(name).strip() for name in frame.columns]
    if frame.empty:
        raise ConfigError(f"task {task}, {files[0]}: expected rows below the column names, found none.")
    notes = _notes_on_names(files[0].name, text, separator, frame)
    lines = _filled_lines(text, separator)
    if len(lines) > len(frame) + 1:
        notes.append(
            f"{len(lines):,} lines gave {len(frame):,} rows of {files[0].name}: some cells hold line ends, or a "
            "quote is unpaired and has taken rows in"
        )
        lines = _first_lines(text, separator)
    if len(lines) == len(frame) + 1:  # otherwise pandas has read it in a way of its own
        frame.index = pd.Index(lines[1:])
    else:
        frame.index = pd.RangeIndex(2, len(frame) + 2)
    if has_foreign_line_ends(files):
        notes.append(f"line ends of another system in {files[0].name} are read as plain ones")
    return frame, files[0], notes


def _filled_lines(text: str, separator: str) -> NDArray[np.int64]:
    """Returns the numbers of the lines that are not blank: the names' and, where no cell holds line ends, the rows'."""
    blanks = " \t\n".replace(separator, "")
    filled = (number for number, line in enumerate(io.StringIO(text), start=1) if line.strip(blanks))
    return np.fromiter(filled, np.int64)


def _first_lines(text: str, separator: str) -> NDArray[np.int64]:
    """Returns the number of the line that each row begins in, the names' first, where cells hold line ends."""
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=separator == ",")
    lines, last = [], 0
    try:
        for cells in reader:
            if len(cells) > 1 or "".join(cells).strip():
                lines.append(last + 1)
            last = reader.line_num
    except csv.Error:  # a cell of more than 131,072 characters
        return np.zeros(0, np.int64)
    return np.array(lines, np.int64)


def _separator(text: str) -> str:
    """Returns what stands between the names of the first line."""
    names = _first_line(text)
    return "," if "," in names else next((other for other in ";\t" if other in names), ",")


def _first_line(text: str) -> str:
    return text.lstrip("\n").partition("\n")[0]


def _notes_on_names(file: str, text: str, separator: str, frame: pd.DataFrame) -> list[str]:
    notes = []
    if separator != ",":
        notes.append(f"columns of {file} are separated by {'semicolons' if separator == ';' else 'tabs'}")
    given = [name.strip() for name in next(csv.reader([_first_line(text)], delimiter=separator), [])]
    for name in sorted({name for name in given if name and given.count(name) > 1}):
        others = [column for column in frame.columns if column.startswith(f"{name}.")]
        notes.append(f"{given.count(name)} columns of {file} are called {name!r}; further ones are {', '.join(others)}")
    if given and not any(np.isnan(pd.to_numeric(pd.Series(given), errors="coerce"))):
        notes.append(f"the first line of {file}, {', '.join(given)[:60]}, is read as the names of the columns")
    return notes


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


def number_column(
    task: str,
    file: Path,
    frame: pd.DataFrame,
    column: str,
    otherwise: str = "leave such cells empty, or leave the column out",
) -> NDArray[np.float64]:
    """Returns a column's numbers, NaN where one is missing.

    Args:
        task: The task's name, for messages.
        file: Likewise.
        frame: Every cell as text, each row under the number of its line.
        column: Its name.
        otherwise: What else can be done about a cell that is no number.

    Raises:
        ConfigError: A cell holds something else, or no cell holds anything.
    """
    numbers = pd.to_numeric(frame[column], errors="coerce").to_numpy(np.float64)
    wrong = (np.isnan(numbers) & frame[column].notna().to_numpy()) | (np.abs(numbers) > MAX_NUMBER)
    if wrong.any():
        row = int(wrong.argmax())
        raise ConfigError(
            f"task {task}, {file.name}: expected numbers in column {column!r}, got {frame[column].iloc[row]!r} in line "
            f"{frame.index[row]} and {int(wrong.sum()) - 1} more. Write plain numbers such as 1234.5, {otherwise}."
        )
    if np.isnan(numbers).all():
        raise ConfigError(f"task {task}, {file.name}: expected numbers in column {column!r}, all cells are missing.")
    return numbers


def sort_by_time(task: str, file: str, frame: pd.DataFrame, time: str) -> tuple[pd.DataFrame, list[str]]:
    """Returns the rows, still under the numbers of their lines, in the order of their times, and what that changed.

    Raises:
        ConfigError: A time is missing, cannot be read, or stands there twice.
    """
    times, notes = read_times(task, file, frame[time])
    if times.isna().any():
        row = int(times.isna().to_numpy().argmax())
        raise ConfigError(
            f"task {task}, {file}: expected times such as 2026-01-31 12:00, or numbers, in column {time!r}, got "
            f"{frame[time].iloc[row]!r} in line {frame.index[row]}."
        )
    if times.duplicated().any():
        row = int(times.duplicated().to_numpy().argmax())
        raise ConfigError(
            f"task {task}, {file}: expected each time once, got {frame[time].iloc[row]!r} again in line "
            f"{frame.index[row]} ({int(times.duplicated().sum())} rows are such). Keep one row for each time, for "
            "example their mean."
        )
    if times.is_monotonic_increasing:
        return frame, notes
    order = times.argsort(kind="stable").to_numpy()
    notes.append(f"the rows of {file} were not in the order of time; now they are")
    return frame.iloc[order], notes
