"""Trials of a study: kept in a journal of its own, computed by workers, interrupted and gone on with like a search.

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
from archsearch.run.executor import Executor, TrialEvaluator
from archsearch.run.folder import RunFolder
from archsearch.run.interrupts import Interrupts
from archsearch.run.journal import Journal
from archsearch.run.session import Stopped, make_executor
from archsearch.trials.trial import Trial, TrialResult


class StudyObserver(Protocol):
    """Hears how far a study is, and decides nothing."""

    def begin(self, what: str, num_recorded: int, num_trials: int) -> None:
        """A batch of trials begins, some of which are known already."""

    def trial_finished(self, trial: Trial, result: TrialResult) -> None:
        """A trial was computed and kept."""


def recorded_results(path: Path, trials: Iterable[Trial]) -> dict[str, TrialResult]:
    """Returns the results that a study's folder holds, by key.

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
        workers: Worker processes; 0 to train in this process.
        observer: Is told how far it is.
        interrupts: What holds Ctrl-C back while a result is kept.
    """

    def __init__(
        self,
        journal: Journal,
        evaluator: TrialEvaluator,
        workers: int,
        observer: StudyObserver,
        interrupts: Interrupts,
    ) -> None:
        self._journal = journal
        self._evaluator = evaluator
        self._workers = workers
        self._observer = observer
        self._interrupts = interrupts
        self._executor: Executor | None = None

    def results(self, what: str, trials: Sequence[Trial]) -> Mapping[str, TrialResult]:
        """Returns the result of each trial by key: out of the journal, or computed and kept.

        Workers start when there is something to compute for the first time.

        Args:
            what: For people: what these trials are for.
            trials: Each key once.

        Raises:
            SearchStateError: Ray does not start, or the disk does not take a result.
            ConfigError: A trial was planned with another task than the evaluator has.
            KeyboardInterrupt: From the keyboard or a signal; every finished trial is kept by then.
        """
        results = _recorded(self._journal, trials)
        self._observer.begin(what, len(results), len(trials))
        waiting = deque(trial for trial in trials if trial.key not in results)
        if not waiting:
            return results
        executor = self._executor = self._executor or make_executor(self._evaluator, self._workers)
        num_in_flight = 0
        try:
            while waiting or num_in_flight:
                while waiting and num_in_flight < executor.num_slots:
                    executor.submit(waiting.popleft())
                    num_in_flight += 1
                for trial, result in executor.wait(POLL_SECONDS):
                    num_in_flight -= 1
                    with self._interrupts.held_back():
                        self._journal.add_trial(trial, result)
                    results[trial.key] = result
                    self._observer.trial_finished(trial, result)
        except KeyboardInterrupt:
            for trial, result in executor.collect():
                if self._journal.result(trial.key) is None:
                    self._journal.add_trial(trial, result)
            raise
        return results

    def close(self) -> None:
        """Ends the workers, if they were started."""
        if self._executor is not None:
            with self._interrupts.ignored():
                self._executor.close()
            self._executor = None


@contextmanager
def open_sitting(
    path: Path, evaluator: TrialEvaluator, workers: int, observer: StudyObserver, command: Sequence[str]
) -> Iterator[Sitting]:
    """Makes a study's folder if need be, or goes on with it.

    Args:
        path: The folder.
        evaluator: What trains.
        workers: Worker processes; 0 to train in this process.
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
    interrupts = Interrupts()
    with folder.locked():
        folder.note_command(command)
        exists = folder.journal_path.is_file()
        journal = Journal.open(folder.journal_path) if exists else Journal.create(folder.journal_path)
        sitting = Sitting(journal, evaluator, workers, observer, interrupts)
        try:
            if not exists:
                journal.note("made_by", version("archsearch"))
            with interrupts.caught():
                try:
                    yield sitting
                finally:
                    sitting.close()
        except KeyboardInterrupt as error:
            raise Stopped(f"{path}: stopped; every finished trial is kept.") from error
        finally:
            journal.close()


def _recorded(journal: Journal, trials: Iterable[Trial]) -> dict[str, TrialResult]:
    found = ((trial.key, journal.result(trial.key)) for trial in trials)
    return {key: result for key, result in found if result is not None}
