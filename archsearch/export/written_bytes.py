"""The ways in which a file is written whose bytes are there: by an exporter, and whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from archsearch.errors import ConfigError
from archsearch.run.whole_files import sync_folder


def write_bytes(what: str, path: Path, content: bytes) -> None:
    """Writes a file.

    Args:
        what: What is exported, for the message.
        path: The file; an older one is replaced.
        content: Its bytes.

    Raises:
        ConfigError: It cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError(
            f"export {what} {path}: the file cannot be written: {error.strerror}. Name a file in a folder that exists "
            "and is yours."
        ) from error


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file so that it is on the disk as a whole, or not there; an older one is replaced or stays.

    Raises:
        OSError: It cannot be written.
    """
    # threads, and machines that share a folder, may write at once
    unfinished = path.with_name(f".unfinished_{os.getpid()}_{token_hex(4)}")
    try:
        with unfinished.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:  # Ctrl-C, too
        with suppress(OSError):
            unfinished.unlink()
        raise
    sync_folder(path.parent)
