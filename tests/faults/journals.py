"""Damaged journals: noticed when they are opened, never written over, repaired as far as they can be read."""

import json
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from faults.place import Place
from faults.promises import expect, fault
from faults.tables import difference, journal_problem, kept_keys

NOTICED = "resume refuses it, names the file and `archsearch repair`, and changes no row of it"
REPAIRED = (
    f"{NOTICED}; repair keeps the damaged file and rebuilds what can be read; resumed, the tables of an undamaged run"
)
FIXTURES = Path(__file__).parents[1] / "run" / "fixtures"


def _stopped_half_way(place: Place) -> Path:
    """Returns the journal of a search of the command line that was stopped in good order."""
    place.stop_half_way()
    return place.run / "archsearch.db"


def _rows(journal: Path) -> object:
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as connection:
        return [connection.execute(query).fetchall() for query in ("SELECT * FROM trials", "SELECT * FROM steps")]


def _refused(place: Place, journal: Path, *says: str, content: Callable[[Path], object] = Path.read_bytes) -> None:
    before = content(journal)
    place.damaged.add(journal)
    place.resume().ends_with(2).says(journal, *says)
    expect(content(journal) == before, "the damaged journal was changed")


def _repaired(place: Place, journal: Path, content: Callable[[Path], object] = Path.read_bytes) -> str:
    """Refused, repaired, resumed: returns what was seen."""
    _refused(place, journal, f"archsearch repair run={place.run}", content=content)
    damaged = journal.read_bytes()
    ended = place.command("repair", f"run={place.run}").ends_with(0)
    ended.says(f"archsearch resume run={place.run}")
    kept = [path for path in place.run.glob("archsearch.db.*") if path.read_bytes() == damaged]
    expect(bool(kept), f"the damaged file was not kept: {sorted(path.name for path in place.run.iterdir())}")
    place.damaged.clear()
    problem = journal_problem(journal)
    expect(not problem, f"repaired, but {problem}")
    num_kept = len(kept_keys(place.run))
    place.resume_to_the_same_end()
    return f"refused with exit 2; {num_kept} trials repaired, {kept[0].name} kept; resumed, all tables equal"


def _rewrite(journal: Path, statement: str, *values: object) -> None:
    """Changes rows, as another program would."""
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute(statement, values)


def _overwrite(journal: Path, position: int, content: bytes) -> None:
    with journal.open("r+b") as file:
        file.seek(position)
        file.write(content)


