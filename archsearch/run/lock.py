"""One driver per folder: a lock that names its holder, and knows when the holder is gone."""

import errno
import fcntl
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from archsearch.errors import SearchStateError
from archsearch.run.file_system import is_network

SECONDS_BETWEEN_SIGNS = 20.0
SILENT_SECONDS = 180.0
"""A holder on another machine that has given no sign of life for so long is gone."""

_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Holder:
    """The process that works on a folder.

    Attributes:
        pid: Its number.
        host: Name of its machine.
        start: The machine's boot and the process's start after it, which tell it from a later process of its number.
        since: When it took the lock, for people.
    """

    pid: int
    host: str
    start: str
    since: str

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host}, since {self.since}"

    @property
    def is_alive(self) -> bool:
        """Whether the process is there, if it is one of this machine."""
        return start_of(self.pid) == self.start if self.start else _exists(self.pid)


def this_process() -> Holder:
    """Returns us as a holder."""
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    return Holder(os.getpid(), socket.gethostname(), start_of(os.getpid()), now)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock file; it ends with the process, however that ends.

    The kernel's lock decides among the processes of a machine. On a file system of the network that may be no lock for
    other machines, and sometimes for none: there the name in the file decides too, with its file's time as a sign of
    life that the holder gives again and again.

    Raises:
        SearchStateError: Another process holds it.
        OSError: The file cannot be written.
    """
    with path.open("a+", encoding="utf-8", errors="replace") as file, _folder_locked(path):
        _lock(file, path)
        left = _read(file)
        if left is not None:
            if is_network(path):
                _refuse_if_alive(left, path)
            _logger.warning(
                "archsearch: %s: the lock of %s was left behind; that process is gone, so it is taken over.", path, left
            )
        _write(file, json.dumps(asdict(this_process())))
        ended = threading.Event()
        threading.Thread(target=_give_signs, args=(path, ended), daemon=True).start()
        try:
            yield
        finally:
            ended.set()
            with suppress(OSError):
                _write(file, "")


def holder_of(path: Path) -> Holder | None:
    """Returns who holds a lock file, as far as can be told without locking it; None if nobody does."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            holder = _read(file)
    except OSError:
        return None
    is_here = holder is not None and holder.host == socket.gethostname()
    return None if holder is None or (is_here and not holder.is_alive) else holder


def _lock(file: TextIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _taken(str(_read(file) or "unknown"), path) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


@contextmanager
def _folder_locked(path: Path) -> Iterator[None]:
    """Holds the file's folder as well, where the kernel can: somebody may remove the file under its holder."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems have no locks, or none of folders
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise _taken(str(holder_of(path) or "unknown, its lock file is gone"), path) from error
        yield
    finally:
        os.close(folder)


def _refuse_if_alive(left: Holder, path: Path) -> None:
    if left.host == socket.gethostname():
        if left.is_alive and left.pid != os.getpid():
            raise _taken(str(left), path)
    elif _silent_seconds(path) < SILENT_SECONDS:
        raise _taken(
            f"{left}, which gave a sign of life less than {SILENT_SECONDS:.0f} s ago; if that machine is gone, "
            f"try again then",
            path,
        )


def _taken(holder: str, path: Path) -> SearchStateError:
    return SearchStateError(
        f"{path.parent}: another process ({holder}) is working on this run. Wait for it or end it first; reading the "
        f"run meanwhile is fine."
    )


def _silent_seconds(path: Path) -> float:
    """Returns the time since the last sign of life, by the clock of the file system: machines' own may differ."""
    probe = path.with_name(f".{path.name}.{os.getpid()}")
    probe.touch()
    now = probe.stat().st_mtime
    probe.unlink()
    return now - path.stat().st_mtime


def _give_signs(path: Path, ended: threading.Event) -> None:
    while not ended.wait(SECONDS_BETWEEN_SIGNS):
        with suppress(OSError):
            os.utime(path)


def _read(file: TextIO) -> Holder | None:
    """Returns who is named in the file, None if nobody is; what earlier versions wrote names a pid alone."""
    file.seek(0)
    text = file.read().strip()
    if not text:
        return None
    try:
        record = json.loads(text)
        return Holder(int(record["pid"]), str(record["host"]), str(record["start"]), str(record["since"]))
    except (KeyError, TypeError, ValueError):
        pid = text.removeprefix("pid ")
        return Holder(int(pid) if pid.isdecimal() else 0, socket.gethostname(), "", "an unknown time")


def _write(file: TextIO, text: str) -> None:
    file.seek(0)
    file.truncate(0)
    file.write(text)
    file.flush()
    os.fsync(file.fileno())


def start_of(pid: int) -> str:
    """Returns when a process of this machine began, empty if there is none or the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return (
        f"{boot} {stat.rpartition(')')[2].split()[19]}"  # field 22 of the file, after the name, which may hold spaces
    )


def _exists(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
