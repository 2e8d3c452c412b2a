"""One sitting at a run: opens the journal, drives the search, keeps the views up to date, stops cleanly."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from types import FrameType

from archsearch.errors import ArchSearchError
from archsearch.run.driver import Observer, drive
from archsearch.run.executor import Executor, SerialExecutor, TrialEvaluator
from archsearch.run.folder import RunFolder
from archsearch.run.journal import Journal
from archsearch.run.reading import Run, read_journal
from archsearch.search.evolution import Evolution
from archsearch.search.plan import SearchPlan

SECONDS_BETWEEN_VIEWS = 20.0
SHARE_OF_TIME_FOR_VIEWS = 0.02


class Stopped(ArchSearchError):  # noqa: N818 - the user asked for it
    """The run was stopped by the keyboard or a signal; every finished trial is kept."""


def run_search(plan: SearchPlan, folder: RunFolder, evaluator: TrialEvaluator, workers: int, observer: Observer) -> Run:
    """Runs a search to its end, or continues it: what the journal holds is not computed again.

    Args:
        plan: The search; for a run that exists, the same one, but for more candidates.
        folder: The run's folder.
        evaluator: What trains.
        workers: Worker processes; 0 to train in this process.
        observer: Is told what happens.

    Raises:
        Stopped: Ctrl-C or SIGTERM; the run can be continued.
        SearchStateError: See `drive`.
    """
    with folder.locked():
        exists = folder.journal_path.is_file()
        journal = Journal.open(folder.journal_path) if exists else Journal.create(folder.journal_path)
        try:
            journal.note("tasks", json.dumps([task.name for task in plan.tasks]))
            journal.note("list_size", str(plan.list_size))
            journal.note("version", version("archsearch"))
            return _drive(plan, folder, journal, evaluator, workers, observer)
        except KeyboardInterrupt as error:
            raise Stopped(f"{folder.path}: stopped; every finished trial is kept.") from error
        finally:
            journal.close()


def _drive(
    plan: SearchPlan, folder: RunFolder, journal: Journal, evaluator: TrialEvaluator, workers: int, observer: Observer
) -> Run:
    views = _Views(folder, journal)
    executor = _make_executor(evaluator, workers)
    try:
        # Only now: Ray, when it starts, takes SIGTERM for itself.
        with _signals_as_interrupts():
            drive(Evolution(plan), journal, executor, observer, views.bring_up_to_date)
    finally:
        executor.close()
        run = views.write()
    return run


def _make_executor(evaluator: TrialEvaluator, workers: int) -> Executor:
    if workers == 0:
        return SerialExecutor(evaluator)
    from archsearch.run.ray_executor import RayExecutor  # loading Ray takes a second that serial runs need not pay

    return RayExecutor(evaluator, workers)


class _Views:
    """Rewrites the views now and then while the search runs, and at its end.

    A long journal takes long to read: the pause between two times grows with what the last one took.
    """

    def __init__(self, folder: RunFolder, journal: Journal) -> None:
        self._folder = folder
        self._journal = journal
        self._due = time.monotonic() + SECONDS_BETWEEN_VIEWS

    def bring_up_to_date(self) -> None:
        """Writes the views if the last time is long enough ago."""
        if time.monotonic() > self._due:
            self.write()

    def write(self) -> Run:
        """Writes the views and returns what they show."""
        begin = time.monotonic()
        run = read_journal(self._folder, self._journal)
        run.write_views()
        end = time.monotonic()
        self._due = end + max(SECONDS_BETWEEN_VIEWS, (end - begin) / SHARE_OF_TIME_FOR_VIEWS)
        return run


@contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """Lets SIGTERM stop a run as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
