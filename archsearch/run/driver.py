"""The loop between search, journal and executor."""

import heapq
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from archsearch.errors import SearchStateError
from archsearch.run.executor import Executor
from archsearch.run.journal import Journal
from archsearch.run.other_lengths import keep_from_other_lengths
from archsearch.search.evolution import Evolution
from archsearch.search.outcome import StepOutcome
from archsearch.trials.trial import Trial, TrialResult

POLL_SECONDS = 0.5
_NUMBERS = re.compile(r"\d+")  # the same error in cells of different sizes has other numbers in it


class Observer(Protocol):
    """Hears what happens, and decides nothing."""

    def trial_answered(self, trial: Trial, result: TrialResult, *, recorded: bool) -> None:
        """A trial finished now, or was found in the journal."""

    def step_consumed(self, outcome: StepOutcome, evolution: Evolution) -> None:
        """A step was consumed and is in the journal."""

    def refresh(self, num_in_flight: int, num_waiting: int) -> None:
        """Time has passed."""


class RepeatedFailure:
    """Stops a run in which trial after trial raises the same exception: that is a bug, no property of cells.

    Args:
        limit: Trials in a row, in the order of consumption.
    """

    def __init__(self, limit: int = 20) -> None:
        self._limit = limit
        self._error = ""
        self._count = 0

    def see(self, outcome: StepOutcome) -> None:
        """Counts the trials of a consumed step.

        Raises:
            SearchStateError: The last `limit` trials all failed with the same error.
        """
        for entry in outcome.examined:
            failed = entry.result.status == "failed"
            error = _NUMBERS.sub("#", entry.result.error)
            same = failed and error == self._error
            self._count = self._count + 1 if same else int(failed)
            self._error = error if failed else ""
            if self._count >= self._limit:
                raise SearchStateError(
                    f"the last {self._limit} trials all failed with the same error, so this is a bug rather than a "
                    f"property of the cells: {entry.result.error}"
                )


def drive(
    evolution: Evolution,
    journal: Journal,
    executor: Executor,
    observer: Observer,
    checkpoint: Callable[[], None],
    held_back: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> None:
    """Runs a search to its end.

    What the journal holds is answered from it; everything else is computed, kept, and only then handed to the search.

    Args:
        evolution: The search.
        journal: Open for writing.
        executor: Computes what the journal lacks.
        observer: Is told what happens.
        checkpoint: Called after consumed steps; brings the views up to date.
        held_back: Makes a context in which no interrupt arrives; finished trials are kept inside it.

    Raises:
        SearchStateError: The journal and the search disagree, or every trial fails alike.
        KeyboardInterrupt: From the keyboard or a signal; every finished trial is kept by then.
    """
    waiting: list[tuple[int, int, Trial]] = []
    num_in_flight = 0
    failures = RepeatedFailure()
    try:
        while True:
            _answer_recorded(evolution, journal, waiting, observer)
            for outcome in evolution.take_consumed():
                journal.add_step(outcome)
                observer.step_consumed(outcome, evolution)
                failures.see(outcome)
                checkpoint()
            if evolution.finished:
                return
            while waiting and num_in_flight < executor.num_slots:
                executor.submit(heapq.heappop(waiting)[-1])
                num_in_flight += 1
            observer.refresh(num_in_flight, len(waiting))
            for trial, result in executor.wait(POLL_SECONDS):
                num_in_flight -= 1
                with held_back():
                    journal.add_trial(trial, result)
                observer.trial_answered(trial, result, recorded=False)
                evolution.tell(trial.key, result)
    except KeyboardInterrupt:
        _keep_finished(journal, executor)
        raise


def _answer_recorded(
    evolution: Evolution, journal: Journal, waiting: list[tuple[int, int, Trial]], observer: Observer
) -> None:
    """Hands the search what the journal holds, as long as it asks for more; the rest is queued.

    Trials of earlier steps come first, since steps are consumed in order.
    """
    while asked := evolution.ask():
        for order, (step, trial) in enumerate(asked):
            result = journal.result(trial.key) or keep_from_other_lengths(journal, trial)
            if result is None:
                heapq.heappush(waiting, (step, order, trial))
            else:
                observer.trial_answered(trial, result, recorded=True)
                evolution.tell(trial.key, result)


def _keep_finished(journal: Journal, executor: Executor) -> None:
    """Keeps the trials that ended just before the run was stopped."""
    for trial, result in executor.collect():
        if journal.result(trial.key) is None:
            journal.add_trial(trial, result)
