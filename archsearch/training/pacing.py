"""How far whoever asks for steps may be ahead of the GPU that takes them, so that limits of time are noticed."""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import torch

from archsearch.training.stops import Deadline

SECONDS_AHEAD = 0.5
"""Of a GPU's work that may wait to be done, about."""

STEPS_BETWEEN_MARKS = 4
MOST_MARKS = 128
_MILLISECONDS = 1000.0


class Mark(Protocol):
    """A place in a GPU's work: what CUDA calls an event."""

    def record(self) -> None:
        """Puts it behind all work that was asked for so far."""

    def synchronize(self) -> None:
        """Waits until the work before it is done."""

    def elapsed_time(self, later: Any, /) -> float:
        """Returns the milliseconds between the two, both of which have been reached."""


class Pace:
    """Looks at the clock before each step, and on a GPU waits until it has nearly caught up.

    A GPU only takes note of the steps that it is asked for, of a thousand and more: without a wait, the time would be
    up long after the last of them was begun. Half a second of work stays in waiting, so that it is never idle.

    Args:
        deadline: When to give up.
        make_mark: Of a GPU; None where steps are taken at once.
    """

    def __init__(self, deadline: Deadline, make_mark: Callable[[], Mark] | None = None) -> None:
        self._deadline = deadline
        self._make_mark = make_mark
        self._marks: deque[Mark] = deque()
        self._reached: Mark | None = None
        self._num_since = 0
        self._num_ahead = 1

    def before_step(self) -> None:
        """Is to be called before each step.

        Raises:
            TimeLimitError: The deadline has passed.
        """
        if self._make_mark is not None:
            self._num_since += 1
            if self._num_since > STEPS_BETWEEN_MARKS:
                self._num_since = 1
                self._mark(self._make_mark())
        self._deadline.check()

    def _mark(self, mark: Mark) -> None:
        mark.record()
        self._marks.append(mark)
        while len(self._marks) > self._num_ahead:
            reached = self._marks.popleft()
            reached.synchronize()
            if self._reached is not None:
                seconds = self._reached.elapsed_time(reached) / _MILLISECONDS
                self._num_ahead = max(1, min(MOST_MARKS, int(SECONDS_AHEAD / max(seconds, 1e-6))))
            self._reached = reached


def pace_on(device: torch.device, deadline: Deadline) -> Pace:
    """Returns the pace of work on a device."""
    if device.type != "cuda":
        return Pace(deadline)
    return Pace(deadline, lambda: torch.cuda.Event(enable_timing=True))  # type: ignore[no-untyped-call]
