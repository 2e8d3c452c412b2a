"""One sitting at a run: opens the journal, drives the search, keeps the views up to date, stops cleanly."""

import logging
from collections.abc import Callable, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archsearch.errors import ArchSearchError
from archsearch.run.driver import Observer, drive
from archsearch.run.estimate import short_lookahead
from archsearch.run.execution import Execution
from archsearch.run.executor import Executor, SerialExecutor
from archsearch.run.folder import RunFolder
from archsearch.run.identity import note_identity
from archsearch.run.interrupts import Interrupts
from archsearch.run.journal import Journal
from archsearch.run.live_views import LiveViews
from archsearch.run.reading import read_journal
from archsearch.run.recorded import RecordedExecutor
from archsearch.run.unit import TrialEvaluator, grouping_of
from archsearch.run.view_files import ViewFiles
from archsearch.run.watched_executor import WatchedExecutor
from archsearch.search.evolution import Evolution
from archsearch.search.knowledge import Knowledge
from archsearch.search.plan import SearchPlan

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EndedRun:
    """What a run's search has come to, without its journal being read for it.

    Attributes:
        path: The run's folder.
        tasks: Names of the tasks that count for fitness.
        knowledge: The fold of all steps.
        summary: The content of `summary.json`.
        step_milliseconds: Time of a training step of the listed cells of which it is known.
    """

    path: Path
    tasks: tuple[str, ...]
    knowledge: Knowledge
    summary: Mapping[str, Any]
    step_milliseconds: Mapping[str, float]


class Stopped(ArchSearchError):  # noqa: N818 - the user asked for it
    """The run was stopped by the keyboard or a signal; every finished trial is kept."""


def run_search(
    plan: SearchPlan,
    folder: RunFolder,
    evaluator: TrialEvaluator,
    execution: Execution | int,
    observer: Observer,
    begin: Callable[[], None] = lambda: None,
    leave: Callable[[], None] = lambda: None,
) -> EndedRun:
    """Runs a search to its end, or continues it: what the journal holds is not computed again.

    Args:
        plan: The search; for a run that exists, the same one, but for more candidates.
        folder: The run's folder.
        evaluator: What trains.
        execution: How trials are computed; a number stands for so many workers without limits.
        observer: Is told what happens.
        begin: Called once the folder is ours alone and the plan is known to be the run's, before the first trial.
        leave: Called before a second signal ends the process at once.

    Raises:
        Stopped: Ctrl-C, SIGTERM or SIGUSR1; the run can be continued.
        SearchStateError: The folder is another driver's or cannot be written, Ray does not start, or see `drive`.
        FileFormatError: The journal is damaged.
        ConfigError: A trial was planned with another task than the evaluator has.
    """
    if isinstance(execution, int):
        execution = Execution(workers=execution)
    with folder.locked():
        exists = folder.journal_path.is_file()
        journal = Journal.open(folder.journal_path) if exists else Journal.create(folder.journal_path)
        try:
            note_identity(journal, plan)
            begin()
            return _drive(plan, folder, journal, evaluator, execution, observer, leave)
        except KeyboardInterrupt as error:
            raise Stopped(f"{folder.path}: stopped; every finished trial is kept.") from error
        finally:
            journal.close()


def _drive(
    plan: SearchPlan,
    folder: RunFolder,
    journal: Journal,
    evaluator: TrialEvaluator,
    execution: Execution,
    observer: Observer,
    leave: Callable[[], None],
) -> EndedRun:
    evolution = Evolution(plan)

    def rebuild(files: ViewFiles) -> None:
        read_journal(folder, journal, curves=False).write_views(files)

    views = LiveViews(folder, journal, evolution, observer, rebuild)
    interrupts = Interrupts(leave)
    with interrupts.caught():
        executor = make_executor(evaluator, execution)
        interrupts.take()  # in case Ray has taken one for itself all the same
        try:
            if execution.workers is None and (text := short_lookahead(plan.lookahead, executor.num_slots)):
                _logger.warning("%s", text)
            # in this process a trial cannot be waited for and watched at once: there a signal ends it
            with nullcontext() if isinstance(executor, SerialExecutor) else interrupts.noted():
                answering = RecordedExecutor(executor, execution.recorded)
                with closing(answering):
                    group = grouping_of(evaluator)
                    drive(evolution, journal, answering, views, views.bring_up_to_date, interrupts, execution, group)
        finally:
            with interrupts.ignored():
                executor.close()
                table = views.close()
    tasks = tuple(task.name for task in plan.tasks)
    return EndedRun(folder.path, tasks, table.knowledge, table.summary, table.step_milliseconds)


def make_executor(evaluator: TrialEvaluator, execution: Execution) -> Executor:
    """Returns what computes trials: on this machine, one at a time, for 0 workers, else by Ray.

    Raises:
        SearchStateError: Ray does not start.
    """
    if execution.workers == 0 and execution.address is None:
        return WatchedExecutor(evaluator, execution.limits) if execution.limits else SerialExecutor(evaluator)
    from archsearch.run.ray_executor import RayExecutor  # loading Ray takes a second that serial runs need not pay

    return RayExecutor(evaluator, execution)
