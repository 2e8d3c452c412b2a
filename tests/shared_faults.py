"""Trials that go wrong in every way a process can: `from shared_faults import …`."""

import ctypes
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shared_simulation import answer

from archsearch.trials.trial import Trial, TrialResult

MARK = "ARCHSEARCH_TEST_MARK"
LATE_SECONDS = 0.1


@dataclass(frozen=True)
class FaultyEvaluator:
    """Answers as the simulation does, but for the trials that are to go wrong.

    Attributes:
        faults: Names of methods below by the cell's digest, or `task/digest`.
        folder: For notes of what was run; none are made without it.
        seconds: What a sound trial takes.
    """

    faults: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    seconds: float = 0.0

    def evaluate(self, trial: Trial) -> TrialResult:
        """Returns the drawn accuracy, unless a fault comes first."""
        if self.folder is not None:
            with (self.folder / "runs.txt").open("a") as file:
                file.write(f"{trial.key}\n")
        fault = self.faults.get(f"{trial.task}/{trial.cell}", self.faults.get(trial.cell))
        if fault is not None:
            getattr(self, fault)()
        time.sleep(self.seconds)
        return answer(trial)

    def segfault(self) -> None:
        """Reads address 0."""
        ctypes.string_at(0)

    def segfault_once(self) -> None:
        """Reads address 0, but never again."""
        if self._is_first("segfault"):
            self.segfault()

    def abort(self) -> None:
        """Ends as C's `assert` does."""
        os.abort()

    def leave(self) -> None:
        """Ends the process with an exit code."""
        os._exit(3)

    def hang_in_c(self) -> None:
        """Hangs in native code that lets no other thread of Python run."""
        ctypes.PyDLL(None).sleep(3600)

    def hang_in_python(self) -> None:
        """Hangs in a loop."""
        while True:
            pass

    def grow(self) -> None:
        """Takes 300 MB and keeps them."""
        kept = b"x" * (300 * 2**20)
        time.sleep(3600)
        assert kept

    def killed(self) -> None:
        """Is ended as if from outside."""
        os.kill(os.getpid(), signal.SIGKILL)

    def killed_late(self) -> None:
        """Is ended as if from outside, after a while."""
        time.sleep(LATE_SECONDS)
        self.killed()

    def killed_once(self) -> None:
        """Is ended as if from outside, but only once."""
        if self._is_first("killed"):
            self.killed()

    def fail(self) -> None:
        """Breaks a promise of evaluators: a failure of the cell's would be a result."""
        raise ZeroDivisionError("division by zero")

    def _is_first(self, name: str) -> bool:
        assert self.folder is not None
        try:
            (self.folder / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def marked_processes(mark: str) -> dict[int, str]:
    """Returns the running processes whose environment has the mark, with their command lines."""
    found = {}
    for folder in Path("/proc").iterdir():
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, ValueError):  # it has ended, is another user's, or is no process
            continue
    return {pid: command for pid, command in found.items() if command}  # a zombie has none


def await_no_process(mark: str, seconds: float = 180.0) -> dict[int, str]:
    """Returns the processes with the mark that are still there after the time.

    Of a Ray whose driver was killed, two agents may look for the rest for a minute, which is Ray's own time limit, and
    end only then.
    """
    end = time.monotonic() + seconds
    while (left := marked_processes(mark)) and time.monotonic() < end:
        time.sleep(0.05)
    return left
