"""Reading a run: everything comes from its journal, nothing is computed again."""

import io
import json
import logging
import operator
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, SupportsIndex

import pandas as pd

from archsearch.drawing.picture import Picture
from archsearch.errors import ConfigError, FileFormatError, SearchStateError
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.difference import find_difference
from archsearch.run.account import Account
from archsearch.run.confirmation_file import read_confirmation
from archsearch.run.folder import RunFolder
from archsearch.run.journal import Journal, JournaledTrial
from archsearch.run.journal_file import damaged
from archsearch.run.live_views import write_views
from archsearch.run.progress import founder_fitnesses, progress_frame
from archsearch.run.view_files import ViewFiles, are_whole, read_digests
from archsearch.run.views import candidates_frame, in_order, leaderboard_frame, to_csv, trials_frame
from archsearch.search.cost_penalty import NO_PENALTY, CostPenalty
from archsearch.search.knowledge import Knowledge
from archsearch.search.outcome import Examined, StepOutcome
from archsearch.trials.setting import Setting
from archsearch.trials.task import is_task_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_logger = logging.getLogger(__name__)

Curve = tuple[tuple[int, float, float], ...]
"""Step, mean training loss, validation value; see `TrialResult`."""


class Run:
    """What a journal held when it was read.

    Args:
        folder: The run's folder.
        tasks: Names of the tasks that count for fitness.
        list_size: Cells kept in the list.
        trials: The finished trials.
        outcomes: The consumed steps, in order.
        about: What the journal says of the run itself, such as the version that made it.
        penalty: What a cell's cost takes from its place in the list.
    """

    def __init__(
        self,
        folder: RunFolder,
        tasks: tuple[str, ...],
        list_size: int,
        trials: tuple[JournaledTrial, ...],
        outcomes: tuple[StepOutcome, ...],
        about: Mapping[str, str] | None = None,
        penalty: CostPenalty = NO_PENALTY,
    ) -> None:
        self.folder = folder
        self.path = folder.path
        self.tasks = tasks
        self._list_size = list_size
        self._trials = trials
        self._outcomes = outcomes
        self.about: Mapping[str, str] = about or {}
        self._penalty = penalty

    @property
    def journaled_trials(self) -> tuple[JournaledTrial, ...]:
        """The finished trials, in the order in which they were kept."""
        return self._trials

    @property
    def outcomes(self) -> tuple[StepOutcome, ...]:
        """The consumed steps, in order."""
        return self._outcomes

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
        return Knowledge(self.tasks, self._list_size, penalty=self._penalty)

    def leaderboard(self) -> pd.DataFrame:
        """Returns the frame that pandas reads from `leaderboard.csv`."""
        return _as_read(leaderboard_frame(self.knowledge, self._account))

    def trials(self) -> pd.DataFrame:
        """Returns the frame that pandas reads from `trials.csv`."""
        return _as_read(trials_frame(in_order(self._outcomes, self._trials)))

    def candidates(self) -> pd.DataFrame:
        """Returns the frame that pandas reads from `candidates.csv`."""
        return _as_read(candidates_frame(self._outcomes))

    def confirmation(self) -> pd.DataFrame | None:
        """Returns the frame of `confirmation.csv`, which `archsearch confirm` writes; None if there is none.

        Raises:
            FileFormatError: The file is no such table.
        """
        return read_confirmation(self.folder)

    def summary(self) -> dict[str, object]:
        """Returns the content of `summary.json`."""
        return self._account.summary(self.knowledge)

    @property
    def step_milliseconds(self) -> Mapping[str, float]:
        """Time of a training step of the listed cells of which it is known, by digest."""
        return self._account.step_milliseconds(self.knowledge)

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

    def curves(self, keys: Iterable[str]) -> dict[str, Curve]:
        """Returns the learning curves of trials by key, from the journal: most readers of a run want a few of them.

        Raises:
            FileFormatError: The journal is damaged.
        """
        with closing(Journal.open(self.folder.journal_path, read_only=True)) as journal:
            results = {key: journal.result(key) for key in keys}
        return {key: result.curve for key, result in results.items() if result is not None}

    def draw(self, cell: str | SupportsIndex) -> Picture:
        """Returns a picture of a cell, what differs from its parent marked; notebooks show it by themselves.

        Args:
            cell: Its id, a founder's name, or its rank, from 1.

        Raises:
            ConfigError: The run met no such cell, or the rank is no whole number.
        """
        digest = self._founders_by_name.get(cell, cell) if isinstance(cell, str) else self.ranked(cell)
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

    def write_views(self, files: ViewFiles) -> None:
        """Writes the files that show the run.

        Raises:
            OSError: The disk does not take them.
            SearchStateError: The journal cannot be written.
        """
        trials = to_csv(trials_frame(in_order(self._outcomes, self._trials)))
        candidates = to_csv(candidates_frame(self._outcomes))
        write_views(files, self.knowledge, self._account, [trials.encode()], [candidates.encode()])

    @cached_property
    def _account(self) -> Account:
        account = Account()
        for outcome in self._outcomes:
            account.add(outcome)
        return account

    def ranked(self, rank: SupportsIndex) -> str:
        """Returns the digest of the cell at a rank, from 1; numbers out of the leaderboard's DataFrame are ranks, too.

        Raises:
            ConfigError: The list is shorter, or the rank is no whole number.
        """
        try:
            number = operator.index(rank)
        except TypeError:
            raise ConfigError(f"{self.path}: expected a whole number for a rank, got {ascii(rank)[:80]}.") from None
        listed = self.knowledge.listed
        if not listed:
            raise ConfigError(
                f"{self.path}: expected rank={number} of the leaderboard, but nothing is ranked before the founders "
                f"have results. Go on with archsearch resume run={self.path}."
            )
        if not 1 <= number <= len(listed):
            raise ConfigError(f"{self.path}: expected rank=1 to {len(listed)}, got {number}.")
        return listed[number - 1][1]

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
            ConfigError: The cell has no result on the task.
        """
        record = self.knowledge.cells.get(digest)
        ranked = record.history(task).ranked() if record else []
        if not ranked:
            raise ConfigError(f"{self.path}: cell '{digest}' has no result on task '{task}' in this run.")
        return ranked[0][1]


def _as_read(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(to_csv(frame)))


def load_run(path: str | Path, *, curves: bool = True) -> Run:
    """Reads a run's folder, also while a search writes there.

    Args:
        path: The folder.
        curves: Whether trials come with their curves, which take most of the time and the memory of a long run.

    Raises:
        SearchStateError: It is no folder of a run.
        FileFormatError: Its journal is damaged.
    """
    folder = RunFolder.open(Path(path))
    journal = Journal.open(folder.journal_path, read_only=True)
    try:
        return read_journal(folder, journal, curves=curves)
    finally:
        journal.close()


def restore_views(run: Run) -> None:
    """Writes the views of a run anew if one is missing or not as it was written last.

    Where a search works on the run, or nothing can be written, they stay as they are.
    """
    folder = run.folder
    try:
        with closing(Journal.open(folder.journal_path, read_only=True)) as journal:
            if are_whole(folder.path, read_digests(journal)):
                return
        with folder.locked(), closing(Journal.open(folder.journal_path)) as journal:
            run.write_views(ViewFiles(folder, journal))
    except (SearchStateError, OSError) as error:
        _logger.warning("archsearch: the files that show the run are not up to date and cannot be written: %s", error)


def read_journal(folder: RunFolder, journal: Journal, *, curves: bool = True) -> Run:
    """Reads a run from an open journal.

    Raises:
        FileFormatError: It is damaged.
    """
    # steps first: what they consumed was kept before them, also where a search writes meanwhile
    records = tuple(journal.step_records())
    trials = tuple(journal.trials(curves=curves))
    examined = {
        trial.key: Examined(trial.key, trial.cell, trial.task, trial.setting, trial.result, trial.max_steps)
        for trial in trials
    }
    try:
        outcomes = tuple(StepOutcome.from_record(record, examined) for record in records)
    except FileFormatError as error:
        raise damaged(folder.journal_path, error) from error
    keys = Counter(entry.key for outcome in outcomes for entry in outcome.examined)
    if keys and max(keys.values()) > 1:
        raise damaged(folder.journal_path, f"trial {keys.most_common(1)[0][0]} is consumed twice")
    try:
        tasks = tuple(json.loads(journal.about("tasks") or "[]"))
        list_size = int(journal.about("list_size") or "")
        penalty = CostPenalty(**json.loads(journal.about("penalty") or "{}"))
    except (TypeError, ValueError) as error:
        raise damaged(folder.journal_path, "the names of the run's tasks are missing") from error
    if not tasks or not all(isinstance(task, str) and is_task_name(task) for task in tasks):
        raise damaged(folder.journal_path, f"expected the names of the run's tasks, found {tasks!r}")
    about = {name: journal.about(name) or "" for name in ("made_by", "continued_by")}
    return Run(folder, tasks, list_size, trials, outcomes, about, penalty)
