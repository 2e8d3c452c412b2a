"""Keeps what a search found out, also where the disk does not take it at once."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress

from archsearch.errors import SearchStateError
from archsearch.run.journal import Journal, JournalWriteError
from archsearch.search.outcome import StepOutcome
from archsearch.trials.trial import Trial, TrialResult

PATIENCE = "ARCHSEARCH_DISK_PATIENCE_SECONDS"
PATIENCE_SECONDS = 1800.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0

_logger = logging.getLogger(__name__)


class Keeper:
    """Writes to the journal, and tries again for a while if a disk is full, read-only or away.

    Nothing else happens meanwhile: no trial is handed out, and what has finished stays in memory.

    Args:
        journal: Open for writing.
        held_back: Makes a context in which no interrupt arrives; rows are written inside it, pauses are outside.
        pause: Waits for a number of seconds.
        clock: Tells the time in seconds.
    """

    def __init__(
        self,
        journal: Journal,
        held_back: Callable[[], AbstractContextManager[None]] = nullcontext,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._held_back = held_back
        self._pause = pause
        self._clock = clock
        self._unkept: list[tuple[Trial, TrialResult]] = []

    def add_trials(self, finished: Sequence[tuple[Trial, TrialResult]]) -> None:
        """Keeps finished trials.

        Raises:
            JournalWriteError: The disk did not take them for the time that `ARCHSEARCH_DISK_PATIENCE_SECONDS` says.
            SearchStateError: See `Journal.add_trials`.
        """
        self._unkept += finished
        self._insist(self._add_unkept)

    def add_steps(self, outcomes: Sequence[StepOutcome]) -> None:
        """Keeps consumed steps.

        Raises:
            JournalWriteError: As with trials.
            SearchStateError: See `Journal.add_steps`.
        """
        if outcomes:
            self._insist(lambda: self._journal.add_steps(outcomes))

    def keep_last(self, finished: Sequence[tuple[Trial, TrialResult]]) -> list[tuple[Trial, TrialResult]]:
        """Keeps what is left when a search is stopped, without waiting for the disk, and returns it.

        Raises:
            JournalWriteError: The disk does not take it.
        """
        self._unkept += [pair for pair in finished if self._journal.result(pair[0].key) is None]
        kept = list(self._unkept)
        self._add_unkept()
        return kept

    def _add_unkept(self) -> None:
        self._journal.add_trials(self._unkept)
        self._unkept = []

    def _insist(self, write: Callable[[], None]) -> None:
        begin, pause = None, FIRST_PAUSE_SECONDS
        while True:
            try:
                with self._held_back():
                    write()
            except JournalWriteError as error:
                now = self._clock()
                if begin is None:
                    begin = now
                    self._warn(error)
                if now + pause > begin + _patience_seconds():
                    raise JournalWriteError(self._last_words(error)) from error
            else:
                if begin is not None:
                    _logger.warning("archsearch: the disk takes results again; the search goes on.")
                return
            self._pause(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            with suppress(SearchStateError):  # not yet; the next try will say so
                self._journal.reopen()

    def _warn(self, error: JournalWriteError) -> None:
        _logger.warning(
            "archsearch: %s No trial is handed out until the disk takes what has finished, which stays in memory; "
            "this is tried for %s (%s).",
            error,
            _patience(),
            PATIENCE,
        )

    def _last_words(self, error: JournalWriteError) -> str:
        lost = f"{len(self._unkept)} finished trials could not be kept and will be computed again. "
        return (
            f"{error} This was tried for {_patience()}. {lost if self._unkept else ''}"
            f"What is in the journal is whole: when the disk takes files again, resume the run."
        )


def _patience() -> str:
    seconds = _patience_seconds()
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:g} s"


def _patience_seconds() -> float:
    text = os.environ.get(PATIENCE, "")
    try:
        return float(text)
    except ValueError:
        return PATIENCE_SECONDS
