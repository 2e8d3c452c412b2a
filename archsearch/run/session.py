"""One sitting at a run: opens the journal, drives the search, keeps the views up to date, stops cleanly."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version

from archsearch.errors import ArchSearchError, SearchStateError
from archsearch.run.driver import Observer, drive
from archsearch.run.executor import Executor, SerialExecutor, TrialEvaluator
from archsearch.run.folder import RunFolder
from archsearch.run.interrupts import Interrupts
from archsearch.run.journal import Journal
from archsearch.run.reading import Run, read_journal
from archsearch.search.evolution import Evolution
from archsearch.search.plan import SearchPlan

SECONDS_BETWEEN_VIEWS = 20.0
SHARE_OF_TIME_FOR_VIEWS = 0.02


class Stopped(ArchSearchError):  # noqa: N818 - the user asked for it
    """The run was stopped by the keyboard or a signal; every finished trial is kept."""


def run_search(
    plan: SearchPlan,
    folder: RunFolder,
    evaluator: TrialEvaluator,
    workers: int,
    observer: Observer,
    begin: Callable[[], None] = lambda: None,
) -> Run:
    """Runs a search to its end, or continues it: what the journal holds is not computed again.

    Args:
        plan: The search; for a run that exists, the same one, but for more candidates.
        folder: The run's folder.
        evaluator: What trains.
        workers: Worker processes; 0 to train in this process.
        observer: Is told what happens.
        begin: Called once the folder is ours alone, before anything else.

    Raises:
        Stopped: Ctrl-C or SIGTERM; the run can be continued.
        SearchStateError: The folder is another driver's or cannot be written, Ray does not start, or see `drive`.
        FileFormatError: The journal is damaged.
        ConfigError: A trial was planned with another task than the evaluator has.
    """
    with folder.locked():
        begin()
        exists = folder.journal_path.is_file()
        journal = Journal.open(folder.journal_path) if exists else Journal.create(folder.journal_path)
        try:
            _note_identity(journal, plan)
            return _drive(plan, folder, journal, evaluator, workers, observer)
        except KeyboardInterrupt as error:
            raise Stopped(f"{folder.path}: stopped; every finished trial is kept.") from error
        finally:
            journal.close()


def _note_identity(journal: Journal, plan: SearchPlan) -> None:
    """Keeps what readers need, who made the run, and who is at work on it now.

    Raises:
        SearchStateError: The run was started with another plan.
    """
    kept = journal.about("plan")
    if kept is not None and kept != plan.identity:
        raise SearchStateError(
            f"run made by archsearch {journal.about('made_by')}: expected the plan it was started with, got another. "
            f"Its config.yaml, a task's files or the code of archsearch (now {version('archsearch')}) has changed: "
            f"restore them, or start a new run."
        )
    if kept is None:
        journal.note("plan", plan.identity)
        journal.note("tasks", json.dumps([task.name for task in plan.tasks]))
        journal.note("list_size", str(plan.list_size))
        journal.note("penalty", json.dumps(asdict(plan.penalty)))
        journal.note("made_by", version("archsearch"))
    journal.note("continued_by", version("archsearch"))


def _drive(
    plan: SearchPlan, folder: RunFolder, journal: Journal, evaluator: TrialEvaluator, workers: int, observer: Observer
) -> Run:
    views = _Views(folder, journal)
    executor = _make_executor(evaluator, workers)
    interrupts = Interrupts()
    with interrupts.caught():  # only now: Ray, when it starts, takes SIGTERM for itself
        try:
            drive(Evolution(plan), journal, executor, observer, views.bring_up_to_date, interrupts.held_back)
        except BaseException:
            with interrupts.ignored():
                executor.close()
                with suppress(ArchSearchError, OSError):  # the first error is to be told; views can be written later
                    views.write()
            raise
        with interrupts.ignored():
            executor.close()
            return views.write()


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
