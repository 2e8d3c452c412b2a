"""What `search` and `resume` share: the cost said first, the sitting itself, the leaderboard at the end."""

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from archsearch.cli.configuration_files import own_folder, own_folder_words
from archsearch.cli.exits import DONE, INTERRUPTED, LateError
from archsearch.cli.planning import PlannedSearch
from archsearch.cli.tables import print_leaderboard
from archsearch.errors import ArchSearchError
from archsearch.run.display import make_display
from archsearch.run.driver import Observer
from archsearch.run.estimate import cost_of_beginning_again, estimate_cost, short_lookahead
from archsearch.run.folder import RunFolder
from archsearch.run.session import EndedRun, Stopped, run_search
from archsearch.run.simple_predictors_file import keep_simple_predictors
from archsearch.search.evolution import Evolution
from archsearch.search.outcome import COMPLETED, EXHAUSTED, IN_FLIGHT, KNOWN, NOTHING_NEW, StepOutcome
from archsearch.search.plan import TaskPlan
from archsearch.training.evaluate_population import POPULATION_ENGINES
from archsearch.training.training_speed import measure_training_speed
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Trial, TrialResult


def warn_of_short_lookahead(planned: PlannedSearch) -> None:
    """Says so if workers will wait for each other; those of a cluster are counted when it is joined."""
    if planned.workers is not None and (text := short_lookahead(planned.plan.lookahead, planned.workers)):
        print(text, file=sys.stderr)


def print_cost(planned: PlannedSearch) -> None:
    """Says what was repaired in the data, and what the search will take."""
    for name, task in planned.tasks.items():
        for note in task.notes():
            print(f"note: {name}: {note}")
    seconds = measure_trial_seconds(planned, planned.plan.all_tasks)
    print(estimate_cost(planned.plan, seconds, planned.workers), flush=True)
    if planned.plan.strategy.rungs and planned.evaluator.engine in POPULATION_ENGINES:
        more = 100 * (cost_of_beginning_again(planned.plan) - 1)
        print(
            f"note: engine={planned.evaluator.engine} trains each rung from its beginning, {more:.0f} % more steps in "
            "all than engine=native: a population cannot go on from checkpoints of other ones (docs/populations.md).",
            flush=True,
        )


def measure_trial_seconds(planned: PlannedSearch, tasks: Iterable[TaskPlan]) -> dict[str, float]:
    """Trains the baseline for a few steps on each task and returns the seconds of a whole trial."""
    plan, seconds = planned.plan, {}
    for task in tasks:
        speed = measure_training_speed(
            planned.tasks[task.name],
            plan.baseline.graph,
            _middle(task),
            plan.recipe,
            planned.evaluator.engine,
            num_members=_members(planned, task),
        )
        seconds[task.name] = speed.trial_seconds(task.max_steps)
    return seconds


def run_to_end(
    planned: PlannedSearch, folder: RunFolder, *, says_cost: bool, begin: Callable[[], None] = lambda: None
) -> int:
    """Runs or continues a search, ends with its leaderboard and returns the exit code.

    Args:
        planned: The search.
        folder: The run's folder.
        says_cost: Whether to say first what it will cost.
        begin: Called once the folder is ours alone and the search is known to be the run's.

    Raises:
        LateError: Something failed after the first trial.
        ArchSearchError: Something was wrong before.
    """
    try:
        if says_cost:
            print_cost(planned)
        run = _run_with_display(planned, folder, partial(_begin, planned, folder, begin))
    except (Stopped, KeyboardInterrupt):  # the latter before the search could begin
        print(f"Stopped; every finished trial is kept. Go on with:\n  {resume_command(folder)}")
        return INTERRUPTED
    except BrokenPipeError as error:
        raise LateError(
            f"{folder.path}: stopped, since what reads the output was closed; every finished trial is kept. "
            f"Go on with: {resume_command(folder)}"
        ) from error
    print_end(run, planned.plan.num_candidates)
    return DONE


def _begin(planned: PlannedSearch, folder: RunFolder, begin: Callable[[], None]) -> None:
    begin()
    keep_simple_predictors(folder, planned.tasks)


def _run_with_display(planned: PlannedSearch, folder: RunFolder, begin: Callable[[], None]) -> EndedRun:
    display = make_display(planned.plan, planned.workers)
    try:
        with _late_after_first_trial(display, folder) as observer:
            leave = _leaving(folder)
            return run_search(planned.plan, folder, planned.evaluator, planned.execution, observer, begin, leave)
    finally:
        display.close()