@fault("journal-truncated", "the last quarter of the journal is missing", REPAIRED)
def journal_truncated(place: Place) -> str:
    journal = _stopped_half_way(place)
    with journal.open("r+b") as file:
        file.truncate(journal.stat().st_size * 3 // 4)
    return _repaired(place, journal)


@fault("journal-page-overwritten", "4,096 bytes in the middle of the journal are overwritten with noise", REPAIRED)
def journal_page_overwritten(place: Place) -> str:
    journal = _stopped_half_way(place)
    pages = journal.stat().st_size // 4096
    _overwrite(journal, pages // 2 * 4096, bytes((7 * index) % 251 for index in range(4096)))
    return _repaired(place, journal)


@fault(
    "journal-bits-flipped", "one byte of a trial's row is another one, which SQLite itself does not notice", REPAIRED
)
def journal_bits_flipped(place: Place) -> str:
    journal = _stopped_half_way(place)
    content = journal.read_bytes()
    position = content.index(b'"value": 0.') + len(b'"value": 0.')
    _overwrite(journal, position, b"1" if content[position : position + 1] != b"1" else b"2")
    with closing(sqlite3.connect(journal)) as connection:
        ((answer,),) = connection.execute("PRAGMA integrity_check")
    expect(answer == "ok", "the fault was not as subtle as intended")
    return _repaired(place, journal, _rows)


@fault("journal-is-text", "the journal is replaced by a text", f"{NOTICED}; repair finds nothing and says so")
def journal_is_text(place: Place) -> str:
    journal = _stopped_half_way(place)
    journal.write_text("Please see attached.\n" * 400)
    _refused(place, journal, f"archsearch repair run={place.run}")
    before = journal.read_bytes()
    place.command("repair", f"run={place.run}").ends_with(2).says(journal, "nothing to repair")
    expect(journal.read_bytes() == before, "repair changed the file")
    return "refused with exit 2; repair: exit 2, nothing to repair; the file is as it was"


@fault("journal-empty", "the journal has no bytes left", f"{NOTICED}; it is not taken for a new run")
def journal_empty(place: Place) -> str:
    journal = _stopped_half_way(place)
    journal.write_bytes(b"")
    _refused(place, journal, "empty", f"archsearch repair run={place.run}")
    return "refused with exit 2: the file is empty"


@fault(
    "journal-missing",
    "the journal is removed, the tables are still there",
    "resume refuses to begin anew, exit 2, and names the folder",
)
def journal_missing(place: Place) -> str:
    journal = _stopped_half_way(place)
    journal.unlink()
    place.resume().ends_with(2).says(place.run, "archsearch.db")
    expect(not journal.exists(), "a new journal was begun")
    return "refused with exit 2"


@fault(
    "journal-newer",
    "a newer archsearch has written the journal",
    "exit 2: says so, names both versions, leaves it as it is",
)
def journal_newer(place: Place) -> str:
    journal = _stopped_half_way(place)
    _rewrite(journal, "UPDATE about SET value = '99' WHERE name = 'schema'")
    _refused(place, journal, "99", "newer archsearch")
    place.command("repair", f"run={place.run}").ends_with(2).says("99", "newer archsearch")
    return "refused by resume and by repair with exit 2"


@fault(
    "journals-of-old-versions",
    "half-done runs with journals of each released version",
    "read as they are, brought to our version, continued to the end of an uninterrupted run; no trial computed again",
    fast=True,
)
def journals_of_old_versions(place: Place) -> str:
    changes = {"num_candidates": 6}
    versions = []
    for source in sorted(FIXTURES.glob("journal-*-simulated")):
        run = place.folder / source.name
        shutil.copytree(source, run)
        with closing(sqlite3.connect(run / "archsearch.db")) as connection:
            ((version,),) = connection.execute("SELECT value FROM about WHERE name = 'schema'")
        kept, begun = kept_keys(run), len(place.begun)
        place.simulate(plan="whole", changes=changes, run=str(run)).ends_with(0)
        again = kept.intersection(place.begun[begun:])
        expect(not again, f"version {version}: {len(again)} finished trials were computed again")
        differs = difference(run, place.whole("whole", **changes))
        expect(not differs, f"version {version}: these differ: {differs}")
        versions.append(f"{version} ({len(kept)} trials)")
    return f"versions {', '.join(versions)}: none computed again; all tables equal"


def _killed_half_way(place: Place) -> Path:
    place.simulate_until(25, seconds=0.02).kill()
    journal = place.run / "archsearch.db"
    expect(journal.with_name("archsearch.db-wal").stat().st_size > 0, "there was nothing in the WAL")
    return journal


def _ends_as_simulated(place: Place) -> str:
    place.simulate_to_the_same_end()
    return f"{place.num_repeated} trials computed again; all tables equal"


@fault(
    "wal-lost",
    "kill -9, then the file of the WAL is lost",
    "what the journal's own file holds is whole; the rest is computed again to the same end",
    fast=True,
)
def wal_lost(place: Place) -> str:
    journal = _killed_half_way(place)
    for suffix in ("-wal", "-shm"):
        journal.with_name(f"{journal.name}{suffix}").unlink(missing_ok=True)
    return _ends_as_simulated(place)


@fault(
    "wal-torn",
    "kill -9, then the end of the WAL is noise, as after a power cut",
    "commits before it are kept, the rest is computed again to the same end",
    fast=True,
)
def wal_torn(place: Place) -> str:
    journal = _killed_half_way(place)
    wal = journal.with_name("archsearch.db-wal")
    _overwrite(wal, wal.stat().st_size * 3 // 4, b"\xa5" * (wal.stat().st_size // 4))
    return _ends_as_simulated(place)


@fault(
    "journal-held-by-others",
    "another program holds the journal for three seconds",
    "the search waits and goes on to the same end",
    fast=True,
)
def journal_held_by_others(place: Place) -> str:
    sitting = place.simulate_until(5, seconds=0.02)
    script = (
        "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30); "
        "c.execute('BEGIN IMMEDIATE'); time.sleep(3); c.execute('ROLLBACK'); print('held')"
    )
    holder = place.start([sys.executable, "-c", script, str(place.run / "archsearch.db")])
    holder.ends_with(0).says("held")
    sitting.ends_with(0)
    place.expect_same_end()
    return "it waited; exit 0, all tables equal"


@fault(
    "steps-contradict",
    "a step in the journal is replaced, with its checksum, by another decision",
    "resume stops, exit 1 or 2, and names the step and both versions",
)
def steps_contradict(place: Place) -> str:
    from archsearch.run.journal_schema import checksum

    journal = _stopped_half_way(place)
    with closing(sqlite3.connect(journal)) as connection:
        ((number, text),) = connection.execute("SELECT number, record FROM steps ORDER BY number DESC LIMIT 1")
    text = json.dumps({**json.loads(text), "stage": "somewhere else"})
    statement = "UPDATE steps SET record = ?, checksum = ? WHERE number = ?"
    _rewrite(journal, statement, text, checksum(number, text), number)
    ended = place.resume().end()
    expect(ended.code in {1, 2}, f"exit code {ended.code}: {ended.text[-400:]}")
    ended.says(f"step {number}", "stage", "version")
    return f"exit {ended.code}: step {number} differs in its stage"
