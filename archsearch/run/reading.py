"""Reading a run: everything comes from its journal, nothing is computed again."""

import io
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from archsearch.drawing.picture import Picture
from archsearch.errors import ConfigError, FileFormatError
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.difference import find_difference
from archsearch.run.folder import RunFolder
from archsearch.run.journal import Journal, JournaledTrial
from archsearch.run.progress import founder_fitnesses, progress_frame
from archsearch.run.views import candidates_frame, leaderboard_frame, summary, to_csv, trials_frame, write_views
from archsearch.search.knowledge import Knowledge
from archsearch.search.outcome import Examined, StepOutcome
from archsearch.trials.setting import Setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Run:
    """What a journal held when it was read.

    Args:
        folder: The run's folder.
        tasks: Names of the tasks that count for fitness.
        list_size: Cells kept in the list.
        trials: The finished trials.
        outcomes: The consumed steps, in order.
        about: What the journal says of the run itself, such as the version that made it.
    """

    def __init__(
        self,
        folder: RunFolder,
        tasks: tuple[str, ...],
        list_size: int,
        trials: tuple[JournaledTrial, ...],
        outcomes: tuple[StepOutcome, ...],
        about: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.path = folder.path
        self.tasks = tasks
        self._list_size = list_size
        self._trials = trials
        self._outcomes = outcomes
        self.about: Mapping[str, str] = about or {}

    @property
    def outcomes(self) -> tuple[StepOutcome, ...]:
        """The consumed steps, in order."""
        return self._outcomes

    @property
    def journaled_trials(self) -> tuple[JournaledTrial, ...]:
        """The finished trials, in the order in which they were kept."""
        return self._trials

    @cached_property
    def knowledge(self) -> Knowledge:
        """The fold of all steps consumed."""
        knowledge = self._empty_knowledge()
        for _, folded in self.folds():
            knowledge = folded
        return knowledge

    def folds(self) -> Iterator[tuple[StepOutcome, Knowledge]]:
        """Yields each consumed step with what was known after it, in order."""
        knowledge = self._empty_knowledge()
        for outcome in self._outcomes:
            knowledge = knowledge.fold(outcome)
            yield outcome, knowledge

    def _empty_knowledge(self) -> Knowledge:
        return Knowledge(self.tasks, self._list_size)

    def leaderboard(self) -> pd.DataFrame:
        """Returns the frame that pandas reads from `leaderboard.csv`."""
        return _as_read(leaderboard_frame(self.knowledge, self._trials))

    def trials(self) -> pd.DataFrame:
        """Returns the frame that pandas reads from `trials.csv`."""
        return _as_read(trials_frame(self._outcomes, self._trials))

    def candidates(self) -> pd.DataFrame:
        """Returns the frame that pandas reads from `candidates.csv`."""
        return _as_read(candidates_frame(self._outcomes))

    def confirmation(self) -> pd.DataFrame | None:
        """Returns the frame of `confirmation.csv`, which `archsearch confirm` writes; None if there is none.

        Raises:
            FileFormatError: The file is no such table.
        """
        path = self.folder.confirmation_path
        if not path.is_file():
            return None
        try:
            frame = pd.read_csv(path)
        except (ValueError, OSError) as error:
            raise FileFormatError(f"{path}: expected the table of a confirmation, got {error}.") from error
        if missing := {"cell", "verdict", "fitness", "fitness_low", "fitness_high"}.difference(frame.columns):
            raise FileFormatError(f"{path}: expected the table of a confirmation, found no {', '.join(missing)}.")
        return frame

    def summary(self) -> dict[str, object]:
        """Returns the content of `summary.json`."""
        return summary(self.knowledge, self._outcomes, self._trials)

    def progress(self) -> pd.DataFrame:
        """Returns how the search went, one row per step; see `progress_frame`."""
        return _as_read(progress_frame(self.folds()))

    def plot_progress(self, against: str = "candidates", axes: "Axes | None" = None) -> "Axes":
        """Draws the best fitness against what was spent, with matplotlib; a notebook shows it by itself.

        Args:
            against: `candidates`, `trials` or `training_seconds` (of all workers together).
            axes: Where to draw; None for a new figure.
        """
        from archsearch.run.progress_plot import plot_progress  # matplotlib is slow to load

        return plot_progress(self.progress(), founder_fitnesses(self.knowledge), against, axes)

    def draw(self, cell: str | int) -> Picture:
        """Returns a picture of a cell, what differs from its parent marked; notebooks show it by themselves.

        Args:
            cell: Its id, a founder's name, or its rank, from 1.

        Raises:
            ConfigError: The run met no such cell.
        """
        digest = self.ranked(cell) if isinstance(cell, int) else self._founders_by_name.get(cell, cell)
        graph = self.cell(digest)
        record = self.knowledge.cells.get(digest)
        if record is None or not record.parent:
            return Picture(graph)
        difference = find_difference(self.cell(record.parent), graph)
        return Picture(difference.after, difference.changed_after)

    @cached_property
    def _founders_by_name(self) -> dict[str, str]:
        return {self.knowledge.cells[digest].name: digest for digest in self.knowledge.founders}

    @cached_property
    def _graphs(self) -> dict[str, CellGraph]:
        """The canonical graph of each cell met."""
        return {cell.digest: cell.graph for outcome in self._outcomes for cell in outcome.cells}

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
        if digest not in self._graphs:
            raise ConfigError(f"{self.path}: expected a cell of this run, got '{digest}'. See cell in candidates.csv.")
        return self._graphs[digest]

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
    examined = {trial.key: Examined(trial.key, trial.cell, trial.task, trial.setting, trial.result) for trial in trials}
    try:
        outcomes = tuple(StepOutcome.from_record(record, examined) for record in journal.step_records())
    except FileFormatError as error:
        raise FileFormatError(f"{folder.journal_path}: a row is damaged; {error}.") from error
    try:
        tasks = tuple(json.loads(journal.about("tasks") or "[]"))
        list_size = int(journal.about("list_size") or "")
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"{folder.journal_path}: expected the names of the run's tasks, found none.") from error
    if not tasks or not all(isinstance(task, str) for task in tasks):
        raise FileFormatError(f"{folder.journal_path}: expected the names of the run's tasks, found {tasks!r}.")
    about = {name: journal.about(name) or "" for name in ("made_by", "continued_by")}
    return Run(folder, tasks, list_size, trials, outcomes, about)
