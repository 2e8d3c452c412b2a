"""Cells by name: the zoo that comes with archsearch, and files."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path

from archsearch.errors import ConfigError, FileFormatError, InvalidGraphError
from archsearch.graph.bias_inits import split_reference, with_bias_init
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.files import MAX_TEXT

_ZOO = files("archsearch.graph") / "zoo"
CELL_ENDINGS = (".eq", ".json")
# Other names under which the literature knows a cell of the zoo.
OTHER_NAMES = {
    "rnn_tanh": "tanh",  # torch.nn.RNN
    "lstm_np": "lstm_torch",  # Greff 2017: no peepholes
    "lstm_vanilla": "lstm_peephole",  # Greff 2017
}


@cache
def zoo_names() -> tuple[str, ...]:
    """Returns the names of the cells that come with archsearch, sorted."""
    return tuple(sorted(file.name.removesuffix(".eq") for file in _ZOO.iterdir() if file.name.endswith(".eq")))


def zoo_cell(name: str) -> CellGraph:
    """Returns a cell of the zoo, under its own name or one of `OTHER_NAMES`.

    Raises:
        ConfigError: No cell of the zoo has this name.
    """
    name = OTHER_NAMES.get(name, name)
    if name not in zoo_names():
        raise ConfigError(_unknown_cell(name))
    return CellGraph.from_equations((_ZOO / f"{name}.eq").read_text(encoding="utf-8"))


def load_cell(ref: str | Path) -> CellGraph:
    """Returns the cell of a zoo name or of a file: `.json` holds the JSON form, any other file equations.

    Text may end in first values of biases by the name of weights, `lstm_torch:forget=1` or
    `mycell.eq:forget=2,input=-1`. A file of the whole name comes first, a zoo name before a file of the same name:
    write `./gru` for that.

    Raises:
        ConfigError: Neither the zoo nor the disk has it, the file cannot be opened, or the cell has no such bias.
        FileFormatError: The file is too large, no text, or no cell file.
        InvalidGraphError: The file's cell breaks a rule.
    """
    if isinstance(ref, str) and ":" in ref and not _exists(ref):
        name, values = split_reference(ref)
        if values:
            cell = load_cell(name)
            try:
                return with_bias_init(cell, values)
            except ConfigError as error:
                raise ConfigError(f"cell {ref[:200]!a}: {error}") from error
    if isinstance(ref, str) and ref in (*zoo_names(), *OTHER_NAMES):
        return zoo_cell(ref)
    path = Path(ref)
    text = _read(path, str(ref))
    try:
        return CellGraph.from_json(text) if path.suffix == ".json" else CellGraph.from_equations(text)
    except InvalidGraphError as error:
        raise InvalidGraphError([f"{path}: {violation}" for violation in error.violations]) from error
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error}") from error


def cell_name(ref: str | Path) -> str:
    """Returns what to call the cell of a reference: the zoo name or the stem of the file, with its first biases.

    Biases have all their digits: other values, another cell, another name.
    """
    text = str(ref)
    name, values = (text, {}) if _exists(text) else split_reference(text)
    if not values:
        return Path(text).stem
    return Path(name).stem + ":" + ",".join(f"{key}={repr(value).removesuffix('.0')}" for key, value in values.items())


def _exists(ref: str) -> bool:
    try:
        return Path(ref).exists()
    except (OSError, ValueError):  # too long, or a null character: `_read` says so
        return False


def _read(path: Path, ref: str) -> str:
    try:
        is_folder = path.is_dir()
        content = b"" if is_folder else _first_bytes(path)
    except FileNotFoundError:
        raise ConfigError(_unknown_cell(ref)) from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise ConfigError(f"cell {ref!a} cannot be read: {error}. Check the path and its permissions.") from error
    if is_folder:
        raise ConfigError(f"cell {ref!a} is a folder. Expected a zoo name or a file of equations or JSON.")
    if len(content) > MAX_TEXT:
        raise FileFormatError(f"{path}: expected a cell file of at most {MAX_TEXT:,} bytes; this one is larger.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path}: expected UTF-8 text, got other bytes at {error.start}.") from error


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_TEXT + 1)


def _unknown_cell(ref: str) -> str:
    named = f"cell {ref[:200]!a} is neither in the zoo nor a file."
    endings = [ending for ending in CELL_ENDINGS if _exists(ref + ending)]
    if endings or ref.endswith(CELL_ENDINGS):
        return f"{named}{_suggested_files(Path(ref), endings)}"
    if ":" in ref:
        hint = " Behind a colon stand first values of biases: lstm_torch:forget=1."
    else:
        hint = _did_you_mean(get_close_matches(ref[:64], (*zoo_names(), *OTHER_NAMES), n=3))
    return f"{named}{hint} 'archsearch show --help' lists the zoo. A file holds equations (.eq) or JSON (.json)."


def _suggested_files(path: Path, endings: Sequence[str]) -> str:
    """Returns what may have been meant by a path to no file: it lacks one of some endings, or is misspelt."""
    try:
        names = sorted(file.name for file in path.parent.iterdir() if file.name.endswith(CELL_ENDINGS))
    except OSError:
        return f" There is no folder {str(path.parent)!a} that can be read."
    close = [path.name + ending for ending in endings] or get_close_matches(path.name[:64], names, n=3)
    hint = _did_you_mean([str(path.with_name(name)) for name in close])
    if path.stem in zoo_names() and not hint:
        return f" The zoo's cell is called '{path.stem}'."
    if hint or not names:
        return hint or f" The folder {str(path.parent.resolve())!a} has no cell files."
    shown = ", ".join(f"{name!a}" for name in names[:10]) + (", …" if len(names) > 10 else "")
    return f" The cell files beside it: {shown}."


def _did_you_mean(names: Iterable[str]) -> str:
    listed = " or ".join(f"{name!a}" for name in names)
    return f" Did you mean {listed}?" if listed else ""
