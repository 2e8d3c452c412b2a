"""The files that show a run: whole, ours, rebuilt when they are not; what others wrote into them is kept."""

import logging
import os
import random
import resource
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from shared_runs import SMALL_PLAN
from shared_simulation import SilentObserver, SimulatedEvaluator, answer, make_plan

from archsearch.errors import SearchStateError
from archsearch.run import live_views, session
from archsearch.run.execution import Execution
from archsearch.run.folder import RunFolder
from archsearch.run.journal import Journal
from archsearch.run.reading import load_run, restore_views
from archsearch.run.session import Stopped, run_search
from archsearch.run.view_files import VIEWS, ViewFiles
from archsearch.run.views import to_csv
from archsearch.run.whole_files import write_atomically


def files(folder):
    return {name: (folder.path / name).read_bytes() for name in VIEWS} | {
        path.name: path.read_bytes() for path in (folder.path / "cells").glob("*.json")
    }


def resume(folder, **changes):
    run_search(replace(SMALL_PLAN, **changes), folder, SimulatedEvaluator(), 0, SilentObserver())


def by_reading(folder, tmp_path):
    """Returns the views as they are made from the journal alone."""
    copy = RunFolder(shutil.copytree(folder.path, tmp_path / "read"))
    for name in VIEWS:
        (copy.path / name).unlink()
    shutil.rmtree(copy.path / "cells")
    restore_views(load_run(copy.path))
    return files(copy)


def test_views_of_a_running_search_and_of_its_journal_are_the_same_bytes(whole, tmp_path):
    assert by_reading(whole, tmp_path) == files(whole)


def test_views_that_were_written_often_are_the_same_bytes(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(live_views, "SECONDS_BETWEEN_VIEWS", -1.0)
    monkeypatch.setattr(live_views, "SHARE_OF_TIME_FOR_VIEWS", 1e9)
    monkeypatch.setattr(live_views, "ROWS_AT_ONCE", 7)
    folder = RunFolder.create(tmp_path, "run", "test")
    run_search(SMALL_PLAN, folder, SimulatedEvaluator(), 0, SilentObserver())
    assert files(folder) == files(whole)


@pytest.mark.parametrize("after", [20, 75, 80, 90])
def test_a_stopped_run_shows_the_trials_that_no_step_has_consumed(tmp_path, after):
    folder = RunFolder.create(tmp_path, "run", "test")
    with pytest.raises(Stopped):
        run_search(SMALL_PLAN, folder, SimulatedEvaluator(after), 0, SilentObserver())
    assert (folder.path / "trials.csv").read_bytes().count(b"\n") == 1 + after
    assert by_reading(folder, tmp_path) == files(folder)


class Scrambled:
    """Ends units in a random order, eight at once, and stops the search by a signal after some of them."""

    num_slots = 8

    def __init__(self, stop_after, seed):
        self._units, self._num_ended, self._stop_after, self._rng = [], 0, stop_after, random.Random(seed)

    def submit(self, unit):
        self._units.append(unit)

    def wait(self, _timeout_seconds):
        if not self._units:
            return []
        self._num_ended += 1
        if self._num_ended == self._stop_after:
            os.kill(os.getpid(), signal.SIGTERM)
        return [self._ended(self._rng.randrange(len(self._units)))]

    def _ended(self, index):
        unit = self._units.pop(index)
        return unit, tuple(map(answer, unit))

    def collect(self):
        return [self._ended(0)] if self._units else []

    def close(self):
        self._units.clear()


LONG_PLAN = make_plan(num_candidates=30)


def sit(folder, monkeypatch, stop_after, seed, grace_seconds):
    """Runs or continues a search; returns whether it came to its end."""
    monkeypatch.setattr(session, "make_executor", lambda *_arguments: Scrambled(stop_after, seed))
    execution = Execution(grace_seconds=grace_seconds)
    try:
        run_search(LONG_PLAN, folder, SimulatedEvaluator(), execution, SilentObserver())
    except Stopped:
        return False
    return True


@pytest.mark.parametrize(("stop_after", "grace_seconds"), [(147, 60), (183, 60), (201, 0), (201, 60), (255, 60)])
def test_views_of_a_stopped_run_show_what_its_journal_holds(tmp_path, monkeypatch, stop_after, grace_seconds):
    folder = RunFolder.create(tmp_path, "run", "test")
    assert not sit(folder, monkeypatch, stop_after, stop_after, grace_seconds)
    assert by_reading(folder, tmp_path) == files(folder)


def note_each_view(monkeypatch, look):
    """Lets views be written after every step; returns a list that gets what `look` returns after each time."""
    monkeypatch.setattr(live_views, "SECONDS_BETWEEN_VIEWS", -1.0)
    monkeypatch.setattr(live_views, "SHARE_OF_TIME_FOR_VIEWS", 1e9)
    seen = []
    write = ViewFiles.replace

    def noting(self, contents):
        write(self, contents)
        seen.append(look())

    monkeypatch.setattr(ViewFiles, "replace", noting)
    return seen


@pytest.mark.parametrize("seed", range(3))
def test_no_trial_is_shown_twice_after_stops(tmp_path, monkeypatch, seed):
    folder = RunFolder.create(tmp_path, "run", "test")
    shown = note_each_view(monkeypatch, lambda: pd.read_csv(folder.path / "trials.csv")["key"])
    for stop_after in (160 + 7 * seed, 60, None):
        sit(folder, monkeypatch, stop_after, seed, 60)
    assert not any(keys.duplicated().any() for keys in shown)
    assert list(map(len, shown)) == sorted(map(len, shown))
    assert by_reading(folder, tmp_path) == files(folder)


def test_what_an_interrupt_let_reach_the_journal_alone_is_shown(tmp_path, monkeypatch):
    """The signal comes while a commit holds it back, so that nobody hears of what was committed."""
    folder = RunFolder.create(tmp_path, "run", "test")
    add = Journal.add_trials

    def interrupted(journal, finished):
        add(journal, finished)
        if finished and journal.num_trials() == 90:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Journal, "add_trials", interrupted)
    with pytest.raises(Stopped):
        run_search(SMALL_PLAN, folder, SimulatedEvaluator(), 0, SilentObserver())
    assert (folder.path / "trials.csv").read_bytes().count(b"\n") == 1 + 90
    assert by_reading(folder, tmp_path) == files(folder)


