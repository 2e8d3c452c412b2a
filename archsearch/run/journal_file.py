"""Opening the journal's file: for writing, for reading, and saying what is wrong with it."""

import ctypes
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archsearch.errors import FileFormatError, SearchStateError
from archsearch.run.file_system import journal_mode
from archsearch.run.journal_schema import SCHEMA_VERSION, create_tables, is_known, migrate, show_as_ours

HEADER = b"SQLite format 3\x00"
BUSY_SECONDS = 30.0

_NOT_NOW = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}


class NewerJournalError(FileFormatError):
    """The journal is of a version that is not known yet."""


def damaged(path: Path, what: object) -> FileFormatError:
    """Returns the error for a journal that cannot be read as it is."""
    return FileFormatError(
        f"{path}: expected a whole journal of archsearch, but it is damaged ({what}). 'archsearch repair "
        f"run={path.parent}' copies what can be read into a new journal and keeps this file beside it."
    )


def explained(path: Path, error: Exception) -> SearchStateError | FileFormatError:
    """Returns what an error of SQLite means for the journal: it is damaged, or cannot be had just now."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    if code == sqlite3.SQLITE_IOERR_SHORT_READ or code & 0xFF not in _NOT_NOW:  # the other bits say more than we need
        return damaged(path, error)
    return SearchStateError(
        f"{path}: the journal cannot be used just now ({error}). Look at the rights of the folder, at the space on the "
        f"disk, and whether another program holds the file. If the disk itself is at fault, 'archsearch repair "
        f"run={path.parent}' saves what can be read."
    )


def create_file(path: Path) -> None:
    """Makes an empty journal, whole or not at all, whenever the process is killed.

    Raises:
        SearchStateError: It cannot be made.
    """
    unfinished = path.with_name(f"{path.name}.new")
    try:
        unfinished.unlink(missing_ok=True)
        connection = sqlite3.connect(unfinished, isolation_level=None)
        connection.execute("PRAGMA synchronous = FULL")
        with transaction(connection):
            create_tables(connection)
        connection.close()
        unfinished.rename(path)
    except (sqlite3.Error, OSError) as error:
        raise SearchStateError(f"{path}: the journal cannot be made ({error}). Look at the folder.") from error


def open_to_write(path: Path) -> sqlite3.Connection:
    """Opens a journal for its one writer; an old one is brought to our version, in one transaction.

    Every page is looked at first: a search must not go on from a file that a disk has damaged.

    Raises:
        SearchStateError: There is no such file, or it cannot be opened to write.
        FileFormatError: It is damaged, no journal, or one of an unknown version.
    """
    with _connected(path, "mode=rw") as connection:
        version = _check_version(connection, path)
        check_pages(connection, path)
        set_durability(connection, path)
        if version < SCHEMA_VERSION:
            try:
                with transaction(connection):
                    migrate(connection, version)
            except ValueError as error:
                raise damaged(path, error) from error
    return connection


def check_pages(connection: sqlite3.Connection, path: Path) -> None:
    """Looks at every page.

    Raises:
        FileFormatError: One does not fit to the others.
    """
    problems = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(1)")]
    if problems != ["ok"]:
        raise damaged(path, problems[0])


def set_durability(connection: sqlite3.Connection, path: Path) -> None:
    """Lets every commit reach the disk, and readers look while we write where the file system allows it."""
    mode = journal_mode(path)
    connection.execute(f"PRAGMA journal_mode = {mode}")
    # without WAL a commit is the removal of a file, which must reach the disk, too
    connection.execute(f"PRAGMA synchronous = {'FULL' if mode == 'WAL' else 'EXTRA'}")


def check_shared_memory(path: Path) -> None:
    """Asks whether the memory that WAL shares between processes may still be written.

    Where it may not, since the file system has become read-only for instance, the kernel would end the process with
    SIGBUS at the next transaction, a reading one or the last one while closing.

    Args:
        path: The journal's.

    Raises:
        sqlite3.OperationalError: It may not.
    """
    shared = f"{path}-shm"  # asked at every trial, and a Path takes longer
    if not os.access(shared, os.W_OK) and Path(shared).exists():
        error = sqlite3.OperationalError(f"{path.name}-shm cannot be written")
        error.sqlite_errorcode = sqlite3.SQLITE_READONLY
        raise error


def abandon(connection: sqlite3.Connection) -> None:
    """Leaves a connection open to the end of the process: to close it would write to the shared memory."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def open_to_read(path: Path) -> sqlite3.Connection:
    """Opens a journal for reading, an old one as if it were of our version; the file stays as it is.

    Raises:
        SearchStateError: There is no such file.
        FileFormatError: It is no journal, or one of an unknown version.
    """
    try:
        return _open_to_read(path, "mode=ro")
    except SearchStateError:
        # A reader without the right to write beside the file cannot make what WAL needs. Where no writer has left
        # anything beside it, the file alone is whole.
        if not path.is_file() or _size(path.with_name(f"{path.name}-wal")):
            raise
        return _open_to_read(path, "mode=ro&immutable=1")


def _open_to_read(path: Path, options: str) -> sqlite3.Connection:
    with _connected(path, options) as connection:
        show_as_ours(connection, _check_version(connection, path))
    return connection


@contextmanager
def _connected(path: Path, options: str) -> Iterator[sqlite3.Connection]:
    """Gives a connection for its first uses and closes it if they fail; what SQLite says is said in our words."""
    _check_is_sqlite(path)
    connection = None
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{options}", uri=True, timeout=BUSY_SECONDS, isolation_level=None
        )
        yield connection
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error | UnicodeDecodeError):  # the latter from bytes that are no text
            raise explained(path, error) from error
        raise


def _check_is_sqlite(path: Path) -> None:
    """Checks that there is a file that begins as SQLite's do.

    Raises:
        SearchStateError: There is no such file, or it cannot be read.
        FileFormatError: It is something else.
    """
    if path.is_dir():
        raise damaged(path, "it is a folder")
    try:
        with path.open("rb") as file:
            begin = file.read(len(HEADER))
    except FileNotFoundError:
        raise SearchStateError(
            f"{path}: expected a journal, found no such file. Is this the folder of a run?"
        ) from None
    except OSError as error:
        raise SearchStateError(f"{path}: the journal cannot be read ({error.strerror}). Look at its rights.") from error
    if not begin:
        raise damaged(path, "the file is empty")
    if begin != HEADER:
        raise damaged(path, "it does not begin as a file of SQLite does")


def _check_version(connection: sqlite3.Connection, path: Path) -> int:
    """Returns the version.

    Raises:
        FileFormatError: It is no journal, or one of an unknown version.
    """
    names = {str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"about", "trials", "steps"} <= names:
        raise damaged(path, f"it has no tables of a journal, but {', '.join(sorted(names)) or 'none at all'}")
    row = connection.execute("SELECT value FROM about WHERE name = 'schema'").fetchone()
    version = "none" if row is None else str(row[0])
    if version.isdecimal() and int(version) > SCHEMA_VERSION:
        raise NewerJournalError(
            f"{path}: expected journal version 1 to {SCHEMA_VERSION}, found {version}: a newer archsearch made it. "
            f"Use that one."
        )
    if not is_known(version):
        raise damaged(path, f"expected journal version 1 to {SCHEMA_VERSION}, found {version}")
    return int(version)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Makes what is inside happen as a whole or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # an error such as a full disk may have ended it already
            connection.execute("ROLLBACK")
        raise


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
