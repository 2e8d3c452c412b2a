"""What ends a training early. Neither leaves this package: a trial's end is a status."""

import time


class DivergedError(Exception):
    """A loss, a gradient or a prediction is not finite, or the loss is beyond all bounds."""


class TimeLimitError(Exception):
    """A trial took longer than it may."""


class Deadline:
    """A moment after which a trial must end; a guard against hangs, never part of the method.

    Args:
        limit_seconds: From now on; None for no limit.
    """

    def __init__(self, limit_seconds: float | None = None) -> None:
        self._limit_seconds = limit_seconds
        self._start = time.perf_counter()

    def check(self) -> None:
        """Does nothing before the deadline.

        Raises:
            TimeLimitError: The deadline has passed.
        """
        if self._limit_seconds is not None and time.perf_counter() - self._start > self._limit_seconds:
            raise TimeLimitError(f"the trial took longer than its limit of {self._limit_seconds:g} s")
