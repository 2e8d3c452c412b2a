"""Trials of a study: kept in a journal of its own, computed by workers, interrupted and gone on with like a search.

A training that failed is trained again when the study is gone on with: the cause may have been the machine, and a study
has a few trainings for each cell, all of which its verdict needs. What diverged stays so, and so does what met a limit.
The search's journal is never written to.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from archsearch.errors import SearchStateError
from archsearch.run.driver import POLL_SECONDS
from archsearch.run.execution import Execution
from archsearch.run.executor import Executor
from archsearch.run.folder import RunFolder
from archsearch.run.interrupts import Interrupts
from archsearch.run.journal import Journal
from archsearch.run.repeated_failure import RepeatedFailure
from archsearch.run.session import Stopped, make_executor
from archsearch.run.unit import TrialEvaluator, Unit, grouping_of, pairs
from archsearch.trials.trial import Status, Trial, TrialResult

# what ends the same way when it is tried again on the same terms
SETTLED: frozenset[Status] = frozenset({"ok", "diverged", "time_limit", "memory_limit"})


class StudyObserver(Protocol):
    """Hears how far a study is, and decides nothing."""

    def begin(self, what: str, num_recorded: int, num_trials: int) -> None:
        """A batch of trials begins, some of which are known already."""

    def trial_finished(self, trial: Trial, result: TrialResult) -> None:
        """A trial was computed and kept."""

    def end(self) -> None:
        """The batch has ended, or was stopped."""


def recorded_results(path: Path, trials: Iterable[Trial]) -> dict[str, TrialResult]:
    """Returns the results that a study's folder holds, by key, but for those that are to be tried again.

    Raises:
        FileFormatError: The journal is damaged.
    """
    journal_path = RunFolder(path).journal_path
    if not journal_path.is_file():
        return {}
    journal = Journal.open(journal_path, read_only=True)
    try:
        return _recorded(journal, trials)
    finally:
        journal.close()


class Sitting:
    """A study at work: its journal is open, its folder ours alone.

    Args:
        journal: Open for writing.
        evaluator: What trains.
        execution: How trials are computed.
        observer: Is told how far it is.
    """

    def __init__(
        self, journal: Journal, evaluator: TrialEvaluator, execution: Execution, observer: StudyObserver
    ) -> None:
        self._journal = journal
        self._evaluator = evaluator
        self._execution = execution
        self._observer = observer
        self._interrupts = Interrupts()
        self._failures = RepeatedFailure(execution.max_equal_failures)
        self._executor: Executor | None = None

    def results(self, what: str, trials: Sequence[Trial]) -> Mapping[str, TrialResult]:
        """Returns the result of each trial by key: out of the journal, or computed and kept.

        Workers start when there is something to compute for the first time.

        Args:
            what: For people: what these trials are for.
            trials: Each key once.

        Raises:
            SearchStateError: Ray does not start, the disk does not take a result, or trial after trial fails alike.
            ConfigError: A trial was planned with another task than the evaluator has.
            KeyboardInterrupt: From the keyboard or a signal; every finished trial is kept by then.
        """
        results = _recorded(self._journal, trials)
        self._observer.begin(what, len(results), len(trials))
        # grouped as a whole, whatever of it is known, so that the same trials train together after an interruption
        units = grouping_of(self._evaluator)(trials)
        waiting = deque(unit for unit in units if any(trial.key not in results for trial in unit))
        if not waiting:
            return results
        if self._executor is None:  # Ray, when it starts, takes SIGTERM for itself: signals are caught after that
            self._executor = make_executor(self._evaluator, self._execution)
        with self._interrupts.caught():
            try:
                self._compute(waiting, self._executor, results)
            except BaseException:
                with self._interrupts.ignored():
                    self._keep_finished()
                    self.close()
                raise
            finally:
                self._observer.end()
        return results

    def _compute(self, waiting: deque[Unit], executor: Executor, results: dict[str, TrialResult]) -> None:
        num_in_flight = 0
        while waiting or num_in_flight:
            while waiting and num_in_flight < executor.num_slots:
                executor.submit(waiting.popleft())
                num_in_flight += 1
            finished = executor.wait(POLL_SECONDS)
            num_in_flight -= len(finished)
            computed = [(trial, result) for trial, result in pairs(finished) if trial.key not in results]
            with self._interrupts.held_back():
                self._journal.replace_trials(computed)
            for trial, result in computed:
                results[trial.key] = result
                self._observer.trial_finished(trial, result)
            for trial, result in computed:
                self._failures.see(trial.cell, result)

    def _keep_finished(self) -> None:
        for trial, result in pairs(self._executor.collect()) if self._executor else []:
            if not _recorded(self._journal, [trial]):
                self._journal.replace_trials([(trial, result)])

    def close(self) -> None:
        """Ends the workers, if they were started."""
        if self._executor is not None:
            self._executor.close()
            self._executor = None


@contextmanager
def open_sitting(
    path: Path, evaluator: TrialEvaluator, execution: Execution, observer: StudyObserver, command: Sequence[str]
) -> Iterator[Sitting]:
    """Makes a study's folder if need be, or goes on with it.

    Args:
        path: The folder.
        evaluator: What trains.
        execution: How trials are computed.
        observer: Is told how far it is.
        command: The command line, kept in the folder.

    Raises:
        Stopped: Ctrl-C or SIGTERM; the study can be continued.
        SearchStateError: The folder is another process's or cannot be written.
        FileFormatError: The journal is damaged.
    """
    folder = RunFolder(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SearchStateError(f"{path}: this folder cannot be made ({error.strerror}). Look at its rights.") from error
    with folder.locked():
        folder.note_command(command)
        exists = folder.journal_path.is_file()
        journal = Journal.open(folder.journal_path) if exists else Journal.create(folder.journal_path)
        sitting = Sitting(journal, evaluator, execution, observer)
        try:
            if not exists:
                journal.note("made_by", version("archsearch"))
            yield sitting
        except KeyboardInterrupt as error:
            raise Stopped(f"{path}: stopped; every finished trial is kept.") from error
        finally:
            sitting.close()
            journal.close()


def _recorded(journal: Journal, trials: Iterable[Trial]) -> dict[str, TrialResult]:
    found = ((trial.key, journal.result(trial.key)) for trial in trials)
    return {key: result for key, result in found if result is not None and result.status in SETTLED}
