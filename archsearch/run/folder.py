"""A run's folder: where everything lies, made once and owned by one driver at a time."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from archsearch.errors import ConfigError, SearchStateError
from archsearch.run.lock import holder_of, locked
from archsearch.run.whole_files import remove_leftovers, write_atomically

__all__ = ["RunFolder", "write_atomically"]

MAX_CONFIG_BYTES = 1_000_000


class RunFolder:
    """The files of one run.

    Args:
        path: The folder, which exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, results_dir: Path, name: str | None, prefix: str) -> "RunFolder":
        """Makes a new folder.

        Args:
            results_dir: Where the folders of runs are; made if need be.
            name: Name of the folder; None for the prefix and the first free number.
            prefix: Of a default name.

        Raises:
            ConfigError: The folder exists, the name is no plain name, or nothing can be written there.
        """
        if name is not None and (not name or name in {".", ".."} or Path(name).name != name):
            raise ConfigError(f"name: expected a plain folder name, got '{name}'. Use results_dir=… to choose where.")
        if results_dir.exists() and not results_dir.is_dir():
            raise ConfigError(f"results_dir: expected a folder, but {results_dir} is a file. Name another place.")
        try:
            results_dir.mkdir(parents=True, exist_ok=True)
            path = results_dir / name if name is not None else _first_free(results_dir, prefix)
            path.mkdir()
        except FileExistsError as error:
            raise ConfigError(
                f"{error.filename}: expected no such folder, but it exists. Continue that run with 'archsearch resume "
                f"run={error.filename}', or choose another name=…"
            ) from error
        except OSError as error:
            raise ConfigError(
                f"{error.filename or results_dir}: a folder for the run cannot be made here ({error.strerror}). "
                f"Choose a writable results_dir=…"
            ) from error
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Opens the folder of a run that exists.

        Raises:
            SearchStateError: It is none.
        """
        folder = cls(path)
        if not folder.journal_path.exists():
            raise SearchStateError(
                f"{path}: expected the folder of a run with {folder.journal_path.name} in it, found none. "
                f"Give run=RESULTS_DIR/NAME."
            )
        return folder

    @classmethod
    def open_begun(cls, path: Path) -> "RunFolder":
        """Opens a run's folder, also one whose journal is not made yet.

        Raises:
            SearchStateError: It is none.
        """
        folder = cls(path)
        has_begun = (path / "trials.csv").exists() or not folder.config_path.is_file()
        return cls.open(path) if has_begun else folder

    @property
    def name(self) -> str:
        """The run's name."""
        return self.path.name

    @property
    def journal_path(self) -> Path:
        """Where the journal is."""
        return self.path / "archsearch.db"

    @property
    def config_path(self) -> Path:
        """Where the configuration is, as resolved at the start."""
        return self.path / "config.yaml"

    @property
    def confirmation_path(self) -> Path:
        """Where the table of `confirm` is, once there is one."""
        return self.path / "confirmation.csv"

    @property
    def simple_predictors_path(self) -> Path:
        """Where it stands what simple predictors reach on data of the user's own."""
        return self.path / "simple_predictors.json"

    def write_config(self, text: str) -> None:
        """Keeps the configuration.

        Raises:
            SearchStateError: Nothing can be written there.
        """
        with _writable(self.path):
            write_atomically(self.config_path, text)

    def write_simple_predictors(self, text: str) -> None:
        """Keeps what simple predictors reach.

        Raises:
            SearchStateError: Nothing can be written there.
        """
        with _writable(self.path):
            write_atomically(self.simple_predictors_path, text)

    def read_config(self) -> str:
        """Returns the configuration.

        Raises:
            SearchStateError: There is none.
        """
        try:
            with self.config_path.open("rb") as file:
                content = file.read(MAX_CONFIG_BYTES + 1)
            if len(content) > MAX_CONFIG_BYTES:
                raise SearchStateError(
                    f"{self.config_path}: expected a run's configuration of at most {MAX_CONFIG_BYTES:,} bytes; this "
                    f"file is larger. Is it the one that the run was started with?"
                )
            return content.decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SearchStateError(f"{self.config_path}: the run's configuration cannot be read ({error}).") from error

    def note_command(self, arguments: Sequence[str]) -> None:
        """Appends a command line to the list of those that worked on this run.

        Raises:
            SearchStateError: Nothing can be written there.
        """
        with _writable(self.path), (self.path / "commands.txt").open("a", encoding="utf-8") as file:
            file.write(shlex.join(arguments) + "\n")

    def read_commands(self) -> str:
        """Returns the command lines that worked on this run, one a line; nothing if none are kept."""
        try:
            return (self.path / "commands.txt").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    @property
    def driver(self) -> int | None:
        """The process that works on the run, None if there is none; nothing is locked to find out."""
        holder = holder_of(self.path / "archsearch.lock")
        return holder.pid if holder else None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other drivers out while this one works; the lock ends with the process, however it ends.

        Raises:
            SearchStateError: Another driver works on the folder, or nothing can be written there.
        """
        with ExitStack() as stack:
            with _writable(self.path):
                stack.enter_context(locked(self.path / "archsearch.lock"))
                for folder in (self.path, self.path / "cells"):
                    remove_leftovers(folder)
            yield


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SearchStateError(
            f"{path}: expected a folder that can be written to, got: {error.strerror}. Look at its rights and at the "
            f"space on the disk."
        ) from error


def _first_free(results_dir: Path, prefix: str) -> Path:
    number = 1
    while (results_dir / f"{prefix}-{number}").exists():
        number += 1
    return results_dir / f"{prefix}-{number}"
