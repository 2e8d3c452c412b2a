"""A search seen from outside: its state as the journal tells it, which is only read."""

import time
from collections import Counter

from archsearch.errors import FileFormatError
from archsearch.run.folder import RunFolder
from archsearch.run.live_table import LiveState, best_cells
from archsearch.run.reading import Run, load_run
from archsearch.search.outcome import EXHAUSTED, IN_FLIGHT, KNOWN

MAX_FAILED_READS = 5


class Watcher:
    """Reads a run's journal again and again, and knows its pace from the second time on.

    Args:
        folder: The run's folder.
        num_candidates: Candidates of the whole search.
        num_workers: Its workers; None where it is not known, as with `workers=auto`.
    """

    def __init__(self, folder: RunFolder, num_candidates: int, num_workers: int | None) -> None:
        self._folder = folder
        self._num_candidates = num_candidates
        self._num_workers = num_workers
        self._first: tuple[float, int, int] | None = None
        self._num_failed_reads = 0
        self._state: LiveState | None = None
        self.run: Run | None = None  # as of the last look
        self.read_seconds = 0.0

    @property
    def has_ended(self) -> bool:
        """Whether every candidate is done with, as of the last look."""
        return self._state is not None and self._state.num_candidates >= self._num_candidates

    def look(self) -> LiveState | None:
        """Returns the state of the search now, None if it has not begun.

        Raises:
            FileFormatError: The journal is damaged: several looks in a row could not read it.
        """
        begin = time.monotonic()
        if not self._folder.journal_path.is_file():
            return None
        try:
            run = self.run = load_run(self._folder.path, curves=False)
        except FileFormatError:  # once may be: it was read in the moment in which the search opened or closed it
            self._num_failed_reads += 1
            if self._num_failed_reads >= MAX_FAILED_READS:
                raise
            return self._state
        self._num_failed_reads = 0
        self._state = self._state_of(run, begin)
        self.read_seconds = time.monotonic() - begin
        return self._state

    def _state_of(self, run: Run, now: float) -> LiveState:
        proposed = [outcome for outcome in run.outcomes if outcome.kind == "propose"]
        reasons = [reason for outcome in run.outcomes for _, reason in outcome.dropped]
        num_duplicates = sum(reason in {KNOWN, IN_FLIGHT, EXHAUSTED} for reason in reasons)
        num_trials = len(run.journaled_trials)
        statuses = Counter(trial.result.status for trial in run.journaled_trials)
        return LiveState(
            tasks=run.tasks,
            num_candidates=len(proposed),
            max_candidates=self._num_candidates,
            stages=Counter(outcome.stage for outcome in proposed),
            num_duplicates=num_duplicates,
            num_out_of_bounds=len(reasons) - num_duplicates,
            num_trials=num_trials,
            trials_per_hour=self._trials_per_hour(run, now),
            num_workers=self._num_workers,
            seconds_left=self._seconds_left(run, now, len(proposed)),
            failures={status: count for status, count in statuses.items() if status != "ok"},
            best=best_cells(run.knowledge),
            founder_trials=None if run.outcomes else (num_trials, 0),
        )

    def _trials_per_hour(self, run: Run, now: float) -> float | None:
        """Returns the pace since the first look; before it is seen, what times and number of workers make likely."""
        num_trials = len(run.journaled_trials)
        if self._first is None:
            self._first = now, num_trials, sum(outcome.kind == "propose" for outcome in run.outcomes)
        since, trials_then, _ = self._first
        if num_trials > trials_then and now > since:
            return 3600 * (num_trials - trials_then) / (now - since)
        seconds = sum(trial.result.seconds for trial in run.journaled_trials)
        return 3600 * num_trials * self._num_workers / seconds if seconds and self._num_workers else None

    def _seconds_left(self, run: Run, now: float, num_proposed: int) -> float | None:
        """Returns a guess from the candidates done since the first look, else from the trials that each has taken."""
        left = self._num_candidates - num_proposed
        if left <= 0 or self._first is None or not run.outcomes:
            return None
        since, _, proposed_then = self._first
        if num_proposed > proposed_then and now > since:
            return left * (now - since) / (num_proposed - proposed_then)
        later = [entry.result.seconds for outcome in run.outcomes[1:] for entry in outcome.examined]
        if not num_proposed or not self._num_workers:
            return None
        return left * sum(later) / num_proposed / self._num_workers