def test_a_table_on_a_disk_that_was_full_for_a_while_has_no_row_twice(tmp_path):
    rows = [pd.Series({"key": f"trial {number} " + 50 * "x"}) for number in range(90)]
    spool = live_views.Spool(RunFolder(tmp_path), lambda some: pd.DataFrame(some, columns=["key"]))
    for row in rows[:30]:
        spool.add(row)
    assert b"".join(spool.pieces()).count(b"\n") == 31
    for row in rows[30:]:
        spool.add(row)
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
    try:
        for _ in range(3):
            with pytest.raises(OSError, match="too large"):
                list(spool.pieces())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    text = b"".join(spool.pieces()).decode()
    assert text == to_csv(pd.DataFrame(rows))
    spool.close()


@pytest.mark.parametrize("name", VIEWS)
def test_an_edited_view_is_kept_beside_and_written_anew(whole, folder, caplog, name):
    path = folder.path / name
    for number in (1, 2):
        path.write_text(f"edited {number}\n")
        with caplog.at_level(logging.WARNING):
            resume(folder)
        assert (folder.path / f"{name}.edited-{number}").read_text() == f"edited {number}\n"
    assert files(folder) == files(whole)
    warnings = [record.getMessage() for record in caplog.records]
    assert [f"{name}.edited-{number}" in warning for number, warning in zip((1, 2), warnings, strict=True)] == [
        True
    ] * 2


def test_views_that_could_not_be_renamed_for_a_while_are_still_known_as_ours(whole, folder, monkeypatch, caplog):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_paths: (_ for _ in ()).throw(PermissionError(1, "not permitted")))
        for more in (1, 2, 3):  # each time other tables, which do not get their place
            resume(folder, num_candidates=SMALL_PLAN.num_candidates + more)
    caplog.clear()
    resume(folder, num_candidates=SMALL_PLAN.num_candidates + 4)
    assert not [path.name for path in folder.path.iterdir() if "edited" in path.name]
    assert "changed by another program" not in caplog.text


def test_an_edit_in_mid_search_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(live_views, "SECONDS_BETWEEN_VIEWS", -1.0)
    monkeypatch.setattr(live_views, "SHARE_OF_TIME_FOR_VIEWS", 1e9)
    folder = RunFolder.create(tmp_path, "run", "test")

    class Editing(SilentObserver):
        def step_consumed(self, outcome, evolution):  # noqa: ARG002
            if outcome.number == 4:
                (folder.path / "leaderboard.csv").write_text("mine")

    run_search(SMALL_PLAN, folder, SimulatedEvaluator(), 0, Editing())
    assert (folder.path / "leaderboard.csv.edited-1").read_text() == "mine"
    assert len(list(folder.path.glob("*.edited-*"))) == 1


