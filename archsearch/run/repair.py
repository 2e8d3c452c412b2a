"""Copies what can be read of a damaged journal into a new one; the damaged one is kept as it is."""

import os
import shutil
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from archsearch.errors import FileFormatError, SearchStateError
from archsearch.run.folder import RunFolder
from archsearch.run.journal import Journal
from archsearch.run.journal_file import NewerJournalError, create_file, open_to_write, transaction
from archsearch.run.journal_schema import INSERT_FACT, INSERT_NUMBERED_TRIAL, INSERT_STEP, checksum
from archsearch.run.page_scan import read_pages
from archsearch.run.salvage import Salvaged, salvage
from archsearch.run.whole_files import sync_folder

_BESIDE = ("-wal", "-shm", "-journal")
_FACTS_NEEDED = ("plan", "tasks", "list_size", "penalty")


@dataclass(frozen=True)
class Repair:
    """What came of it.

    Attributes:
        kept_as: Where the damaged file is now; None if the journal was whole and nothing was changed.
        num_trials: Trials kept.
        num_trials_lost: Trials that are missing, as the numbers of the others tell, or the steps that consumed them.
        num_steps: Steps kept; all before them and all trials that they consumed are whole.
        num_steps_dropped: Steps that could be read but stand after something that is lost.
        facts_lost: What the journal should say of the run itself and does not; also of one that is whole otherwise.
    """

    kept_as: Path | None
    num_trials: int
    num_steps: int
    num_trials_lost: int = 0
    num_steps_dropped: int = 0
    facts_lost: tuple[str, ...] = ()


def repair_journal(folder: RunFolder) -> Repair:
    """Repairs the journal of a run on which nobody works, if it needs it.

    The new file is whole and on the disk before it takes the damaged one's place.

    Raises:
        SearchStateError: A search works on the run, there is no journal, or nothing can be written.
        FileFormatError: A newer archsearch made the journal, or nothing of one can be found in the file.
    """
    path = folder.journal_path
    if not path.is_file():
        raise SearchStateError(f"{path}: expected a journal to repair, found no such file.")
    with folder.locked():
        whole = _account_if_whole(path)
        if whole is not None:
            return whole
        try:
            return _rebuild(path, salvage(read_pages(path), _facts(path)))
        except OSError as error:
            raise SearchStateError(
                f"{path}: a repaired journal cannot be written beside it ({error}). It needs about as much space again."
            ) from error


def _account_if_whole(path: Path) -> Repair | None:
    """Returns the account of a journal that needs no repair, None if it does. Writes nothing."""
    try:
        with closing(Journal.open(path, read_only=True)) as journal:
            journal.check()
            facts_lost = _lost(journal.facts())
            num_steps = sum(1 for _ in journal.step_records())
            return Repair(None, sum(1 for _ in journal.trials()), num_steps, facts_lost=facts_lost)
    except NewerJournalError:
        raise
    except (FileFormatError, SearchStateError):  # what SQLite cannot open may still be read page by page
        return None


def _facts(path: Path) -> dict[str, str]:
    """Returns what the journal says of its run, nothing if SQLite cannot read it."""
    try:
        with closing(Journal.open(path, read_only=True)) as journal:
            return journal.facts()
    except (FileFormatError, SearchStateError):
        return {}


def _rebuild(path: Path, found: Salvaged) -> Repair:
    if not found.trials and not found.steps:
        raise FileFormatError(
            f"{path}: no row of a journal was found in it, so there is nothing to repair. It is left as it is; start "
            f"a new run, or bring the file back from a copy of your own."
        )
    steps = _whole_prefix(found)
    new = path.with_name(f"{path.name}.repaired")
    new.unlink(missing_ok=True)
    create_file(new)
    with closing(open_to_write(new)) as connection:
        with transaction(connection):
            facts = found.facts.items()
            connection.executemany(INSERT_FACT, ((name, value, checksum(name, value)) for name, value in facts))
            connection.executemany(INSERT_NUMBERED_TRIAL, sorted(found.trials.values()))
            connection.executemany(INSERT_STEP, ((n, text, checksum(n, text)) for n, text in steps.items()))
        connection.execute("PRAGMA journal_mode = DELETE")
    kept_as = _take_place(new, path)
    return Repair(
        kept_as,
        len(found.trials),
        len(steps),
        num_trials_lost=_count_lost(found),
        num_steps_dropped=len(found.steps) - len(steps),
        facts_lost=_lost(found.facts),
    )


def _lost(facts: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name for name in _FACTS_NEEDED if name not in facts)


def _whole_prefix(found: Salvaged) -> dict[int, str]:
    """Returns the steps before the first that is lost or has lost a trial: resume computes the later ones again."""
    keys = {row[1] for row in found.trials.values()}
    steps: dict[int, str] = {}
    while (number := len(steps)) in found.steps and keys.issuperset(found.keys_of_step(number)):
        steps[number] = found.steps[number]
    return steps


def _count_lost(found: Salvaged) -> int:
    missing = max(found.trials, default=0) - len(found.trials)
    keys = {row[1] for row in found.trials.values()}
    consumed = {key for number in found.steps for key in found.keys_of_step(number)}
    return max(missing, len(consumed - keys))


def _take_place(new: Path, path: Path) -> Path:
    """Puts the new file in the place of the damaged one, which stays under another name; returns that.

    There is a journal at every moment. What SQLite left beside the damaged one goes with it: it would be taken for the
    new one's.
    """
    number = 1
    while os.path.lexists(kept := path.with_name(f"{path.name}.damaged-{number}")):
        number += 1
    try:
        os.link(path, kept)
    except OSError:  # a file system without links
        shutil.copy2(path, kept)
    for ending in _BESIDE:
        with suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(kept.with_name(kept.name + ending))
    new.replace(path)
    sync_folder(path.parent)
    return kept
