"""The loop between search, journal and executor."""

import heapq
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import groupby
from typing import Protocol

from archsearch.errors import ArchSearchError
from archsearch.run.environments import Environments
from archsearch.run.execution import Execution
from archsearch.run.executor import Executor
from archsearch.run.interrupts import Interrupts
from archsearch.run.journal import Journal, JournalWriteError
from archsearch.run.keeping import Keeper
from archsearch.run.other_lengths import from_other_lengths
from archsearch.run.quarantine import Quarantine
from archsearch.run.repeated_failure import RepeatedFailure
from archsearch.run.unit import Finished, GroupTrials, Unit, one_by_one, pairs
from archsearch.search.evolution import Evolution
from archsearch.search.outcome import Examined, StepOutcome
from archsearch.trials.trial import RECORDED_IN, Trial, TrialResult

POLL_SECONDS = 0.5
_logger = logging.getLogger(__name__)


class Observer(Protocol):
    """Hears what happens, and decides nothing."""

    def trial_answered(self, trial: Trial, result: TrialResult, *, recorded: bool) -> None:
        """A trial finished now, or was found in the journal."""

    def step_consumed(self, outcome: StepOutcome, evolution: Evolution) -> None:
        """A step was consumed and is in the journal."""

    def refresh(self, num_in_flight: int, num_waiting: int) -> None:
        """Time has passed."""


def drive(
    evolution: Evolution,
    journal: Journal,
    executor: Executor,
    observer: Observer,
    checkpoint: Callable[[], None],
    interrupts: Interrupts | None = None,
    execution: Execution | None = None,
    group: GroupTrials = one_by_one,
) -> None:
    """Runs a search to its end.

    What the journal holds is answered from it; everything else is computed, kept, and only then handed to the search.

    Args:
        evolution: The search.
        journal: Open for writing.
        executor: Computes what the journal lacks.
        observer: Is told what happens.
        checkpoint: Called when all consumed steps were told; brings the views up to date.
        interrupts: Tells when the run is to stop; finished trials are kept where none arrives.
        execution: How long trials in flight may go on then, and how many may fail alike.
        group: Makes units of the trials that a step asks for together.

    Raises:
        SearchStateError: The journal and the search disagree, or every trial fails alike.
        KeyboardInterrupt: From the keyboard or a signal; every finished trial is kept by then.
    """
    interrupts, execution = interrupts or Interrupts(), execution or Execution()
    keeper = Keeper(journal, interrupts.held_back, interrupts.pause)
    answers = _Answers(evolution, journal, keeper, observer, group)
    num_in_flight = 0
    failures = RepeatedFailure(execution.max_equal_failures)

    def keep_consumed() -> None:
        consumed = evolution.take_consumed()
        keeper.add_steps(consumed)
        for outcome in consumed:
            observer.step_consumed(outcome, evolution)
            for entry in answers.take_computed(outcome):  # a bug that is mended leaves what it did in the journal
                failures.see(entry.cell, entry.result)
        if consumed:
            checkpoint()

    try:
        while True:
            may_ask_for_more = answers.answer_recorded()
            keep_consumed()
            if evolution.finished:
                return
            if interrupts.has_come:
                _finish_in_flight(executor, answers, num_in_flight, execution.grace_seconds)
                keep_consumed()
                raise KeyboardInterrupt
            if may_ask_for_more:  # steps are taken in between: a long journal's would fill the memory
                continue
            while answers.waiting and num_in_flight < executor.num_slots:
                executor.submit(answers.next_waiting())
                num_in_flight += 1
            observer.refresh(num_in_flight, len(answers.waiting))
            finished = executor.wait(POLL_SECONDS)
            num_in_flight -= len(finished)
            answers.tell_computed(finished)
    except (KeyboardInterrupt, JournalWriteError):
        with suppress(ArchSearchError):  # the first cause is to be told
            for trial, result in keeper.keep_last(pairs(executor.collect())):
                observer.trial_answered(trial, result, recorded=False)
        raise


