"""A disk that does not take what a search has found: full, read-only, away."""

import errno
import logging
import os
import shutil
import sqlite3
import subprocess
from contextlib import contextmanager, nullcontext

import pytest
from shared_simulation import SilentObserver, SimulatedEvaluator, answer, make_plan, simulate

from archsearch.errors import FileFormatError, SearchStateError
from archsearch.run import keeping, live_views
from archsearch.run.folder import RunFolder
from archsearch.run.interrupts import Interrupts
from archsearch.run.journal import Journal, JournalWriteError
from archsearch.run.keeping import Keeper
from archsearch.run.reading import load_run
from archsearch.run.session import run_search

PLAN = make_plan(num_candidates=4, tasks=make_plan().tasks[:1])


class Clock:
    """Time that passes only while somebody waits; something may happen meanwhile."""

    def __init__(self):
        self.now = 0.0
        self.pauses = []
        self.events = {}

    def pause(self, seconds):
        self.now += seconds
        self.pauses.append(seconds)
        self.events.get(len(self.pauses), lambda: None)()


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(Interrupts, "pause", lambda _interrupts, seconds: clock.pause(seconds))
    monkeypatch.setattr(Keeper.__init__, "__defaults__", (nullcontext, clock.pause, lambda: clock.now))
    return clock


class FullDisk:
    """Lets commits fail from one moment to another."""

    def __init__(self, monkeypatch, message="database or disk is full"):
        self.is_full = False
        write = Journal._write

        def fail(journal, statement, rows, what):
            if self.is_full and rows:
                error = sqlite3.OperationalError(message)
                raise JournalWriteError(f"{journal._path}: {what} could not be kept ({error}).") from error
            write(journal, statement, rows, what)

        monkeypatch.setattr(Journal, "_write", fail)

    def fill(self):
        self.is_full = True

    def free(self):
        self.is_full = False


class Filling(SimulatedEvaluator):
    """Fills the disk after some trials."""

    def __init__(self, disk, after):
        super().__init__()
        self.disk = disk
        self.after = after

    def evaluate(self, trial):
        result = super().evaluate(trial)
        if len(self.keys) == self.after:
            self.disk.fill()
        return result


def tables(path):
    return [(path / name).read_text() for name in ("leaderboard.csv", "trials.csv", "candidates.csv", "summary.json")]


def search(tmp_path, name, evaluator):
    path = tmp_path / name
    folder = RunFolder.open(path) if path.exists() else RunFolder.create(tmp_path, name, "test")
    run_search(PLAN, folder, evaluator, 0, SilentObserver())
    return path


@pytest.mark.parametrize(
    "message",
    [
        "database or disk is full",
        "attempt to write a readonly database",
        "disk I/O error",
        "unable to open database file",
    ],
)
def test_a_search_goes_on_when_the_disk_takes_results_again(tmp_path, monkeypatch, clock, caplog, message):
    disk = FullDisk(monkeypatch, message)
    clock.events[4] = disk.free
    evaluator = Filling(disk, 50)
    with caplog.at_level(logging.WARNING):
        path = search(tmp_path, "run", evaluator)
    assert clock.pauses == [1, 2, 4, 8]
    assert message in caplog.text
    assert str(path) in caplog.text
    assert "the search goes on" in caplog.text
    assert len(set(evaluator.keys)) == len(evaluator.keys), "a trial was computed while the disk was full, or twice"
    assert tables(path) == tables(search(tmp_path, "whole", SimulatedEvaluator()))


def test_a_search_gives_up_in_the_end_and_goes_on_later(tmp_path, monkeypatch, clock):
    disk = FullDisk(monkeypatch)
    evaluator = Filling(disk, 50)
    with pytest.raises(
        SearchStateError, match=r"tried for 30 min. 1 finished trials could not be kept.*resume the run"
    ):
        search(tmp_path, "run", evaluator)
    assert len(evaluator.keys) == 50
    assert max(clock.pauses) == keeping.LONGEST_PAUSE_SECONDS
    assert 1700 < sum(clock.pauses) <= 1800
    disk.free()
    assert len(load_run(tmp_path / "run").trials()) == 49
    again = SimulatedEvaluator()
    path = search(tmp_path, "run", again)
    assert again.keys[0] == evaluator.keys[-1]
    assert tables(path) == tables(search(tmp_path, "whole", SimulatedEvaluator()))


