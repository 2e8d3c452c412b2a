"""How far a study is: a line that is redrawn on a terminal, a line now and then elsewhere."""

import time
from collections import Counter
from typing import TextIO

from archsearch.trials.trial import Trial, TrialResult

SECONDS_BETWEEN_LINES = 15.0
SECONDS_BETWEEN_REDRAWS = 0.5


class StudyProgress:
    """Counts the trials of a study and prints how many are done.

    Args:
        stream: Where the lines go.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._what = ""
        self._num_trials = self._num_recorded = self._num_computed = 0
        self._first = self._printed = time.monotonic()
        self._failures: Counter[str] = Counter()
        self.has_trained = False

    def begin(self, what: str, num_recorded: int, num_trials: int) -> None:
        """Starts to count a batch of trials."""
        self._what, self._num_trials, self._num_recorded, self._num_computed = what, num_trials, num_recorded, 0
        self._first = self._printed = time.monotonic()
        self._failures.clear()

    def trial_finished(self, trial: Trial, result: TrialResult) -> None:  # noqa: ARG002
        """Counts a trial, and prints if the last line is old."""
        self.has_trained = True
        self._num_computed += 1
        if self._num_computed == 1:
            self._first = time.monotonic()  # the pace is that of the others: workers may have had to start
        if result.status != "ok":
            self._failures[result.status] += 1
        pause = SECONDS_BETWEEN_REDRAWS if self._is_terminal else SECONDS_BETWEEN_LINES
        if time.monotonic() - self._printed > pause:
            self._print()

    def end(self) -> None:
        """Prints the last state of a batch."""
        if self._num_computed:
            self._print()
            if self._is_terminal:
                print(file=self._stream)
        self._num_computed = 0

    def line(self) -> str:
        """Returns the state in one line."""
        done = self._num_recorded + self._num_computed
        parts = [f"{self._what}: {done}/{self._num_trials} trials"]
        parts += [f"{status} {count}" for status, count in sorted(self._failures.items())]
        if self._num_computed > 1 and done < self._num_trials:
            left = (self._printed - self._first) / (self._num_computed - 1) * (self._num_trials - done)
            parts.append(f"about {left / 60:.0f} min left" if left >= 90 else f"about {left:.0f} s left")
        return " | ".join(parts)

    def _print(self) -> None:
        self._printed = time.monotonic()
        before, after = ("\r\x1b[K", "") if self._is_terminal else ("", "\n")
        print(before + self.line(), end=after, file=self._stream, flush=True)
