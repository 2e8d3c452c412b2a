"""Ctrl-C, SIGTERM and SIGUSR1: the first one stops a run in good order, a second one leaves at once."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
INTERRUPTED = 130
_LOOK_SECONDS = 0.2


class Interrupts:
    """Takes the signals that ask a run to stop.

    The first one is noted inside `noted`, and held back inside `held_back`; elsewhere it raises `KeyboardInterrupt`.
    Any further one ends the process without another look, except for what `leave` does: what is in the journal is whole
    at any moment. A signal that is ignored when the run starts, as by `nohup` or in the background of a shell without
    job control, stays ignored.

    Args:
        leave: Called before the process ends at once.

    Attributes:
        has_come: Whether a signal was noted.
    """

    def __init__(self, leave: Callable[[], None] = lambda: None) -> None:
        self.has_come = False
        self._leave = leave
        self._num_received = 0
        self._is_noted = False
        self._is_held_back = False
        self._is_pending = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Takes the signals over; gives them back at the end. Only the main thread may do this."""
        previous = {number: signal.getsignal(number) for number in SIGNALS}
        self.take()
        try:
            yield
        finally:
            for number, handler in previous.items():
                if handler is not None:
                    signal.signal(number, handler)

    def take(self) -> None:
        """Takes the signals again, from a library that has taken them for itself."""
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._receive)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Makes the first signal set `has_come` instead of raising."""
        self._is_noted = True
        try:
            yield
        finally:
            self._is_noted = False

    def pause(self, seconds: float) -> None:
        """Waits, but no longer than until a signal has come.

        Raises:
            KeyboardInterrupt: One has.
        """
        end = time.monotonic() + seconds
        while not self.has_come and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_SECONDS))
        if self.has_come:
            raise KeyboardInterrupt

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Lets what is inside come to its end; a signal that came meanwhile takes effect after it."""
        self._is_held_back = True
        try:
            yield
        finally:
            self._is_held_back = False
        if self._is_pending:
            self._is_pending = False
            raise KeyboardInterrupt

    @contextmanager
    def ignored(self) -> Iterator[None]:
        """Lets what is inside come to its end after a first signal, or without one; a further one leaves at once."""
        self._is_held_back = True
        try:
            yield
        finally:
            self._is_held_back = self._is_pending = False

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        self._num_received += 1
        if self._num_received > 1:
            self._leave()
            os._exit(INTERRUPTED)
        self.has_come = True
        if self._is_noted:
            return
        if self._is_held_back:
            self._is_pending = True
        else:
            raise KeyboardInterrupt
