"""JSON files that people bring: an object a line, or one list of objects."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from archsearch.errors import ConfigError


def json_entries(task: str, file: Path, text: str, keys: tuple[str, str]) -> Iterator[tuple[str, Any, Any]]:
    """Yields the place of each object and what it has under two keys.

    Raises:
        ConfigError: A line or an entry of the list is no object with both.
    """
    if text.lstrip().startswith("["):
        yield from _list_entries(task, file, text, keys)
        return
    for number, line in enumerate(text.split("\n"), start=1):  # others that Python knows may stand inside a text
        if line.strip():
            place = f"line {number}"
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise _no_object(task, file, place, keys, line, error) from error
            yield _both(task, file, place, keys, entry)


def plain_step(step: object) -> object:
    """Returns a step as a text or as a list of numbers; whole numbers are symbols, others are numbers."""
    if isinstance(step, float):
        return [step]
    if isinstance(step, list):
        return [_as_float(number) if isinstance(number, int | float) else number for number in step]
    return str(step)


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf


def _list_entries(task: str, file: Path, text: str, keys: tuple[str, str]) -> Iterator[tuple[str, Any, Any]]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_object(task, file, "line 1", keys, text.partition("\n")[0], error) from error
    for number, entry in enumerate(entries, start=1):
        yield _both(task, file, f"entry {number}", keys, entry)


def _both(task: str, file: Path, place: str, keys: tuple[str, str], entry: Any) -> tuple[str, Any, Any]:
    try:
        return place, entry[keys[0]], entry[keys[1]]
    except (KeyError, TypeError, IndexError) as error:
        raise _no_object(task, file, place, keys, repr(entry), error) from error


def _no_object(task: str, file: Path, place: str, keys: tuple[str, str], got: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"task {task}, {file.name}, {place}: expected an object with {keys[0]!r} and {keys[1]!r}, got {got[:60]!r} "
        f"({error!r}). Write an object a line, or one list of objects."
    )
