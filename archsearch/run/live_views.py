"""The views of a search that runs: made of what it says step by step, so that no journal is read again for them."""

import json
import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from typing import Any, Generic, TypeVar

import pandas as pd

from archsearch.errors import ArchSearchError
from archsearch.run.account import Account
from archsearch.run.driver import Observer, without_curve
from archsearch.run.folder import RunFolder
from archsearch.run.journal import Journal, JournaledTrial
from archsearch.run.view_files import ViewFiles
from archsearch.run.views import candidates_frame, leaderboard_frame, to_csv, trials_frame
from archsearch.search.evolution import Evolution
from archsearch.search.knowledge import Knowledge
from archsearch.search.outcome import StepOutcome
from archsearch.trials.trial import Trial, TrialResult

SECONDS_BETWEEN_VIEWS = 20.0
SHARE_OF_TIME_FOR_VIEWS = 0.02
ROWS_AT_ONCE = 2000
BLOCK_BYTES = 1 << 20

_logger = logging.getLogger(__name__)
_Row = TypeVar("_Row")


class Spool(Generic[_Row]):
    """The text of a table that only grows, in a file that nobody sees and that ends with the process.

    Args:
        folder: Where there is space for it.
        frame: Makes a table of rows.
    """

    def __init__(self, folder: RunFolder, frame: Callable[[Iterable[_Row]], pd.DataFrame]) -> None:
        self._folder = folder
        self._frame = frame
        self._rows: list[_Row] = []
        self._opened: FileIO | None = None
        self._num_bytes = 0  # that are whole; a disk may have taken some more

    def add(self, row: _Row) -> None:
        """Adds a row."""
        self._rows.append(row)
        if len(self._rows) >= ROWS_AT_ONCE:
            self._write()

    def pieces(self, last_rows: Iterable[_Row] = ()) -> Iterator[bytes]:
        """Yields the whole text, with rows after it that are not kept."""
        self._write()
        file = self._file()
        file.seek(0)
        while block := file.read(BLOCK_BYTES):
            yield block
        yield self._text(last_rows)

    def close(self) -> None:
        """Gives the space back."""
        if self._opened is not None:
            with suppress(OSError):  # what a full disk did not take is given up with the file
                self._opened.close()

    def _file(self) -> FileIO:
        if self._opened is None:  # without a buffer, in which would stay what a full disk did not take
            self._opened = tempfile.TemporaryFile(dir=self._folder.path, buffering=0)  # noqa: SIM115 - open as long as the search
        return self._opened

    def _write(self) -> None:
        if not self._num_bytes:
            self._append(to_csv(self._frame(())).encode())
        if self._rows:
            self._append(self._text(self._rows))
            self._rows = []

    def _append(self, text: bytes) -> None:
        """Writes text at the end of what is whole, all of it or, for the table, none."""
        file = self._file()
        file.truncate(self._num_bytes)
        file.seek(self._num_bytes)
        left = memoryview(text)
        while left:
            left = left[file.write(left) :]
        self._num_bytes += len(text)

    def _text(self, rows: Iterable[_Row]) -> bytes:
        return to_csv(self._frame(rows)).partition("\n")[2].encode()


@dataclass(frozen=True)
class Table:
    """What became of a search, in numbers."""

    knowledge: Knowledge
    summary: dict[str, Any]
    step_milliseconds: dict[str, float]


