"""Answers out of other runs: a trial with the same key was the same training, so it need not be done again."""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from archsearch.errors import ArchSearchError, ConfigError
from archsearch.run.executor import Executor
from archsearch.run.folder import RunFolder
from archsearch.run.journal import Journal
from archsearch.run.unit import Finished, Unit
from archsearch.search.plan import SearchPlan
from archsearch.trials.trial import RECORDED_IN, Status, Trial, TrialResult

# Of the key alone; what a limit, a crash or a lost worker left behind would come out otherwise elsewhere, and what an
# exception did may come of a full disk or of a bug that is mended by now: it fails again at once if it does not.
DETERMINED: frozenset[Status] = frozenset({"ok", "diverged"})


@dataclass(frozen=True)
class Found:
    """What another run can answer.

    Attributes:
        path: Its folder.
        num_trials: Its finished trials.
        num_fitting: Those of a task, a recipe, a length and a seed that the search has, too.
    """

    path: Path
    num_trials: int
    num_fitting: int

    def __str__(self) -> str:
        text = f"{self.path}: {self.num_trials:,} recorded trials, {self.num_fitting:,} of them of this search's kind"
        if self.num_fitting:
            return f"{text}; equal ones are not trained again."
        return (
            f"{text}, so everything is trained. Trials are equal where seed, recipe and max_steps are, and the tasks "
            f"in settings, data and code version."
        )


def look_into(paths: Sequence[Path], plan: SearchPlan, own: Path | None = None) -> tuple[Found, ...]:
    """Reads the journals of other runs to their ends; they may be of an older version, at work, or read-only.

    Args:
        paths: Folders of runs.
        plan: The search that is to be answered.
        own: The folder of its own run.

    Raises:
        ConfigError: One is no folder of a run, is damaged, or is the run itself.
    """
    return tuple(_look_into(path, plan, own) for path in paths)


def _look_into(path: Path, plan: SearchPlan, own: Path | None) -> Found:
    if own is not None and path.resolve() == own.resolve():
        raise ConfigError(f"recorded: {path} is the run itself, which knows its own trials. Name other runs.")
    kinds = {
        (f"{task.name}-{task.digest}", f"recipe-{plan.recipe.digest}", f"seed-{plan.root_seed}")
        for task in plan.all_tasks
    }
    counts: Counter[bool] = Counter()
    try:
        journal = Journal.open(RunFolder.open(path).journal_path, read_only=True)
        try:
            for trial in journal.trials(curves=False):
                parts = trial.key.split("/")
                fits = len(parts) == 7 and (parts[1], parts[2], parts[6]) in kinds  # as `Trial.key` writes them
                counts[fits and trial.result.status in DETERMINED] += 1
        finally:
            journal.close()
    except (ArchSearchError, OSError, ValueError) as error:  # the last two where it is no path that can be
        raise ConfigError(f"recorded: {error} Name the folders of whole runs, or leave recorded out.") from error
    return Found(path, counts.total(), counts[True])


class RecordedExecutor:
    """Answers a trial from other runs where one of them holds its key, and leaves all others to an executor.

    What it answers is kept in the run's own journal like any trial, marked with where it comes from, so that the run
    needs the others no more.

    Args:
        executor: Computes the rest.
        paths: Folders of runs, which are only read; the first that knows a key answers.
    """

    def __init__(self, executor: Executor, paths: Sequence[Path]) -> None:
        self._executor = executor
        self._answered: list[Finished] = []
        self._found: dict[str, TrialResult] = {}
        self._stack = ExitStack()
        self._journals: list[tuple[Path, Journal]] = []
        try:
            for path in paths:
                journal = Journal.open(RunFolder.open(path).journal_path, read_only=True)
                self._stack.callback(journal.close)
                self._journals.append((path, journal))
        except ArchSearchError:
            self._stack.close()
            raise

    @property
    def num_slots(self) -> int:
        """Units that may be in flight at once."""
        return self._executor.num_slots

    def submit(self, unit: Unit) -> None:
        """Looks the trials up; a unit of which no run knows one is begun."""
        found = {trial.key: result for trial in unit if (result := self._recorded(trial)) is not None}
        if len(found) == len(unit):
            self._answered.append((unit, tuple(found[trial.key] for trial in unit)))
            return
        self._found |= found
        self._executor.submit(unit)

    def wait(self, timeout_seconds: float) -> list[Finished]:
        """Returns what was found, or else what has finished within the time."""
        answered, self._answered = self._answered, []
        return answered or list(map(self._with_found, self._executor.wait(timeout_seconds)))

    def collect(self) -> list[Finished]:
        """Returns what was found or has finished by now."""
        answered, self._answered = self._answered, []
        return [*answered, *map(self._with_found, self._executor.collect())]

    def _with_found(self, finished: Finished) -> Finished:
        """Puts the results that were found in the place of those of the same trials, trained along with others."""
        unit, results = finished
        pairs = zip(unit, results, strict=True)
        return unit, tuple(self._found.pop(trial.key, result) for trial, result in pairs)

    def close(self) -> None:
        """Closes the other journals; the executor is its owner's to close."""
        self._stack.close()

    def _recorded(self, trial: Trial) -> TrialResult | None:
        for path, journal in self._journals:
            result = journal.result(trial.key)
            if result is not None and result.status in DETERMINED:
                return replace(result, environment={**result.environment, RECORDED_IN: str(path)})
        return None
