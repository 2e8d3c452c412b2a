"""Columns of times, as people write them."""

from pathlib import Path
from typing import Any

import pandas as pd

from archsearch.errors import ConfigError

_DAY_AND_MONTH = r"^\s*(\d{1,2})[/.-](\d{1,2})[/.-]\d{2,4}"
_SHORT_YEAR = r"^\s*(\d{2})-(\d{2})-(\d{2})(?!\d)"  # of which either end may be the year
_MONTH_AND_YEAR = r"\s*(0?[1-9]|1[0-2])\.(1[89]|20|21)\d{2}\s*"  # which reads as a number


def read_times(task: str, file: Path | str, column: "pd.Series[Any]") -> tuple["pd.Series[Any]", list[str]]:
    """Returns numbers or points in time, missing where a cell is neither, and what had to be decided.

    Raises:
        ConfigError: It cannot be told whether days or months come first.
    """
    there = column.dropna().astype(str)
    if len(there) and there.str.fullmatch(_MONTH_AND_YEAR).all():
        raise ConfigError(
            f"task {task}, {file}: expected times such as 2026-01 in column {column.name!r}, got {there.iloc[0]!r}, "
            "which would be read as a number. Write the year first."
        )
    times: pd.Series[Any] = pd.to_numeric(column, errors="coerce")
    if times.isna().mean() <= 0.5:  # they are numbers, and some of them are wrong
        return times, []
    has_day_first, notes = False, []
    ends = column.str.extract(_SHORT_YEAR).dropna().astype(int)
    if len(ends) and ends[1].max() <= 12 and ends[2].between(1, 31).all():  # also where the days are first
        raise ConfigError(
            f"task {task}, {file}: expected times such as 2026-01-31 12:00 in column {column.name!r}, got "
            f"{column[ends.index[0]]!r}, and nothing tells where the year stands. Write it first, with four digits."
        )
    first_two = column.str.extract(_DAY_AND_MONTH).dropna().astype(int)
    if len(first_two):
        largest = first_two.max()
        has_day_first = bool(largest[0] > 12)
        if has_day_first == bool(largest[1] > 12):
            example = column[first_two.index[0]]
            raise ConfigError(
                f"task {task}, {file}: expected times such as 2026-01-31 12:00 in column {column.name!r}, got "
                f"{example!r}, and nothing tells whether days or months come first. Write the year first."
            )
        notes = [f"times of {file} are read with the {'day' if has_day_first else 'month'} first"]
    return pd.to_datetime(column, errors="coerce", utc=True, format="mixed", dayfirst=has_day_first), notes
