"""One process of the product: what it says, what it has kept, how it ends."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from faults.promises import BrokenPromiseError, expect

PATIENCE_SECONDS = 240.0
"""How long anything may take on a machine that has much else to do."""

AT_ONCE_SECONDS = 60.0
"""How long what happens at once may take there: a process has to start first."""

SECONDS_BETWEEN_LOOKS = 0.01


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: Its exit code; minus the number of a signal if one ended it.
        text: What it said on both streams.
        seconds: From the moment it was waited for.
    """

    code: int
    text: str
    seconds: float

    def at_once(self) -> "Ended":
        """Checks that it did not wait for anything: a process takes some seconds to start on a busy machine, no more.

        Raises:
            BrokenPromiseError: It did.
        """
        expect(self.seconds < AT_ONCE_SECONDS, f"it took {self.seconds:.1f} s")
        return self

    def says(self, *parts: object) -> "Ended":
        """Checks that each part is in what it said.

        Raises:
            BrokenPromiseError: One is missing.
        """
        text = " ".join(self.text.split())
        for part in parts:
            expect(str(part) in text, f"expected '{part}' among what it said, got: {text[-700:]}")
        return self


class Sitting:
    """A process of the product, whose output goes to a file.

    Args:
        words: Its command line.
        output: Where its output goes.
        environment: All of it.
        folder: Where it runs.
    """

    def __init__(self, words: Sequence[str], output: Path, environment: Mapping[str, str], folder: Path) -> None:
        self._output = output
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=folder,
                start_new_session=True,  # Ctrl-C at the suite's terminal is not for it
            )

    @property
    def pid(self) -> int:
        """Its number."""
        return self.process.pid

    @property
    def text(self) -> str:
        """What it has said so far."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)

    def await_that(self, condition: Callable[[], bool], what: str) -> None:
        """Waits until something holds.

        Raises:
            BrokenPromiseError: The process ended before, or too much time passed.
        """
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if not self.is_running:
                raise BrokenPromiseError(f"it ended with {self.process.returncode} before {what}: {self.text[-700:]}")
            if time.monotonic() > end:
                raise BrokenPromiseError(f"{what} did not happen within {PATIENCE_SECONDS:.0f} s: {self.text[-700:]}")
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def await_text(self, text: str) -> None:
        """Waits until it has said something."""
        self.await_that(lambda: text in self.text, f"it said '{text}'")

    def workers(self, word: str = "archsearch.run.trial_worker") -> list[int]:
        """Returns its descendants whose command line has the word."""
        return [pid for pid in _descendants(self.pid) if word in command_of(pid)]

    def kill(self) -> None:
        """Ends it at once, if it still runs."""
        with suppress(OSError):
            self.process.kill()
        self.process.wait()

    def end(self) -> Ended:
        """Waits until it ends.

        Raises:
            BrokenPromiseError: It does not.
        """
        begin = time.monotonic()
        try:
            code = self.process.wait(2 * PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            raise BrokenPromiseError(f"it did not end: {self.text[-700:]}") from None
        return Ended(code, self.text, time.monotonic() - begin)

    def ends_with(self, code: int) -> Ended:
        """Waits until it ends, with an exit code.

        Raises:
            BrokenPromiseError: It ends otherwise.
        """
        ended = self.end()
        expect(ended.code == code, f"expected exit code {code}, got {ended.code}: {ended.text[-900:]}")
        return ended


def command_of(pid: int) -> str:
    """Returns the command line of a process, empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            text = children.read_text()
        except OSError:  # it has ended
            continue
        for child in text.split():
            found += [int(child), *_descendants(int(child))]
    return found


def kill(pid: int) -> bool:
    """Sends SIGKILL; returns whether the process was there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
