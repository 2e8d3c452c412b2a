"""Where a private Ray keeps its sockets and logs: a folder that goes with it, also after a driver that was killed."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

PREFIX = "archsearch-ray-"
MOST_CHARACTERS = 40
"""Of the folder of temporary files: the path of a socket below it must not have more than 107."""


class RayFolder:
    """A folder of this process's own, removed by `remove`, or else by the next process that makes one."""

    def __init__(self) -> None:
        place = tempfile.gettempdir()
        place = place if len(place) <= MOST_CHARACTERS else "/tmp"  # noqa: S108 - mkdtemp chooses a name of its own in it
        _remove_leftovers(Path(place))
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        self._lock = _lock(self.path)

    def remove(self) -> None:
        """Removes the folder with what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()


def _lock(path: Path) -> IO[str] | None:
    """Returns a lock on a folder that ends with this process; None if another one has it."""
    try:
        file = (path / "owner.lock").open("a", encoding="utf-8")
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def _remove_leftovers(place: Path) -> None:
    """Removes this user's folders whose owner has ended without removing them."""
    for path in place.glob(f"{PREFIX}*"):
        try:
            is_left_over = path.stat().st_uid == os.getuid() and (path / "owner.lock").is_file()
        except OSError:  # its owner has just removed it
            continue
        lock = _lock(path) if is_left_over else None
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            lock.close()
