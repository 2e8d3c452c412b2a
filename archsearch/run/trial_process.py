"""A process of ours in which trials are computed, seen from its owner."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

from archsearch.errors import ConfigError, SearchStateError
from archsearch.run.trial_worker import ERROR, READY
from archsearch.run.unit import Results, TrialEvaluator, Unit
from archsearch.trials.trial import TrialResult

MEGABYTE = 2**20
SECONDS_TO_END = 5.0
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT})
"""Signals by which people, batch systems and a kernel short of memory end processes; a crash has others."""


@dataclass(frozen=True)
class Death:
    """How a process ended that should not have.

    Attributes:
        code: As `subprocess` gives it: an exit code, or minus the number of a signal.
    """

    code: int

    @property
    def is_from_outside(self) -> bool:
        """Whether it was ended by somebody rather than by what it did."""
        return -self.code in FROM_OUTSIDE

    @property
    def cause(self) -> Mapping[str, str | float]:
        """The number and name of the signal, or the exit code."""
        if self.code >= 0:
            return {"exit_code": self.code}
        return {"signal": -self.code, "signal_name": self._signal_name}

    def __str__(self) -> str:
        return f"exit code {self.code}" if self.code >= 0 else f"signal {-self.code} ({self._signal_name})"

    @property
    def _signal_name(self) -> str:
        try:
            return signal.Signals(-self.code).name
        except ValueError:  # a real-time signal
            return "unnamed"


class TrialProcess:
    """Computes trials one after the other in a process that ends with this one.

    The evaluator and the trials travel as pickles through a socket that only the two processes hold. The process is in
    a group of its own: Ctrl-C at the terminal reaches its owner only.

    Args:
        evaluator: What trains; it must be possible to pickle it, and to import its class.

    Attributes:
        environment: What the evaluator says of the place, once the process is ready; None before.
        num_answered: Units computed.

    Raises:
        ConfigError: The evaluator cannot be pickled.
        SearchStateError: The system does not start it.
    """

    def __init__(self, evaluator: TrialEvaluator) -> None:
        self.environment: Mapping[str, str] | None = None
        self.num_answered = 0
        pickled = _pickled(evaluator)
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = self._started(theirs.fileno())
            except OSError as error:  # too many processes, or too little memory for one more
                ours.close()
                raise did_not_start(str(error)) from error
        self._connection = Connection(ours.detach())
        with suppress(OSError):  # it has ended: `receive` says how
            self._connection.send_bytes(pickled)

    def _started(self, descriptor: int) -> subprocess.Popen[bytes]:
        search_path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "archsearch.run.trial_worker", str(descriptor), str(os.getpid())],
            pass_fds=(descriptor,),
            process_group=0,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=None if os.environ.get("ARCHSEARCH_DEBUG") == "1" else subprocess.DEVNULL,
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": search_path},
        )

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def begin(self, unit: Unit) -> None:
        """Hands over a unit; the one before must have been answered."""
        with suppress(OSError):  # as above
            self._connection.send(unit)

    def receive(self, timeout_seconds: float) -> Results | Death | None:
        """Returns the results, or how the process ended; None after the time, or when the process became ready.

        Raises:
            ArchSearchError: The trial was asked for wrongly, or nothing can be computed here.
        """
        try:
            if not self._connection.poll(timeout_seconds):
                return None
            kind, content = self._connection.recv()
        except (EOFError, OSError):
            return self._death()
        if kind == ERROR:
            raise content
        if kind == READY:
            self.environment = content
            return None
        self.num_answered += 1
        return tuple(map(TrialResult.from_record, content))

    def megabytes(self) -> float:
        """Returns the memory it occupies, 0 where the system does not tell."""
        try:
            resident = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        except (OSError, IndexError):
            return 0.0
        return int(resident) * os.sysconf("SC_PAGE_SIZE") / MEGABYTE

    def end(self) -> None:
        """Ends it, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self._connection.close()

    def _death(self) -> Death:
        with suppress(subprocess.TimeoutExpired):
            return Death(self._process.wait(SECONDS_TO_END))
        self._process.kill()  # it lives on, deaf and dumb
        return Death(self._process.wait())


def did_not_start(reason: str) -> SearchStateError:
    """Returns the error that there is no process that trains."""
    return SearchStateError(
        f"the process that trains did not start ({reason}). With ARCHSEARCH_DEBUG=1 the same command shows what it "
        f"says. Look at the memory and at the number of processes allowed here."
    )


def _pickled(evaluator: TrialEvaluator) -> memoryview:
    try:
        return ForkingPickler.dumps(evaluator)
    except Exception as error:  # there is no end to the errors that pickling can raise
        raise ConfigError(
            f"evaluator {type(evaluator).__name__}: expected one that can be pickled, since another process trains "
            f"({error}). Define its class in a module, or use no limits and workers=0."
        ) from error
