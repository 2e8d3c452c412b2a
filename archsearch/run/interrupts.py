"""Ctrl-C and SIGTERM, held back while a finished trial is on its way to the disk."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Turns SIGINT and SIGTERM into `KeyboardInterrupt`, but never inside `held_back`."""

    def __init__(self) -> None:
        self._is_held_back = False
        self._is_pending = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Takes both signals over; gives them back at the end. Only the main thread may do this."""
        previous = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

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
        """Lets what is inside come to its end, whatever comes meanwhile: the user has been heard already."""
        self._is_held_back = True
        try:
            yield
        finally:
            self._is_held_back = self._is_pending = False

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        if self._is_held_back:
            self._is_pending = True
        else:
            raise KeyboardInterrupt
