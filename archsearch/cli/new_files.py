"""Files that a command is about to make: seen to be possible before any work is done, and never overwritten."""

import os
from itertools import count
from pathlib import Path

from archsearch.cli.exits import LateError
from archsearch.errors import ConfigError


def check_writable(path: Path) -> None:
    """Checks that a file can be made, and makes its folder.

    Raises:
        ConfigError: It exists, or its folder cannot be written to.
    """
    if path.exists() or path.is_symlink():
        raise ConfigError(f"{path}: expected no such file, but it exists. Nothing is overwritten: choose another name.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path.parent}: this folder cannot be made ({error.strerror}). Choose another.") from error
    if not os.access(path.parent, os.W_OK):
        raise ConfigError(f"{path.parent}: nothing can be written in this folder. Choose another.")


def write_new(path: Path, text: str) -> None:
    """Writes a file that `check_writable` found possible; see `put_in_place`.

    Raises:
        LateError: Another file has come to this place meanwhile.
        OSError: It cannot be written; nothing is left of it.
    """
    unfinished = unfinished_beside(path)
    try:
        unfinished.write_text(text, encoding="utf-8")
        put_in_place(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def unfinished_beside(path: Path) -> Path:
    """Returns what a file is called until it is finished: in the same folder, with the same ending."""
    return path.with_name(f".unfinished_{os.getpid()}{path.suffix}")


def put_in_place(unfinished: Path, path: Path) -> None:
    """Gives a finished file its name, unless another has it by now: work may take hours after `check_writable`.

    Raises:
        LateError: Another file has come to this place meanwhile. It stays, and the finished one is kept beside it.
        OSError: The file cannot be renamed.
    """
    if _takes(unfinished, path):
        return
    beside = (path.with_name(f"{path.stem}_{number}{path.suffix}") for number in count(1))
    kept = next(other for other in beside if _takes(unfinished, other))
    raise LateError(
        f"{path}: expected no such file, as there was none at first, but one has come meanwhile. It stays as it is; "
        f"what this command made is in {kept}."
    )


def _takes(unfinished: Path, path: Path) -> bool:
    """Renames a file unless another is in its place; tells whether it did."""
    try:
        os.link(unfinished, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without links, such as of memory sticks; or another fault, which renaming has, too
        if os.path.lexists(path):
            return False
        unfinished.replace(path)
        return True
    unfinished.unlink()
    return True
