"""A damaged journal: said to be so, repaired, continued to the end that an undisturbed one has."""

import random
import shutil
import sqlite3
from contextlib import closing

import pandas as pd
import pytest
from shared_runs import SMALL_PLAN, views
from shared_simulation import SilentObserver, SimulatedEvaluator

from archsearch.errors import FileFormatError, SearchStateError
from archsearch.run.folder import RunFolder
from archsearch.run.journal import Journal
from archsearch.run.reading import load_run
from archsearch.run.repair import repair_journal
from archsearch.run.session import run_search

PAGE = 4096


def flip_bytes(data, rng):
    for _ in range(rng.randrange(1, 40)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def blank_pages(data, rng):
    for _ in range(rng.randrange(1, 6)):
        start = rng.randrange(len(data) // PAGE) * PAGE
        data[start : start + PAGE] = rng.choice([b"\x00", b"\xff"]) * PAGE


def shuffle_pages(data, rng):
    pages = [data[start : start + PAGE] for start in range(0, len(data), PAGE)]
    some = rng.sample(range(len(pages)), min(4, len(pages)))
    moved = [pages[index] for index in some]
    for index, page in zip(some, moved[1:] + moved[:1], strict=True):
        pages[index] = page
    data[:] = b"".join(pages)


def cut_off(data, rng):
    del data[rng.randrange(PAGE // 2, len(data)) :]


def scribble(data, rng):
    start = rng.randrange(len(data))
    length = min(rng.randrange(1, 3 * PAGE), len(data) - start)
    data[start : start + length] = rng.randbytes(length)


DAMAGES = (flip_bytes, blank_pages, shuffle_pages, cut_off, scribble)


def damage(folder, seed):
    rng = random.Random(seed)
    data = bytearray(folder.journal_path.read_bytes())
    DAMAGES[seed % len(DAMAGES)](data, rng)
    folder.journal_path.write_bytes(data)
    return bytes(data)


@pytest.mark.parametrize("seed", range(20))
def test_a_repaired_journal_ends_as_an_undisturbed_one(whole, folder, seed):
    before = damage(folder, seed)
    try:
        repair = repair_journal(folder)
    except FileFormatError as error:
        assert "no row of a journal was found" in str(error)  # noqa: PT017 - either is right
        assert folder.journal_path.read_bytes() == before
        return
    if repair.kept_as is not None:
        assert repair.kept_as.read_bytes() == before, "the damaged file was changed"
        assert repair.num_trials + repair.num_trials_lost <= 200
    if not repair.facts_lost:
        assert len(load_run(folder.path).trials()) == repair.num_trials
    run_search(SMALL_PLAN, folder, SimulatedEvaluator(), 0, SilentObserver())
    assert views(folder.path) == views(whole.path)


@pytest.mark.parametrize("seed", range(100, 140))
def test_damage_is_an_error_that_names_the_repair_or_does_no_harm(whole, folder, seed):
    """Whoever reads a damaged journal gets what was written, or an error that says what to do."""
    damage(folder, seed)
    try:
        run = load_run(folder.path)
    except FileFormatError as error:
        assert "archsearch repair run=" in str(error)  # noqa: PT017 - either is right
        return
    kept = run.trials().set_index("key")
    written = load_run(whole.path).trials().set_index("key")
    pd.testing.assert_frame_equal(kept, written.loc[kept.index])


def test_a_search_never_goes_on_from_a_damaged_journal(folder):
    data = bytearray(folder.journal_path.read_bytes())
    at = data.index(b'"value": 0.') + len(b'"value": 0.')
    data[at] = ord("9") if data[at] != ord("9") else ord("1")
    folder.journal_path.write_bytes(data)
    with pytest.raises(FileFormatError, match=r"the row is not what was written.*archsearch repair run="):
        run_search(SMALL_PLAN, folder, SimulatedEvaluator(), 0, SilentObserver())
    repair = repair_journal(folder)
    assert repair.num_trials_lost == 1


@pytest.mark.parametrize("name", ["plan", "plan parts", "tasks", "list_size", "penalty", "made_by"])
def test_a_damaged_fact_is_repaired_and_written_again(whole, folder, name):
    with closing(sqlite3.connect(folder.journal_path)) as connection, connection:
        connection.execute("UPDATE about SET value = value || ' ' WHERE name = ?", (name,))
    repair = repair_journal(folder)
    assert repair.kept_as is not None
    assert repair.facts_lost == ((name,) if name in {"plan", "tasks", "list_size", "penalty"} else ())
    assert repair_journal(folder).facts_lost == repair.facts_lost, "whole, but for what is lost"
    evaluator = SimulatedEvaluator()
    run_search(SMALL_PLAN, folder, evaluator, 0, SilentObserver())
    assert evaluator.keys == []
    assert repair_journal(folder).facts_lost == ()
    assert views(folder.path) == views(whole.path)
    assert load_run(folder.path).leaderboard().equals(load_run(whole.path).leaderboard())


def test_a_whole_journal_is_left_alone(folder):
    before = folder.journal_path.read_bytes()
    repair = repair_journal(folder)
    assert repair.kept_as is None
    assert repair.num_trials == len(load_run(folder.path).trials())
    assert folder.journal_path.read_bytes() == before


def test_rows_that_are_only_in_the_log_are_found(folder, tmp_path):
    """A driver was killed, and the file it left is damaged: the last commits stand in the log beside it."""
    killed = tmp_path / "killed"
    shutil.copytree(folder.path, killed)
    journal = Journal.open(folder.journal_path)
    journal.note("last words", "in the log")
    for name in ("archsearch.db", "archsearch.db-wal"):
        shutil.copy(folder.path / name, killed / name)
    journal.close()
    data = bytearray((killed / "archsearch.db").read_bytes())
    data[:100] = bytes(100)
    (killed / "archsearch.db").write_bytes(data)
    repair = repair_journal(RunFolder(killed))
    assert repair.kept_as is not None
    assert repair.num_trials_lost == 0
    reader = Journal.open(killed / "archsearch.db", read_only=True)
    assert reader.about("last words") == "in the log"
    reader.close()
    assert not (killed / "archsearch.db-wal").exists()


def test_steps_after_a_lost_trial_are_left_out(folder):
    journal = Journal.open(folder.journal_path)
    steps = list(journal.step_records())
    journal.close()
    lost = steps[3]["keys"][0]
    data = bytearray(folder.journal_path.read_bytes())
    data[data.index(f"{lost}{steps[3]['cells'][0]['digest']}".encode())] ^= 1  # key and cell stand side by side
    folder.journal_path.write_bytes(data)
    repair = repair_journal(folder)
    assert (repair.num_trials_lost, repair.num_steps, repair.num_steps_dropped) == (1, 3, len(steps) - 3)


def test_what_is_no_journal_is_left_as_it_is(tmp_path):
    folder = RunFolder(tmp_path)
    with pytest.raises(SearchStateError, match="found no such file"):
        repair_journal(folder)
    for content in (b"", b"rank,cell\n" * 1000, bytes(20 * PAGE), random.Random(0).randbytes(20 * PAGE)):
        folder.journal_path.write_bytes(content)
        with pytest.raises(FileFormatError, match="no row of a journal was found"):
            repair_journal(folder)
        assert folder.journal_path.read_bytes() == content


def test_nobody_repairs_under_a_running_search(folder):
    with folder.locked(), pytest.raises(SearchStateError, match="another process"):
        repair_journal(folder)
