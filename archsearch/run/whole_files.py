"""Files that are whole or not there: written beside, brought to the disk, then renamed."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_TEMPORARY = re.compile(r"\..+\.\d+")


def write_atomically(path: Path, text: str) -> None:
    """Writes a file so that a reader finds the old content or the new one, never a part, whatever fails meanwhile.

    Raises:
        OSError: It cannot be written; what was there still is.
    """
    with replacing(path) as file:
        file.write(text.encode())


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Gives a file to write to that takes the place of another once it is on the disk.

    Raises:
        OSError: It cannot be written; what was there still is.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Brings the names in a folder to the disk; file systems that cannot do this are left alone."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Removes what writers left that were ended half-way; to be called while no other may write there."""
    for path in folder.glob(".*"):
        if _TEMPORARY.fullmatch(path.name):
            with suppress(OSError):
                path.unlink()


def keep_beside(path: Path, word: str) -> Path:
    """Renames a file to `NAME.WORD-1`, or the first number that is free, and returns its new path.

    Raises:
        OSError: It cannot be renamed.
    """
    number = 1
    while os.path.lexists(kept := path.with_name(f"{path.name}.{word}-{number}")):
        number += 1
    path.rename(kept)
    return kept
