"""The journal: a run's only truth, two append-only tables in one SQLite file."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from archsearch.errors import FileFormatError, SearchStateError
from archsearch.search.outcome import StepOutcome
from archsearch.trials.lengths import key_around_steps
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Trial, TrialResult

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE trials (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    cell TEXT NOT NULL,
    task TEXT NOT NULL,
    setting TEXT NOT NULL,
    replicate INTEGER NOT NULL,
    max_steps INTEGER NOT NULL,
    result TEXT NOT NULL
);
CREATE TABLE steps (number INTEGER PRIMARY KEY, record TEXT NOT NULL);
"""


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

    Each row is committed and on the disk when the method that adds it returns.

    Args:
        connection: An open connection to a file with the schema.
        path: Where the file is, for messages.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    @classmethod
    def create(cls, path: Path) -> "Journal":
        """Makes a new journal.

        Raises:
            SearchStateError: The file exists or cannot be made.
        """
        if path.exists():
            raise SearchStateError(f"{path}: expected no file, found one. A journal is never overwritten.")
        unfinished = path.with_name(f"{path.name}.new")
        try:
            unfinished.unlink(missing_ok=True)
            connection = sqlite3.connect(unfinished)
            with connection:
                connection.executescript(f"BEGIN; {_SCHEMA}")
                connection.execute("INSERT INTO about VALUES ('schema', ?)", (str(SCHEMA_VERSION),))
            connection.close()
            unfinished.rename(path)  # whole or not at all, whenever the process is killed
        except (sqlite3.Error, OSError) as error:
            raise SearchStateError(f"{path}: the journal cannot be made ({error}). Look at the folder.") from error
        return cls.open(path)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> "Journal":
        """Opens a journal that exists.

        Raises:
            SearchStateError: There is no such file.
            FileFormatError: It is no journal, or one of another version.
        """
        if not path.is_file():
            raise SearchStateError(f"{path}: expected a journal, found no such file. Is this the folder of a run?")
        try:
            connection = _connect_to_read(path) if read_only else _connect_to_write(path)
        except sqlite3.Error as error:
            raise FileFormatError(f"{path}: expected a journal of archsearch, but SQLite says: {error}.") from error
        journal = cls(connection, path)
        try:
            found = journal.about("schema")
            if found != str(SCHEMA_VERSION):
                raise FileFormatError(f"{path}: expected journal version {SCHEMA_VERSION}, found {found or 'none'}.")
        except FileFormatError:
            connection.close()
            raise
        return journal

    def close(self) -> None:
        """Closes the file; a writer leaves a single file behind, which readers need no right to write to read."""
        with suppress(sqlite3.Error):  # a reader that is still there; its own end will tidy up
            self._connection.execute("PRAGMA journal_mode = DELETE")
        self._connection.close()

    def result(self, key: str) -> TrialResult | None:
        """Returns the result kept under a key, None if there is none."""
        row = self._select_one("SELECT result FROM trials WHERE key = ?", key)
        return None if row is None else self._result(row[0])

    def of_other_lengths(self, trial: Trial) -> list[tuple[int, TrialResult]]:
        """Returns maximal steps and results of the trials that differ from a trial in nothing but these."""
        before, after = key_around_steps(trial)
        query = "SELECT key, max_steps, result FROM trials WHERE key >= ? AND key < ? ORDER BY max_steps"
        rows = self._select(query, before, before + chr(0x10FFFF))
        return [(max_steps, self._result(result)) for key, max_steps, result in rows if key.endswith(after)]

    def add_trial(self, trial: Trial, result: TrialResult) -> None:
        """Keeps a finished trial.

        Raises:
            SearchStateError: The key is taken, or the disk does not take the row.
        """
        row = (
            trial.key,
            trial.cell,
            trial.task,
            json.dumps(asdict(trial.setting)),
            trial.replicate,
            trial.max_steps,
            json.dumps(result.to_record()),
        )
        self._insert(
            "INSERT INTO trials (key, cell, task, setting, replicate, max_steps, result) VALUES (?, ?, ?, ?, ?, ?, ?)",
            row,
            f"trial {trial.key}",
        )

    def add_step(self, outcome: StepOutcome) -> None:
        """Keeps what a step decided; a step already kept must have decided the same.

        Raises:
            SearchStateError: The kept step differs, or the disk does not take the row.
        """
        record = outcome.to_record()
        row = self._select_one("SELECT record FROM steps WHERE number = ?", outcome.number)
        if row is None:
            self._insert(
                "INSERT INTO steps VALUES (?, ?)",
                (outcome.number, json.dumps(record)),
                f"step {outcome.number}",
            )
            return
        kept = self._json(row[0])
        if kept != json.loads(json.dumps(record)):
            fields = ", ".join(name for name in record if kept.get(name) != json.loads(json.dumps(record[name])))
            made_by, now = self.about("made_by") or "unknown", self.about("continued_by") or "unknown"
            raise SearchStateError(
                f"{self._path}, step {outcome.number}: the journal holds another decision than the one computed now "
                f"(different: {fields}). The run was made by archsearch {made_by}, this is {now}; continue it with "
                f"the version and the settings that made it, or start a new run."
            )

    def step_records(self) -> Iterator[dict[str, Any]]:
        """Yields what the steps decided, in order."""
        for (text,) in self._select("SELECT record FROM steps ORDER BY number"):
            yield self._json(text)

    def trials(self) -> Iterator[JournaledTrial]:
        """Yields all finished trials, in the order in which they were kept."""
        query = "SELECT key, cell, task, setting, replicate, max_steps, result FROM trials ORDER BY number"
        for key, cell, task, setting, replicate, max_steps, result in self._select(query):
            yield JournaledTrial(key, cell, task, self._setting(setting), replicate, max_steps, self._result(result))

    def num_trials(self) -> int:
        """Returns the number of finished trials."""
        return sum(count for (count,) in self._select("SELECT count(*) FROM trials"))

    def about(self, name: str) -> str | None:
        """Returns a fact about the run, such as the version that made it."""
        row = self._select_one("SELECT value FROM about WHERE name = ?", name)
        return None if row is None else str(row[0])

    def note(self, name: str, value: str) -> None:
        """Keeps a fact about the run, replacing an older one."""
        self._insert("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value), name)

    def _select(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise FileFormatError(
                f"{self._path}: expected a whole journal of archsearch; SQLite says: {error}."
            ) from error

    def _select_one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        return next(self._select(query, *values), None)

    def _insert(self, statement: str, row: tuple[object, ...], what: str) -> None:
        try:
            with self._connection:
                self._connection.execute(statement, row)
        except sqlite3.Error as error:
            raise SearchStateError(f"{self._path}: {what} could not be kept ({error}).") from error

    def _result(self, text: str) -> TrialResult:
        try:
            return TrialResult.from_record(self._json(text))
        except FileFormatError as error:
            raise FileFormatError(f"{self._path}: a row is damaged; {error}.") from error

    def _setting(self, text: str) -> Setting:
        try:
            return Setting(**self._json(text))
        except TypeError as error:
            raise FileFormatError(f"{self._path}: a row is damaged; expected a setting, got {text}.") from error

    def _json(self, text: str) -> dict[str, Any]:
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise FileFormatError(f"{self._path}: a row is damaged ({error}).") from error
        if not isinstance(value, dict):
            raise FileFormatError(f"{self._path}: a row is damaged (expected an object, got {type(value).__name__}).")
        return value


def _connect_to_write(path: Path) -> sqlite3.Connection:
    """Opens the file so that readers may look while we write, and every commit reaches the disk."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=30)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _connect_to_read(path: Path) -> sqlite3.Connection:
    """Opens the file for reading; where nobody writes, that needs no right to write beside it."""
    has_writer = path.with_name(f"{path.name}-wal").exists()
    options = "mode=ro" if has_writer else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True, timeout=30)