class LiveViews:
    """An observer that passes everything on and rewrites the views now and then, and at the end.

    A view that cannot be written ends no search: the journal holds everything, and views are made of it any time.
    The pause between two times grows with what the last one took. While a resumed search goes again through what the
    journal holds, the views on the disk know more and stay. Where the journal holds in the end what was not heard, as
    after an interrupt in the midst of a commit, the views are made of the journal.

    Args:
        folder: The run's folder, locked.
        journal: Open for writing.
        evolution: The search.
        observer: Who else is told what happens.
        rebuild: Makes the views from the journal alone, whatever was heard.
    """

    def __init__(
        self,
        folder: RunFolder,
        journal: Journal,
        evolution: Evolution,
        observer: Observer,
        rebuild: Callable[[ViewFiles], None],
    ) -> None:
        self._journal = journal
        self._evolution = evolution
        self._observer = observer
        self._rebuild = rebuild
        self._files = ViewFiles(folder, journal)
        self._account = Account()
        self._pending: dict[str, JournaledTrial] = {}
        self._trials = Spool[tuple[int | None, JournaledTrial]](folder, trials_frame)
        self._candidates = Spool[StepOutcome](folder, candidates_frame)
        self._num_kept_before = self._num_kept()
        self._num_heard = (0, 0)  # steps and trials
        self._knowledge = evolution.knowledge  # of the steps below, however far the search has come since
        self._num_known = 0
        self._is_whole = True
        self._has_warned = False
        self._due = time.monotonic() + SECONDS_BETWEEN_VIEWS

    def trial_answered(self, trial: Trial, result: TrialResult, *, recorded: bool) -> None:
        """Notes the trial."""
        num_steps, num_trials = self._num_heard
        self._num_heard = num_steps, num_trials + 1
        kept = without_curve(result)  # thousands may wait for their step
        self._pending[trial.key] = JournaledTrial(
            trial.key, trial.cell, trial.task, trial.setting, trial.replicate, trial.max_steps, kept
        )
        self._observer.trial_answered(trial, result, recorded=recorded)

    def step_consumed(self, outcome: StepOutcome, evolution: Evolution) -> None:
        """Notes the step."""
        num_steps, num_trials = self._num_heard
        self._num_heard = num_steps + 1, num_trials
        self._account.add(outcome)
        try:
            for entry in outcome.examined:
                self._trials.add((outcome.number, self._pending.pop(entry.key)))
            self._candidates.add(outcome)
        except OSError as error:
            self._is_whole = False
            self._warn(error)
        self._observer.step_consumed(outcome, evolution)

    def refresh(self, num_in_flight: int, num_waiting: int) -> None:
        """Passes it on."""
        self._observer.refresh(num_in_flight, num_waiting)

    def bring_up_to_date(self) -> None:
        """Takes over what the search has come to and writes the views if the last time is long enough ago.

        Called when every step that the search has consumed was heard.
        """
        self._knowledge, self._num_known = self._evolution.knowledge, self._num_heard[0]
        if time.monotonic() > self._due and self._is_whole and self._has_heard_what_was():
            begin = time.monotonic()
            self._try(self._write)
            end = time.monotonic()
            self._due = end + max(SECONDS_BETWEEN_VIEWS, (end - begin) / SHARE_OF_TIME_FOR_VIEWS)

    def _has_heard_what_was(self) -> bool:
        return all(heard >= kept for heard, kept in zip(self._num_heard, self._num_kept_before, strict=True))

    def close(self) -> Table:
        """Writes the views a last time and returns what became of the search."""
        self._try(self._write_last)
        self._trials.close()
        self._candidates.close()
        knowledge, account = self._evolution.knowledge, self._account
        return Table(knowledge, account.summary(knowledge), account.step_milliseconds(knowledge))

    def _write_last(self) -> None:
        num_kept = self._num_kept()
        if self._is_whole and self._num_heard == num_kept and self._num_known == num_kept[0]:
            self._write()
        elif num_kept != self._num_kept_before or not self._files.are_whole():
            self._rebuild(self._files)

    def _num_kept(self) -> tuple[int, int]:
        """Returns the numbers of steps and trials in the journal."""
        return self._journal.num_steps(), self._journal.num_trials()

    def _write(self) -> None:
        last_rows = [(None, self._pending[key]) for key in sorted(self._pending)]
        write_views(
            self._files,
            self._knowledge,
            self._account,
            self._trials.pieces(last_rows),
            self._candidates.pieces(),
        )

    def _try(self, write: Callable[[], _Row]) -> _Row | None:
        try:
            return write()
        except (ArchSearchError, OSError) as error:
            self._warn(error)
            return None

    def _warn(self, error: Exception) -> None:
        if not self._has_warned:
            _logger.warning(
                "archsearch: the views cannot be written (%s). The search goes on, its journal holds everything; "
                "'archsearch leaderboard' writes them when it is over.",
                error,
            )
        self._has_warned = True


def write_views(
    files: ViewFiles,
    knowledge: Knowledge,
    account: Account,
    trials: Iterable[bytes],
    candidates: Iterable[bytes],
) -> None:
    """Writes the CSV files, the summary and the graphs of the listed cells, each file whole or not at all.

    Args:
        files: Where they go.
        knowledge: The fold of the steps.
        account: Of the same steps.
        trials: The text of the table of trials, in pieces.
        candidates: The text of the table of candidates, in pieces.

    Raises:
        OSError: The disk does not take them.
        SearchStateError: The journal cannot be written.
    """
    leaderboard = to_csv(leaderboard_frame(knowledge, account))
    summary = json.dumps(account.summary(knowledge), indent=2) + "\n"
    files.replace(
        {
            "leaderboard.csv": [leaderboard.encode()],
            "trials.csv": trials,
            "candidates.csv": candidates,
            "summary.json": [summary.encode()],
        }
    )
    files.write_cells(dict(knowledge.graphs))
