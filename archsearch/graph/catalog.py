"""Cells by name: the zoo that comes with archsearch, and files."""

from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path

from archsearch.errors import ConfigError, FileFormatError, InvalidGraphError
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.files import MAX_TEXT

_ZOO = files("archsearch.graph") / "zoo"


@cache
def zoo_names() -> tuple[str, ...]:
    """Returns the names of the cells that come with archsearch, sorted."""
    return tuple(sorted(file.name.removesuffix(".eq") for file in _ZOO.iterdir() if file.name.endswith(".eq")))


def zoo_cell(name: str) -> CellGraph:
    """Returns a cell of the zoo.

    Raises:
        ConfigError: No cell of the zoo has this name.
    """
    if name not in zoo_names():
        raise ConfigError(_unknown_cell(name))
    return CellGraph.from_equations((_ZOO / f"{name}.eq").read_text(encoding="utf-8"))


def load_cell(ref: str | Path) -> CellGraph:
    """Returns the cell of a zoo name or of a file: `.json` holds the JSON form, any other file equations.

    Raises:
        ConfigError: Neither the zoo nor the disk has it, or the file cannot be opened.
        FileFormatError: The file is too large, no text, or no cell file.
        InvalidGraphError: The file's cell breaks a rule.
    """
    if isinstance(ref, str) and ref in zoo_names():
        return zoo_cell(ref)
    path = Path(ref)
    text = _read(path, str(ref))
    try:
        return CellGraph.from_json(text) if path.suffix == ".json" else CellGraph.from_equations(text)
    except InvalidGraphError as error:
        raise InvalidGraphError([f"{path}: {violation}" for violation in error.violations]) from error
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error}") from error


def _read(path: Path, ref: str) -> str:
    try:
        if path.is_dir():
            raise ConfigError(f"cell {ref!a} is a folder. Expected a zoo name or a file of equations or JSON.")
        with path.open("rb") as file:
            content = file.read(MAX_TEXT + 1)
    except FileNotFoundError:
        raise ConfigError(_unknown_cell(ref)) from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise ConfigError(f"cell {ref!a} cannot be read: {error}. Check the path and its permissions.") from error
    if len(content) > MAX_TEXT:
        raise FileFormatError(f"{path}: expected a cell file of at most {MAX_TEXT:,} bytes; this one is larger.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path}: expected UTF-8 text, got other bytes at {error.start}.") from error


def _unknown_cell(ref: str) -> str:
    close = get_close_matches(ref[:64], zoo_names(), n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    named = f"cell {ref[:200]!a} is neither in the zoo nor a file.{hint}"
    return f"{named} The zoo has: {', '.join(zoo_names())}. A file holds equations (.eq) or JSON (.json)."