def _leaving(folder: RunFolder) -> Callable[[], None]:
    """Returns what is said when a second signal ends the process; written past all buffers, which it may be in."""
    text = f"\narchsearch: left at once; every finished trial is kept. Go on with:\n  {resume_command(folder)}\n"
    shown_cursor = "\x1b[?25h" if sys.stdout.isatty() else ""

    def leave() -> None:
        with suppress(OSError):
            os.write(2, (shown_cursor + text).encode())

    return leave


def resume_command(folder: RunFolder) -> str:
    """Returns the command that continues a run."""
    return f"{program()} resume {shlex.quote(f'run={folder.path}')}"


def program() -> str:
    """Returns how to call this tool from where the user stands: by its name only if the shell would find it.

    A folder of tasks that was named is named again.
    """
    name = "archsearch" if shutil.which("archsearch") else shlex.quote(sys.argv[0])
    return shlex.join([name, *own_folder_words()]) if own_folder() else name


def print_end(run: EndedRun, num_candidates: int) -> None:
    """Prints the leaderboard, where it is, and what to do next."""
    print_leaderboard(run, top=20)
    print(account(run.summary))
    found = [digest for _, digest in run.knowledge.listed if digest not in run.knowledge.founders]
    where = shlex.quote(f"run={run.path}")
    print("Next:")
    print(f"  {program()} report {where}")
    if found:
        print(f"  {program()} show cell={found[0]} {where}")
        print(f"  {program()} export cell={found[0]} {where} out=exported")
        print(f"  {program()} confirm {where}")
    print(f"  {program()} resume {where} budget.candidates={2 * num_candidates}")


def account(summary: Mapping[str, Any]) -> str:
    """Returns what became of the candidates and of the trials, and what the duplicates would have cost, in one line."""
    stages = dict(summary["stages"])
    passed, nothing_new = stages.pop(COMPLETED, 0), stages.pop(NOTHING_NEW, 0)
    parts = [f"{summary['candidates']} candidates"]
    parts += [f"{count} fell at {stage}" for stage, count in stages.items()] + [f"{passed} passed every gate"]
    parts += [f"{nothing_new} times nothing new was found"] if nothing_new else []
    parts += [f"{summary['reevaluations']} re-evaluations"]
    statuses = ", ".join(f"{count} {status}" for status, count in summary["statuses"].items())
    duplicates = summary["duplicates"]
    num_duplicates = sum(duplicates["dropped"].get(reason, 0) for reason in (KNOWN, IN_FLIGHT, EXHAUSTED))
    recorded = summary.get("recorded_in_other_runs")
    copied = f", {recorded} of them recorded in other runs" if recorded else ""
    return (
        f"{', '.join(parts)}; {summary['trials']} trials ({statuses}){copied}; {num_duplicates} duplicates drawn, "
        f"which would have cost {duplicates['trials_saved']} more."
    )


def _members(planned: PlannedSearch, task: TaskPlan) -> int:
    """Returns about how many trials of a stage train together where the engine trains populations."""
    alike = -(-task.num_settings // len(task.space.num_layers))
    return min(alike, planned.evaluator.populations.members or alike)


def _middle(task: TaskPlan) -> Setting:
    """Returns the middle value of each coordinate."""
    space = task.space
    return Setting(
        _median(space.init_scales),
        _median(space.learning_rates),
        _median(space.max_gradient_norms),
        int(_median(space.num_layers)),
        int(_median(space.max_parameters)),
    )


def _median(values: tuple[float, ...]) -> float:
    return sorted(values)[len(values) // 2]


@contextmanager
def _late_after_first_trial(observer: Observer, folder: RunFolder) -> Iterator[Observer]:
    """Turns errors that come after a trial was computed into `LateError`, which says how to go on."""
    noting = _NotesFirstTrial(observer)
    try:
        yield noting
    except Stopped:
        raise
    except ArchSearchError as error:
        if noting.has_trained:
            what = str(error).removesuffix(".")
            go_on = f"Once its cause is gone, the run goes on from what is kept: {resume_command(folder)}"
            raise LateError(f"{what}. {go_on}") from error
        raise


class _NotesFirstTrial:
    """Passes everything on and knows whether a trial was computed."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.has_trained = False

    def trial_answered(self, trial: Trial, result: TrialResult, *, recorded: bool) -> None:
        self.has_trained = self.has_trained or not (recorded or result.recorded_in)
        self._observer.trial_answered(trial, result, recorded=recorded)

    def step_consumed(self, outcome: StepOutcome, evolution: Evolution) -> None:
        self._observer.step_consumed(outcome, evolution)

    def refresh(self, num_in_flight: int, num_waiting: int) -> None:
        self._observer.refresh(num_in_flight, num_waiting)
