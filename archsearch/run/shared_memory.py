"""Last words of a process that is about to lose the memory that WAL shares between processes."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import FrameType

_EXIT_CODE = 1


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Ends the process with exit code 1 and a paragraph, where the kernel would end it without a word.

    A file system may become read-only after `check_shared_memory` and before SQLite has written. The kernel raises
    SIGBUS then, and again whenever a handler returns to the instruction that cannot be done: the thread never comes to
    anything else. SQLite is called without the interpreter's lock, so another thread can speak and end the process.
    Only the calls of SQLite are guarded: a thread that held the lock would leave no other one to speak.

    Args:
        path: The journal's.
    """
    if threading.current_thread() is not threading.main_thread():  # Python lets only that one handle signals
        yield
        return
    voice = _voice(os.getpid())  # a thread does not live on in a forked process
    voice.path = path
    handler, wakeup = signal.getsignal(signal.SIGBUS), -1
    try:
        wakeup = signal.set_wakeup_fd(voice.ear, warn_on_full_buffer=False)
        signal.signal(signal.SIGBUS, _try_again)
        yield
    finally:
        signal.signal(signal.SIGBUS, handler or signal.SIG_DFL)
        signal.set_wakeup_fd(wakeup)


def _try_again(_number: int, _frame: FrameType | None) -> None:
    """Does nothing: Python's own handler has woken the voice by now."""


class _Voice:
    """A thread that hears of signals and ends the process if one of them is SIGBUS.

    Attributes:
        path: The journal that is being used.
        ear: A file descriptor, to which Python writes the number of every signal.
    """

    def __init__(self) -> None:
        self.path = Path()
        self._hears, self.ear = os.pipe()
        os.set_blocking(self.ear, False)
        threading.Thread(target=self._listen, name="archsearch-shared-memory", daemon=True).start()

    def _listen(self) -> None:
        while signal.SIGBUS not in os.read(self._hears, 4096):
            pass
        shows_cursor = "\x1b[?25h" if os.isatty(2) else ""
        with suppress(OSError):  # nobody may be there to read it
            os.write(2, f"{shows_cursor}\narchsearch: {_last_words(self.path)}\n".encode())
        os._exit(_EXIT_CODE)


def _last_words(path: Path) -> str:
    return (
        f"{path}: the disk has refused a write in the midst of a commit (SIGBUS: {path.name}-shm, a file that is "
        f"mapped into memory, cannot be written; has the file system become read-only, or been taken away?). "
        f"That cannot be waited for, so the search ends. Trials of this one commit may be computed again; "
        f"everything before it is in the journal, which is whole: when the disk takes files again, resume the run."
    )


@cache
def _voice(process: int) -> _Voice:  # noqa: ARG001 - one for each
    return _Voice()
