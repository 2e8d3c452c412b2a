"""The files that show a run: each whole, each ours; what others wrote into one is kept beside it."""

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from archsearch.errors import ArchSearchError
from archsearch.graph.cell_graph import CellGraph
from archsearch.run.folder import RunFolder
from archsearch.run.journal import Journal
from archsearch.run.whole_files import keep_beside, sync_folder, write_atomically

VIEWS = ("leaderboard.csv", "trials.csv", "candidates.csv", "summary.json")
DIGESTS = "view digests"
"""In the journal: for each view the digests of what was written last and of what is being written."""

_logger = logging.getLogger(__name__)
_Signature = tuple[int, int, int]


class ViewFiles:
    """Replaces the views, and knows a file that another program has changed since.

    Args:
        folder: The run's folder, which must be locked.
        journal: Open for writing; keeps digests of what was written.
    """

    def __init__(self, folder: RunFolder, journal: Journal) -> None:
        self._folder = folder
        self._journal = journal
        self._digests = read_digests(journal)
        self._signatures: dict[Path, _Signature] = {}

    def replace(self, contents: Mapping[str, Iterable[bytes]]) -> None:
        """Writes views, all of them to the disk before the first takes its place.

        Args:
            contents: By name, in pieces.

        Raises:
            OSError: The disk does not take them.
            SearchStateError: The journal cannot be written.
        """
        beside = {name: self._folder.path / f".{name}.{os.getpid()}" for name in contents}
        try:
            digests = {name: _write(beside[name], pieces) for name, pieces in contents.items()}
            # before the first is renamed: whoever is killed in between leaves files that are known
            known = {name: [*self._digests_of_file(name), digest] for name, digest in digests.items()}
            self._digests = {**self._digests, **known}
            self._journal.note(DIGESTS, json.dumps(self._digests))
            for name, temporary in beside.items():
                path = self._folder.path / name
                if not self._is_ours(path):
                    _keep_edited(path)
                temporary.replace(path)
                self._signatures[path] = _signature(path)
        finally:
            for temporary in beside.values():
                temporary.unlink(missing_ok=True)
        sync_folder(self._folder.path)

    def write_cells(self, graphs: Mapping[str, CellGraph]) -> None:
        """Writes the graphs that are not there; a file that holds another cell is kept beside.

        Raises:
            OSError: The disk does not take them.
        """
        cells = self._folder.path / "cells"
        cells.mkdir(exist_ok=True)
        for digest, graph in graphs.items():
            path = cells / f"{digest}.json"
            if self._is_as_we_left_it(path):
                continue
            if path.exists() and not _holds(path, digest):
                _keep_edited(path)
            if not path.exists():
                write_atomically(path, graph.to_json())
            self._signatures[path] = _signature(path)

    def are_whole(self) -> bool:
        """Tells whether every view is there as it was written last."""
        return are_whole(self._folder.path, self._digests)

    def _digests_of_file(self, name: str) -> list[str]:
        """Returns the digest that a view on the disk has, or should have; none if none was written.

        It need not be the last: that one may never have taken its place, where files cannot be renamed.
        """
        earlier, path = self._digests.get(name, []), self._folder.path / name
        if len(earlier) > 1 and path.is_file() and not self._is_as_we_left_it(path):
            found = _digest(path)
            return [found if found in earlier else earlier[-1]]
        return earlier[-1:]

    def _is_as_we_left_it(self, path: Path) -> bool:
        return path in self._signatures and _is_unchanged(path, self._signatures[path])

    def _is_ours(self, path: Path) -> bool:
        """Tells whether a file may be replaced: nobody but us has written it, or nothing is known of it."""
        of_earlier = self._digests[path.name][:-1]
        if not path.exists() or not of_earlier:
            return True
        return self._is_as_we_left_it(path) or _digest(path) in self._digests[path.name]


def read_digests(journal: Journal) -> dict[str, list[str]]:
    """Returns the digests that a journal keeps of the views; none if it is of a time before them."""
    record = json.loads(journal.about(DIGESTS) or "{}")  # its checksum was compared
    return {str(name): list(map(str, digests)) for name, digests in record.items()}


def are_whole(path: Path, digests: Mapping[str, list[str]]) -> bool:
    """Tells whether every view in a folder is there as it was written last."""
    for name in VIEWS:
        file = path / name
        if not file.is_file() or (name in digests and _digest(file) != digests[name][-1]):
            return False
    return True


def _write(path: Path, pieces: Iterable[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("wb") as file:
        for piece in pieces:
            file.write(piece)
            digest.update(piece)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _keep_edited(path: Path) -> None:
    kept = keep_beside(path, "edited")
    _logger.warning(
        "archsearch: %s was changed by another program; that copy is now %s, and the file is written anew from the "
        "journal.",
        path,
        kept.name,
    )


def _holds(path: Path, digest: str) -> bool:
    try:
        return CellGraph.from_json(path.read_text(encoding="utf-8")).digest == digest
    except (ArchSearchError, OSError, UnicodeDecodeError):
        return False


def _signature(path: Path) -> _Signature:
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _is_unchanged(path: Path, signature: _Signature) -> bool:
    try:
        return _signature(path) == signature
    except OSError:
        return False
