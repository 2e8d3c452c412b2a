"""Files that a command is about to make: seen to be possible before any work is done, and never overwritten."""

import os
from pathlib import Path

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
