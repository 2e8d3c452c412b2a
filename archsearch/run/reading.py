"""Reading a run: everything comes from its journal, nothing is computed again."""

import io
import json
from functools import cached_property
from pathlib import Path

import pandas as pd

from archsearch.errors import ConfigError, FileFormatError
from archsearch.graph.cell_graph import CellGraph
from archsearch.run.folder import RunFolder
from archsearch.run.journal import Journal, JournaledTrial
from archsearch.run.views import candidates_frame, leaderboard_frame, summary, to_csv, trials_frame, write_views
from archsearch.search.cost_penalty import NO_PENALTY, CostPenalty
from archsearch.search.knowledge import Knowledge
from archsearch.search.outcome import Examined, StepOutcome
from archsearch.trials.setting import Setting


class Run:
    """What a journal held when it was read.

    Args:
        folder: The run's folder.
        tasks: Names of the tasks that count for fitness.
        list_size: Cells kept in the list.
        trials: The finished trials.
        outcomes: The consumed steps, in order.
        penalty: What a cell's cost takes from its place in the list.
    """

    def __init__(
        self,
        folder: RunFolder,
        tasks: tuple[str, ...],
        list_size: int,
        trials: tuple[JournaledTrial, ...],
        outcomes: tuple[StepOutcome, ...],
        penalty: CostPenalty = NO_PENALTY,
    ) -> None:
        self.folder = folder
        self.path = folder.path
        self.tasks = tasks
        self._list_size = list_size
        self._trials = trials
        self._outcomes = outcomes
        self._penalty = penalty

    @cached_property
    def knowledge(self) -> Knowledge:
        """The fold of all steps consumed."""
        knowledge = Knowledge(self.tasks, self._list_size, penalty=self._penalty)
        for outcome in self._outcomes:
            knowledge = knowledge.fold(outcome)
        return knowledge

    def leaderboard(self) -> pd.DataFrame:
        """Returns the frame that pandas reads from `leaderboard.csv`."""
        return _as_read(leaderboard_frame(self.knowledge, self._trials))

    def trials(self) -> pd.DataFrame:
        """Returns the frame that pandas reads from `trials.csv`."""
        return _as_read(trials_frame(self._outcomes, self._trials))

    def candidates(self) -> pd.DataFrame:
        """Returns the frame that pandas reads from `candidates.csv`."""
        return _as_read(candidates_frame(self._outcomes))

    def summary(self) -> dict[str, object]:
        """Returns the content of `summary.json`."""
        return summary(self.knowledge, self._outcomes, self._trials)

    def write_views(self) -> None:
        """Writes the files that show the run."""
        write_views(self.folder, self.knowledge, self._outcomes, self._trials)

    def ranked(self, rank: int) -> str:
        """Returns the digest of the cell at a rank, from 1.

        Raises:
            ConfigError: The list is shorter.
        """
        listed = self.knowledge.listed
        if not 1 <= rank <= len(listed):
            raise ConfigError(f"{self.path}: expected rank=1 to {len(listed)}, got {rank}.")
        return listed[rank - 1][1]

    def cell(self, digest: str) -> CellGraph:
        """Returns a cell that the run met, listed or not.

        Raises:
            ConfigError: The run met no such cell.
        """
        for outcome in self._outcomes:
            for introduced in outcome.cells:
                if introduced.digest == digest:
                    return introduced.graph
        raise ConfigError(f"{self.path}: expected a cell of this run, got '{digest}'. See cell in candidates.csv.")

    def best_setting(self, digest: str, task: str) -> Setting:
        """Returns the setting with which a cell did best on a task.

        Raises:
            ConfigError: The cell has no accuracy on the task.
        """
        record = self.knowledge.cells.get(digest)
        ranked = record.history(task).ranked() if record else []
        if not ranked:
            raise ConfigError(f"{self.path}: cell '{digest}' has no accuracy on task '{task}' in this run.")
        return ranked[0][1]


def _as_read(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(to_csv(frame)))


def load_run(path: str | Path) -> Run:
    """Reads a run's folder.

    Raises:
        SearchStateError: It is no folder of a run.
        FileFormatError: Its journal is damaged.
    """
    folder = RunFolder.open(Path(path))
    journal = Journal.open(folder.journal_path, read_only=True)
    try:
        return read_journal(folder, journal)
    finally:
        journal.close()


def read_journal(folder: RunFolder, journal: Journal) -> Run:
    """Reads a run from an open journal.

    Raises:
        FileFormatError: It is damaged.
    """
    trials = tuple(journal.trials())
    examined = {
        trial.key: Examined(trial.key, trial.cell, trial.task, trial.setting, trial.result, trial.max_steps)
        for trial in trials
    }
    try:
        outcomes = tuple(StepOutcome.from_record(record, examined) for record in journal.step_records())
    except FileFormatError as error:
        raise FileFormatError(f"{folder.journal_path}: a row is damaged; {error}.") from error
    try:
        tasks = tuple(json.loads(journal.about("tasks") or "[]"))
        list_size = int(journal.about("list_size") or "")
        penalty = CostPenalty(**json.loads(journal.about("penalty") or "{}"))
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"{folder.journal_path}: expected the names of the run's tasks, found none.") from error
    if not tasks or not all(isinstance(task, str) for task in tasks):
        raise FileFormatError(f"{folder.journal_path}: expected the names of the run's tasks, found {tasks!r}.")
    return Run(folder, tasks, list_size, trials, outcomes, penalty)
