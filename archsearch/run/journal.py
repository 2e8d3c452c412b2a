"""The journal: a run's only truth, two tables in one SQLite file. docs/journal.md describes it.

A search only ever adds rows. A study also replaces those of trainings that failed and were repeated.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from archsearch.errors import FileFormatError, SearchStateError
from archsearch.run.journal_file import (
    abandon,
    check_pages,
    check_shared_memory,
    create_file,
    damaged,
    explained,
    open_to_read,
    open_to_write,
    transaction,
)
from archsearch.run.journal_schema import (
    INSERT_FACT,
    INSERT_STEP,
    INSERT_TRIAL,
    REPLACE_TRIAL,
    TRIAL_COLUMNS,
    checksum,
    split_result,
)
from archsearch.run.shared_memory import guarded
from archsearch.search.outcome import StepOutcome
from archsearch.trials.lengths import key_around_steps
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Trial, TrialResult

ROWS_AT_ONCE = 2000
"""Read by one statement: without WAL a writer waits for it."""


class JournalWriteError(SearchStateError):
    """The disk does not take a row now; it may later."""


@dataclass(frozen=True)
class JournaledTrial:
    """One row of the table of trials, as readers need it."""

    key: str
    cell: str
    task: str
    setting: Setting
    replicate: int
    max_steps: int
    result: TrialResult


class Journal:
    """Finished trials under their keys, and what each step decided.

    Rows are committed and on the disk when the method that adds them returns. Each carries a checksum, which is
    compared whenever the row is read.

    Args:
        connection: An open connection to a file with the schema.
        path: Where the file is.
        read_only: Whether the connection can only read.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, *, read_only: bool = False) -> None:
        self._connection = connection
        self._path = path
        self._is_read_only = read_only
        self._file = _identity(path)
        self._settings: dict[str, Setting] = {}  # few, each in thousands of trials

    @classmethod
    def create(cls, path: Path) -> "Journal":
        """Makes a new journal.

        Raises:
            SearchStateError: The file exists or cannot be made.
        """
        if path.exists():
            raise SearchStateError(f"{path}: expected no file, found one. A journal is never overwritten.")
        create_file(path)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> "Journal":
        """Opens a journal that exists; to write, one of an older version is brought to ours.

        Raises:
            SearchStateError: There is no such file, or it cannot be opened.
            FileFormatError: It is damaged, no journal, or one of a newer version.
        """
        return cls(open_to_read(path) if read_only else open_to_write(path), path, read_only=read_only)

    def reopen(self) -> None:
        """Opens the file anew, after the disk refused something.

        Raises:
            SearchStateError: It cannot be opened now.
            FileFormatError: It is damaged.
        """
        try:
            check_shared_memory(self._path)
        except sqlite3.Error as error:
            raise explained(self._path, error) from error
        with guarded(self._path):
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = open_to_write(self._path)
        self._file = _identity(self._path)

    def close(self) -> None:
        """Closes the file; a writer leaves a single file behind, which readers need no right to write to read."""
        if self._is_read_only:
            with suppress(sqlite3.Error):
                self._connection.close()
            return
        try:
            check_shared_memory(self._path)
        except sqlite3.Error:
            abandon(self._connection)
            return
        with guarded(self._path):
            with suppress(sqlite3.Error):  # a reader that is still there; its own end will tidy up
                self._connection.execute("PRAGMA journal_mode = DELETE")
            with suppress(sqlite3.Error):  # whatever a full disk does not take now is in the file beside it
                self._connection.close()

    def result(self, key: str, *, curves: bool = True) -> TrialResult | None:
        """Returns the result kept under a key, None if there is none.

        Args:
            key: The trial's.
            curves: Whether the result comes with its curve.
        """
        row = self._select_one(_SELECT_TRIAL, key)
        return None if row is None else self._trial(row, curves=curves).result

    def of_other_lengths(self, trial: Trial) -> list[tuple[int, TrialResult]]:
        """Returns maximal steps and results of the trials that differ from a trial in nothing but these."""
        before, after = key_around_steps(trial)
        query = f"SELECT {_COLUMNS} FROM trials WHERE key >= ? AND key < ? ORDER BY max_steps"  # noqa: S608 - our own columns
        found = [self._trial(row) for row in self._select(query, before, before + chr(0x10FFFF))]
        return [(other.max_steps, other.result) for other in found if other.key.endswith(after)]

    def add_trial(self, trial: Trial, result: TrialResult) -> None:
        """Keeps a finished trial; see `add_trials`."""
        self.add_trials([(trial, result)])

    def add_trials(self, finished: Sequence[tuple[Trial, TrialResult]]) -> None:
        """Keeps finished trials, all or none of them.

        Raises:
            JournalWriteError: The disk does not take the rows.
            SearchStateError: A key is taken.
            FileFormatError: The file is damaged.
        """
        self._write_trials(INSERT_TRIAL, finished)

    def replace_trials(self, finished: Sequence[tuple[Trial, TrialResult]]) -> None:
        """Keeps finished trials as `add_trials` does, each in the place of an older result if there is one."""
        self._write_trials(REPLACE_TRIAL, finished)

    def _write_trials(self, statement: str, finished: Sequence[tuple[Trial, TrialResult]]) -> None:
        rows = [_trial_row(trial, result) for trial, result in finished]
        self._write(statement, rows, ", ".join(f"trial {row[0]}" for row in rows[:3]))

    def add_step(self, outcome: StepOutcome) -> None:
        """Keeps what a step decided; see `add_steps`."""
        self.add_steps([outcome])

    def add_steps(self, outcomes: Sequence[StepOutcome]) -> None:
        """Keeps what steps decided, all or none of them; a step already kept must have decided the same.

        Raises:
            JournalWriteError: The disk does not take the rows.
            SearchStateError: A kept step differs.
            FileFormatError: The file is damaged.
        """
        rows = []
        for outcome in outcomes:
            text = json.dumps(outcome.to_record())
            row = self._select_one("SELECT number, record, checksum FROM steps WHERE number = ?", outcome.number)
            if row is None:
                rows.append((outcome.number, text, checksum(outcome.number, text)))
            elif row[1] != text:
                self._compare_step(self._step(row), json.loads(text))
        self._write(INSERT_STEP, rows, ", ".join(f"step {row[0]}" for row in rows[:3]))

    def _compare_step(self, kept: dict[str, Any], record: dict[str, Any]) -> None:
        """Checks that a step decides what it decided when it was kept.

        Raises:
            SearchStateError: It does not.
        """
        if kept == record:
            return
        fields = ", ".join(name for name in record if kept.get(name) != record[name])
        made_by, now = self.about("made_by") or "unknown", self.about("continued_by") or "unknown"
        raise SearchStateError(
            f"{self._path}, step {record['number']}: the journal holds another decision than the one computed now "
            f"(different: {fields}). The run was made by archsearch {made_by}, this is {now}; continue it with "
            f"the version and the settings that made it, or start a new run."
        )

    def step_records(self) -> Iterator[dict[str, Any]]:
        """Yields what the steps decided, in order."""
        for row in self._scan("number, record, checksum", "steps"):
            yield self._step(row)

    def trials(self, *, curves: bool = True) -> Iterator[JournaledTrial]:
        """Yields all finished trials, in the order in which they were kept.

        Trials are kept before the steps that consume them: who reads steps first finds all of their trials.

        Args:
            curves: Whether results come with their curves.
        """
        for row in self._scan(f"number, {_COLUMNS}", "trials"):
            yield self._trial(row[1:], curves=curves)

    def num_trials(self) -> int:
        """Returns the number of finished trials."""
        return sum(count for (count,) in self._select("SELECT count(*) FROM trials"))

    def num_steps(self) -> int:
        """Returns the number of consumed steps."""
        return sum(count for (count,) in self._select("SELECT count(*) FROM steps"))

    def about(self, name: str) -> str | None:
        """Returns a fact about the run, such as the version that made it."""
        row = self._select_one("SELECT name, value, checksum FROM about WHERE name = ?", name)
        return None if row is None else self._fact(row)

    def facts(self) -> dict[str, str]:
        """Returns all facts about the run."""
        return {str(row[0]): self._fact(row) for row in self._select("SELECT name, value, checksum FROM about")}

    def check(self) -> None:
        """Looks at every page of the file.

        Raises:
            FileFormatError: One is damaged.
        """
        try:
            check_pages(self._connection, self._path)
        except sqlite3.Error as error:
            raise explained(self._path, error) from error

    def note(self, name: str, value: str) -> None:
        """Keeps a fact about the run, replacing an older one."""
        self._write(INSERT_FACT, [(name, value, checksum(name, value))], name)

    def _scan(self, columns: str, table: str) -> Iterator[tuple[Any, ...]]:
        """Yields the rows of a table by their numbers, which `columns` begin with, some at a time."""
        number = -1
        query = f"SELECT {columns} FROM {table} WHERE number > ? ORDER BY number LIMIT {ROWS_AT_ONCE}"  # noqa: S608 - our own names
        while rows := list(self._select(query, number)):
            yield from rows
            number = rows[-1][0]

    def _select(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._fetch(query, values)
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter from bytes that are no text
            raise explained(self._path, error) from error

    def _fetch(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        if self._is_read_only:
            return self._connection.execute(query, values).fetchall()
        check_shared_memory(self._path)
        with guarded(self._path):
            return self._connection.execute(query, values).fetchall()

    def _select_one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        return next(self._select(query, *values), None)

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]], what: str) -> None:
        if not rows:
            return
        try:
            check_shared_memory(self._path)
            with guarded(self._path), transaction(self._connection):
                self._connection.executemany(statement, rows)
                if _identity(self._path) != self._file:  # rows would go to a file that nobody can find any more
                    raise sqlite3.OperationalError("the file is no longer there")
        except (sqlite3.OperationalError, sqlite3.ProgrammingError) as error:  # the latter where reopening failed
            raise JournalWriteError(
                f"{self._path}: {what} could not be kept ({error}). It needs space on the disk, the quota for it, and "
                f"the right to write in {self._path.parent}."
            ) from error
        except sqlite3.IntegrityError as error:
            raise SearchStateError(f"{self._path}: {what} could not be kept ({error}).") from error
        except sqlite3.Error as error:
            raise damaged(self._path, error) from error

    def _trial(self, row: tuple[Any, ...], *, curves: bool = True) -> JournaledTrial:
        """Reads a trial from its columns, curve and checksum at the end."""
        *columns, kept = row
        if kept is not None and kept != checksum(*columns):
            raise damaged(self._path, f"trial {columns[0]}: the row is not what was written")
        key, cell, task, setting, replicate, max_steps, result, curve = columns
        try:
            record = self._json(result)
            if not curves:
                record["curve"] = ()
            elif curve is not None:
                record["curve"] = json.loads(curve)
            if setting not in self._settings:
                self._settings[setting] = Setting.from_record(self._json(setting))
            return JournaledTrial(
                key, cell, task, self._settings[setting], replicate, max_steps, TrialResult.from_record(record)
            )
        except (TypeError, ValueError, RecursionError) as error:
            raise damaged(self._path, f"trial {key}: {error}") from error
        except FileFormatError as error:
            raise damaged(self._path, error) from error

    def _fact(self, row: tuple[Any, ...]) -> str:
        name, value, kept = row
        if kept is not None and kept != checksum(name, value):
            raise damaged(self._path, f"'{name}': the row is not what was written")
        return str(value)

    def _step(self, row: tuple[Any, ...]) -> dict[str, Any]:
        number, text, kept = row
        if kept is not None and kept != checksum(number, text):
            raise damaged(self._path, f"step {number}: the row is not what was written")
        return self._json(text)

    def _json(self, text: str) -> dict[str, Any]:
        try:
            value = json.loads(text)
        except (TypeError, ValueError, RecursionError) as error:
            raise damaged(self._path, f"a row is no JSON: {error}") from error
        if not isinstance(value, dict):
            raise damaged(self._path, f"a row is no object, but {type(value).__name__}")
        return value


def _identity(path: Path) -> tuple[int, int] | None:
    """Returns what tells a file from another one of its name, None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


_COLUMNS = ", ".join((*TRIAL_COLUMNS, "checksum"))
_SELECT_TRIAL = f"SELECT {_COLUMNS} FROM trials WHERE key = ?"  # noqa: S608 - our own columns


def _trial_row(trial: Trial, result: TrialResult) -> tuple[object, ...]:
    row = (
        trial.key,
        trial.cell,
        trial.task,
        json.dumps(asdict(trial.setting)),
        trial.replicate,
        trial.max_steps,
        *split_result(result.to_record()),
    )
    return (*row, checksum(*row))