def test_patience_is_a_setting_of_the_machine(tmp_path, monkeypatch, clock):
    monkeypatch.setenv(keeping.PATIENCE, "10")
    disk = FullDisk(monkeypatch)
    with pytest.raises(SearchStateError, match="tried for 10 s"):
        search(tmp_path, "run", Filling(disk, 50))
    assert sum(clock.pauses) <= 10


def test_an_interrupt_is_heard_while_the_disk_is_full(tmp_path, monkeypatch, clock):
    from archsearch.run.session import Stopped

    def interrupt():
        disk.free()
        raise KeyboardInterrupt

    disk = FullDisk(monkeypatch)
    clock.events[3] = interrupt
    evaluator = Filling(disk, 50)
    with pytest.raises(Stopped):
        search(tmp_path, "run", evaluator)
    assert len(load_run(tmp_path / "run").trials()) == 50, "what had finished could be kept at the last moment"


def test_a_taken_key_and_a_damaged_file_are_not_tried_again(tmp_path, clock):
    journal = Journal.create(tmp_path / "archsearch.db")
    keeper = Keeper(journal)
    trial = simulate(PLAN).trials[0]
    keeper.add_trials([(trial, answer(trial))])
    with pytest.raises(SearchStateError, match="could not be kept"):
        keeper.add_trials([(trial, answer(trial))])
    assert clock.pauses == []
    journal.close()
    (tmp_path / "archsearch.db").write_bytes(b"no journal" * 1000)
    with pytest.raises(FileFormatError, match="archsearch repair"):
        journal.reopen()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_views_that_cannot_be_written_end_no_search(tmp_path, monkeypatch, caplog, code):
    def refuse(*_arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(live_views, "SECONDS_BETWEEN_VIEWS", -1.0)
    monkeypatch.setattr("archsearch.run.view_files._write", refuse)
    with caplog.at_level(logging.WARNING):
        path = search(tmp_path, "run", SimulatedEvaluator())
    assert len([record for record in caplog.records if "views cannot be written" in record.getMessage()]) == 1
    assert not (path / "trials.csv").exists()
    monkeypatch.undo()
    assert tables(search(tmp_path, "run", SimulatedEvaluator())) == tables(
        search(tmp_path, "whole", SimulatedEvaluator())
    )


MOUNT, UNMOUNT = shutil.which("mount") or "/bin/mount", shutil.which("umount") or "/bin/umount"


@contextmanager
def small_disk(path, size):
    """Mounts a file system in memory, which only root may."""
    path.mkdir()
    if os.geteuid() or subprocess.run([MOUNT, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path]).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield path
    finally:
        subprocess.run([UNMOUNT, "--lazy", path], check=True)


def test_a_disk_that_is_really_full(tmp_path, clock):
    """A small disk fills up and nobody makes room until the search has given up."""
    with small_disk(tmp_path / "disk", "400k") as disk:
        with pytest.raises(SearchStateError, match=r"could not be kept \((database or disk is full|disk I/O error)"):
            search(disk, "run", SimulatedEvaluator())
        journal = Journal.open(disk / "run" / "archsearch.db", read_only=True)
        journal.check()
        assert 0 < journal.num_trials() < 90
        journal.close()
        enlarge(disk)
        assert tables(search(disk, "run", SimulatedEvaluator())) == tables(
            search(tmp_path, "whole", SimulatedEvaluator())
        )


def test_a_disk_that_is_really_full_for_a_while(tmp_path, clock):
    with small_disk(tmp_path / "disk", "400k") as disk:
        clock.events[3] = lambda: enlarge(disk)
        evaluator = SimulatedEvaluator()
        path = search(disk, "run", evaluator)
        assert len(clock.pauses) == 3
        assert len(set(evaluator.keys)) == len(evaluator.keys)
        assert tables(path) == tables(search(tmp_path, "whole", SimulatedEvaluator()))


def enlarge(disk):
    subprocess.run([MOUNT, "-o", "remount,size=100m", disk], check=True)
