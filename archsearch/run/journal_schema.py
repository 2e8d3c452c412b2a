"""The tables of the journal: their versions, the checksums of their rows, and the way from an old version to ours."""

import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from typing import Any

SCHEMA_VERSION = 2

TRIAL_COLUMNS = ("key", "cell", "task", "setting", "replicate", "max_steps", "result", "curve")
"""What the checksum of a trial covers."""

SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE trials (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    cell TEXT NOT NULL,
    task TEXT NOT NULL,
    setting TEXT NOT NULL,
    replicate INTEGER NOT NULL,
    max_steps INTEGER NOT NULL,
    result TEXT NOT NULL,
    curve TEXT NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE TABLE steps (number INTEGER PRIMARY KEY, record TEXT NOT NULL, checksum INTEGER NOT NULL);
"""

INSERT_TRIAL = (
    "INSERT INTO trials (key, cell, task, setting, replicate, max_steps, result, curve, checksum) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
REPLACE_TRIAL = INSERT_TRIAL.replace("INSERT", "INSERT OR REPLACE")
INSERT_NUMBERED_TRIAL = INSERT_TRIAL.replace("(key", "(number, key").replace("(?", "(?, ?")
INSERT_FACT = "INSERT OR REPLACE INTO about (name, value, checksum) VALUES (?, ?, ?)"
INSERT_STEP = "INSERT INTO steps (number, record, checksum) VALUES (?, ?, ?)"

_OLD_VIEWS = {
    1: """
    CREATE TEMP VIEW about AS SELECT name, value, NULL AS checksum FROM main.about;
    CREATE TEMP VIEW trials AS SELECT number, key, cell, task, setting, replicate, max_steps, result,
        NULL AS curve, NULL AS checksum FROM main.trials;
    CREATE TEMP VIEW steps AS SELECT number, record, NULL AS checksum FROM main.steps;
    """
}
"""By version: what lets a reader see an old journal as one of ours. NULL stands for what it did not have."""


def checksum(*columns: object) -> int:
    """Returns a CRC-32 of a row: SQLite itself does not notice when a disk gives back other bytes in a row."""
    return zlib.crc32("\x1f".join(map(str, columns)).encode())


def create_tables(connection: sqlite3.Connection) -> None:
    """Makes the tables of our version, inside the caller's transaction."""
    for statement in SCHEMA.split(";"):
        connection.execute(statement)
    _note_version(connection)


def is_known(version: str) -> bool:
    """Tells whether we can read a version."""
    return version == str(SCHEMA_VERSION) or version in map(str, _OLD_VIEWS)


def show_as_ours(connection: sqlite3.Connection, version: int) -> None:
    """Lets a reader see an old journal as one of our version; the file stays as it is."""
    if version in _OLD_VIEWS:
        connection.executescript(_OLD_VIEWS[version])


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Rewrites an old journal in our version, inside the caller's transaction.

    Raises:
        ValueError: A row is damaged.
    """
    while version < SCHEMA_VERSION:
        _MIGRATIONS[version](connection)
        version += 1
    _note_version(connection)


def _note_version(connection: sqlite3.Connection) -> None:
    version = str(SCHEMA_VERSION)
    connection.execute(INSERT_FACT, ("schema", version, checksum("schema", version)))


def split_result(record: dict[str, Any]) -> tuple[str, str]:
    """Returns a trial's result without its curve, which few readers want, and the curve, both as JSON."""
    return json.dumps({name: value for name, value in record.items() if name != "curve"}), json.dumps(record["curve"])


def _from_1_to_2(connection: sqlite3.Connection) -> None:
    """Gives rows a checksum and the curve a column of its own."""
    tables = ("about", "trials", "steps")
    for table in tables:
        connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    for statement in SCHEMA.split(";"):
        connection.execute(statement)
    facts = connection.execute("SELECT name, value FROM old_about")
    connection.executemany(INSERT_FACT, ((name, value, checksum(name, value)) for name, value in facts))
    connection.executemany(INSERT_NUMBERED_TRIAL, _trials_1(connection))
    steps = connection.execute("SELECT number, record FROM old_steps ORDER BY number")
    connection.executemany(INSERT_STEP, ((number, record, checksum(number, record)) for number, record in steps))
    for table in tables:
        connection.execute(f"DROP TABLE old_{table}")


def _trials_1(connection: sqlite3.Connection) -> Iterator[tuple[object, ...]]:
    query = "SELECT number, key, cell, task, setting, replicate, max_steps, result FROM old_trials ORDER BY number"
    for number, *columns, result in connection.execute(query):
        record = json.loads(result)
        if not isinstance(record, dict) or "curve" not in record:
            raise ValueError(f"trial {number}: expected a result with its curve, got {result[:80]}")
        row = (*columns, *split_result(record))
        yield number, *row, checksum(*row)


_MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {1: _from_1_to_2}
