"""Journals of every released version, kept as files: they open, read equal, are brought to our version, and go on."""

import shutil
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
from shared_simulation import SilentObserver, SimulatedEvaluator, make_plan

from archsearch.errors import FileFormatError
from archsearch.run import journal_schema
from archsearch.run.folder import RunFolder
from archsearch.run.journal import Journal
from archsearch.run.journal_schema import SCHEMA_VERSION
from archsearch.run.reading import load_run
from archsearch.run.repair import repair_journal
from archsearch.run.session import run_search

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("journal-*"))
STOPPED = [fixture for fixture in FIXTURES if fixture.name.endswith("simulated")]
PLAN = make_plan(num_candidates=6)
RENAMED = {"accuracy": "value"}


@pytest.fixture(params=FIXTURES, ids=lambda path: path.name)
def folder(request, tmp_path):
    return RunFolder(shutil.copytree(request.param, tmp_path / "run"))


def version_of(folder):
    connection = sqlite3.connect(folder.journal_path)
    (version,) = connection.execute("SELECT value FROM about WHERE name = 'schema'").fetchone()
    connection.close()
    return int(version)


def assert_reads_as_then(folder):
    """Compares what is read with the views of the time: every column that they had, under its name of today."""
    run = load_run(folder.path)
    for name, frame in (("leaderboard", run.leaderboard()), ("trials", run.trials()), ("candidates", run.candidates())):
        then = pd.read_csv(folder.path / f"{name}.csv").rename(columns=RENAMED)
        pd.testing.assert_frame_equal(frame[list(then)], then)


def contents(folder):
    journal = Journal.open(folder.journal_path, read_only=True)
    try:
        return list(journal.trials()), list(journal.step_records())
    finally:
        journal.close()


def test_there_is_a_fixture_of_every_version():
    assert {int(path.name.split("-")[1]) for path in FIXTURES} == set(range(1, SCHEMA_VERSION + 1))


def test_a_reader_finds_what_was_written_and_leaves_the_file_alone(folder):
    before, version = folder.journal_path.read_bytes(), version_of(folder)
    assert_reads_as_then(folder)
    assert folder.journal_path.read_bytes() == before
    assert version_of(folder) == version


def test_a_writer_brings_it_to_our_version(folder):
    before = contents(folder)
    Journal.open(folder.journal_path).close()
    assert version_of(folder) == SCHEMA_VERSION
    assert contents(folder) == before
    assert_reads_as_then(folder)


def test_a_writer_that_is_killed_half_way_leaves_the_old_version(folder, monkeypatch):
    version, before = version_of(folder), contents(folder)
    if version == SCHEMA_VERSION:
        pytest.skip("nothing to bring forward")

    def fail(*_columns):
        raise KeyboardInterrupt

    monkeypatch.setattr(journal_schema, "checksum", fail)
    with pytest.raises(KeyboardInterrupt):
        Journal.open(folder.journal_path)
    monkeypatch.undo()
    assert version_of(folder) == version
    assert contents(folder) == before


@pytest.mark.parametrize("fixture", STOPPED, ids=lambda path: path.name)
def test_a_stopped_search_goes_on_from_it(fixture, tmp_path):
    folder = RunFolder(shutil.copytree(fixture, tmp_path / "run"))
    num_kept = len(load_run(folder.path).trials())
    evaluator = SimulatedEvaluator()
    run_search(PLAN, folder, evaluator, 0, SilentObserver())
    whole = RunFolder.create(tmp_path, "whole", "test")
    run_search(PLAN, whole, SimulatedEvaluator(), 0, SilentObserver())
    for name in ("leaderboard.csv", "trials.csv", "candidates.csv", "summary.json"):
        assert (folder.path / name).read_bytes() == (whole.path / name).read_bytes()
    assert len(evaluator.keys) == len(load_run(whole.path).trials()) - num_kept


def test_repair_reads_every_version(folder):
    before = contents(folder)
    data = bytearray(folder.journal_path.read_bytes())
    data[16:100] = bytes(84)  # the rest of the header
    folder.journal_path.write_bytes(data)
    repair = repair_journal(folder)
    assert repair.num_trials == len(before[0])
    assert repair.num_steps == len(before[1])
    assert contents(folder) == before
    assert_reads_as_then(folder)


def test_a_newer_version_is_refused_by_all(folder):
    connection = sqlite3.connect(folder.journal_path)
    with connection:
        connection.execute("UPDATE about SET value = '99' WHERE name = 'schema'")
    connection.close()
    before = folder.journal_path.read_bytes()
    for use in (
        lambda: Journal.open(folder.journal_path),
        lambda: Journal.open(folder.journal_path, read_only=True),
        lambda: repair_journal(folder),
    ):
        with pytest.raises(FileFormatError, match=f"version 1 to {SCHEMA_VERSION}, found 99: a newer archsearch"):
            use()
    assert folder.journal_path.read_bytes() == before