class _Answers:
    """Hands results to the search, each from the journal, from the cell's verdict or from a worker.

    Args:
        evolution: The search.
        journal: What is known already.
        keeper: Keeps what is not.
        observer: Is told what happens.
        group: Makes units of trials.

    Attributes:
        waiting: Units nobody has answered; those of earlier steps first, since steps are consumed in order.
    """

    def __init__(
        self, evolution: Evolution, journal: Journal, keeper: Keeper, observer: Observer, group: GroupTrials
    ) -> None:
        self.waiting: list[tuple[int, int, Unit]] = []
        self._evolution = evolution
        self._journal = journal
        self._keeper = keeper
        self._observer = observer
        self._group = group
        self._known: set[str] = set()
        self._computed: set[str] = set()
        self._quarantine = Quarantine()
        self._environments = Environments()

    def next_waiting(self) -> Unit:
        """Returns the unit to be computed next."""
        return heapq.heappop(self.waiting)[-1]

    def answer_recorded(self) -> bool:
        """Hands the search what needs no computing of all that it asks for now; the rest is queued.

        What a step asks for is grouped as a whole, whatever of it is known: so the same trials train together in a run
        that was stopped. A unit is computed whole if anything of it must be; what was known of it stays as it is.

        Returns:
            Whether it asked for anything: then it may ask for more.
        """
        asked = self._evolution.ask()
        verdicts = self._quarantine.verdicts([trial for _, trial in asked])
        verdict_on = {trial.key: verdict for (_, trial), verdict in zip(asked, verdicts, strict=True)}
        for step, entries in groupby(asked, lambda entry: entry[0]):
            for order, unit in enumerate(self._group([trial for _, trial in entries])):
                known = {trial.key for trial in unit if self._answer(trial, verdict_on[trial.key])}
                if len(known) < len(unit):
                    self._known |= known
                    heapq.heappush(self.waiting, (step, order, unit))
        return bool(asked)

    def _answer(self, trial: Trial, verdict: TrialResult | None) -> bool:
        """Hands the search a result that needs no computing; returns whether there is one."""
        result = self._journal.result(trial.key, curves=False)
        if result is None and (result := from_other_lengths(self._journal, trial)):
            self._keeper.add_trials([(trial, result)])
        if result is not None:
            self._tell(trial, result, recorded=True)
        elif verdict is not None:
            self.tell_computed([((trial,), (verdict,))])
        return result is not None or verdict is not None

    def tell_computed(self, finished: Sequence[Finished]) -> None:
        """Keeps new results, those of a unit at once, and hands them in."""
        computed = [(trial, result) for trial, result in pairs(finished) if trial.key not in self._known]
        self._known.difference_update(trial.key for unit, _ in finished for trial in unit)
        self._keeper.add_trials(computed)
        for trial, result in computed:
            self._computed.add(trial.key)
            self._tell(trial, result, recorded=False)

    def take_computed(self, outcome: StepOutcome) -> list[Examined]:
        """Returns the trials of a consumed step that were computed since the search began or went on; it ends here."""
        entries = [entry for entry in outcome.examined if entry.key in self._computed]
        self._computed.difference_update(entry.key for entry in entries)
        return entries

    def _tell(self, trial: Trial, result: TrialResult, *, recorded: bool) -> None:
        self._quarantine.see(trial, result)
        warning = self._environments.see(result)
        if warning and not recorded:
            _logger.warning("%s", warning)
        self._observer.trial_answered(trial, result, recorded=recorded)
        self._evolution.tell(trial.key, without_curve(result))


def _finish_in_flight(executor: Executor, answers: _Answers, num_in_flight: int, grace_seconds: float) -> None:
    """Gives the trials in flight the grace period to end; what does not is dropped."""
    if num_in_flight and grace_seconds:
        _logger.warning(
            "stopping: trials in flight (%s) may end within %g s; stop again to leave at once.",
            num_in_flight,
            grace_seconds,
        )
    end = time.monotonic() + grace_seconds
    while num_in_flight and (left := end - time.monotonic()) > 0:
        finished = executor.wait(min(POLL_SECONDS, left))
        num_in_flight -= len(finished)
        answers.tell_computed(finished)


def without_curve(result: TrialResult) -> TrialResult:
    """Returns what of a result the search looks at: with thousands of steps in flight, curves would fill the memory."""
    mark = {RECORDED_IN: result.recorded_in} if result.recorded_in else {}
    return replace(result, curve=(), environment=mark)