@pytest.mark.parametrize("name", VIEWS)
def test_the_leaderboard_command_restores_what_is_missing_or_damaged(whole, folder, name):
    (folder.path / name).unlink()
    restore_views(load_run(folder.path))
    assert files(folder) == files(whole)
    data = bytearray((whole.path / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder.path / name).write_bytes(data)
    restore_views(load_run(folder.path))
    assert files(folder) == files(whole)
    assert (folder.path / f"{name}.edited-1").read_bytes() == data


def test_views_that_are_as_written_are_not_touched(folder):
    before = {name: (folder.path / name).stat().st_mtime_ns for name in VIEWS}
    restore_views(load_run(folder.path))
    assert {name: (folder.path / name).stat().st_mtime_ns for name in VIEWS} == before


def test_under_a_running_search_views_are_left_to_it(folder, caplog):
    (folder.path / "trials.csv").unlink()
    with folder.locked(), caplog.at_level(logging.WARNING):
        restore_views(load_run(folder.path))
    assert "another process" in caplog.text
    assert not (folder.path / "trials.csv").exists()


def test_a_cell_file_that_holds_another_cell_is_written_anew(whole, folder):
    one, other = sorted((folder.path / "cells").glob("*.json"))[:2]
    one.write_text(other.read_text())
    resume(folder)
    assert files(folder) == files(whole)
    assert (folder.path / "cells" / f"{one.name}.edited-1").read_text() == other.read_text()


def test_a_cell_file_of_another_layout_is_right(folder):
    path = next((folder.path / "cells").glob("*.json"))
    text = path.read_text().replace("\n", " ") + "\n"
    path.write_text(text)
    resume(folder)
    assert path.read_text() == text


def test_a_resume_never_shows_less_than_was_shown(folder, monkeypatch):
    """While a search goes again through what the journal holds, the views know more than it does."""

    def count_lines():
        return (folder.path / "trials.csv").read_bytes().count(b"\n")

    before = count_lines()
    num_lines = note_each_view(monkeypatch, count_lines)
    resume(folder, num_candidates=12)
    assert min(num_lines) >= before
    assert len(num_lines) > 1


def test_a_resume_that_is_stopped_early_rebuilds_missing_views(whole, folder):
    (folder.path / "candidates.csv").unlink()

    class Stopping(SilentObserver):
        def step_consumed(self, outcome, evolution):  # noqa: ARG002
            raise KeyboardInterrupt

    with pytest.raises(Stopped):
        run_search(SMALL_PLAN, folder, SimulatedEvaluator(), 0, Stopping())
    assert files(folder) == files(whole)


def test_leftovers_of_writers_that_were_killed_are_removed(folder):
    left = [folder.path / ".trials.csv.4321", folder.path / "cells" / ".c_0.json.4321"]
    others = [folder.path / ".~lock.leaderboard.csv#", folder.path / ".hidden"]
    for path in left + others:
        path.write_text("")
    resume(folder)
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in others)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, "old")

    def fail(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_of_a_time_before_digests_has_no_edited_views(folder):
    journal = Journal.open(folder.journal_path)
    journal.note("view digests", "{}")
    journal.close()
    (folder.path / "leaderboard.csv").write_text("of an earlier version")
    resume(folder)
    assert not list(folder.path.glob("*.edited-*"))


class Reading(SilentObserver):
    """Reads the run whenever something happens, as people do while it is being written."""

    def __init__(self, path):
        self.path = path
        self.counts = []

    def trial_answered(self, trial, result, *, recorded):  # noqa: ARG002
        if len(self.counts) % 7 == 0:
            run = load_run(self.path)
            self.counts.append((len(run.trials()), len(run.candidates()), len(run.leaderboard())))
        else:
            self.counts.append(self.counts[-1])


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_run_can_be_read_while_it_is_written(tmp_path, monkeypatch, mode):
    monkeypatch.setenv("ARCHSEARCH_JOURNAL_MODE", mode)
    folder = RunFolder.create(tmp_path, "run", "test")
    observer = Reading(folder.path)
    run_search(SMALL_PLAN, folder, SimulatedEvaluator(), 0, observer)
    assert observer.counts == sorted(observer.counts)
    assert observer.counts[0][0] == 1


def test_steps_and_trials_that_come_while_a_reader_reads_fit_together(whole, tmp_path, monkeypatch):
    """A writer adds trials and the step that consumes them after the reader has begun."""
    folder = RunFolder.create(tmp_path, "run", "test")
    with pytest.raises(Stopped):
        run_search(SMALL_PLAN, folder, SimulatedEvaluator(80), 0, SilentObserver())
    scan = Journal._scan
    tables = []

    def scan_slowly(journal, columns, table):
        tables.append(table)
        if len(tables) == 2:
            monkeypatch.setattr(Journal, "_scan", scan)
            run_search(SMALL_PLAN, folder, SimulatedEvaluator(), 0, SilentObserver())
        return scan(journal, columns, table)

    monkeypatch.setattr(Journal, "_scan", scan_slowly)
    run = load_run(folder.path)
    assert tables == ["steps", "trials"]
    assert len(run.trials()) == len(load_run(whole.path).trials())
    assert len(run.candidates()) < len(load_run(whole.path).candidates())


def test_a_journal_is_not_read_again_for_views(whole, folder, monkeypatch):
    """The cost of views must not grow with what came before."""

    def refuse(*_arguments, **_options):
        raise SearchStateError("the whole journal was read")

    monkeypatch.setattr(Journal, "trials", refuse)
    monkeypatch.setattr(Journal, "step_records", refuse)
    (folder.path / "trials.csv").unlink()
    resume(folder)
    assert files(folder) == files(whole)
