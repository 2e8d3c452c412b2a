"""The journal keeps what it is given, and says what is wrong with a file."""

import sqlite3
from pathlib import Path

import pytest
from shared_simulation import answer, make_plan, simulate

from archsearch.errors import FileFormatError, SearchStateError
from archsearch.run.journal import Journal


@pytest.fixture
def journal(tmp_path):
    journal = Journal.create(tmp_path / "archsearch.db")
    yield journal
    journal.close()


@pytest.fixture(scope="module")
def search():
    return simulate(make_plan(num_candidates=3))


def test_results_come_back_as_they_went_in(journal, search):
    for trial in search.trials[:20]:
        assert journal.result(trial.key) is None
        journal.add_trial(trial, answer(trial))
    for trial in search.trials[:20]:
        assert journal.result(trial.key) == answer(trial)
    rows = list(journal.trials())
    assert [row.key for row in rows] == [trial.key for trial in search.trials[:20]]
    assert [row.setting for row in rows] == [trial.setting for trial in search.trials[:20]]
    assert journal.num_trials() == 20


def test_a_trial_is_kept_once(journal, search):
    trial = search.trials[0]
    journal.add_trial(trial, answer(trial))
    with pytest.raises(SearchStateError, match="could not be kept"):
        journal.add_trial(trial, answer(trial))
    assert journal.num_trials() == 1


def test_another_process_sees_every_kept_trial(journal, search, tmp_path):
    for trial in search.trials[:5]:
        journal.add_trial(trial, answer(trial))
    reader = Journal.open(tmp_path / "archsearch.db", read_only=True)
    assert reader.num_trials() == 5
    reader.close()


def test_steps_are_compared_with_the_kept_ones(journal, search):
    for outcome in search.outcomes:
        journal.add_step(outcome)
        journal.add_step(outcome)
    assert list(journal.step_records()) == search.records
    other = simulate(make_plan(num_candidates=3, root_seed=7)).outcomes[1]
    with pytest.raises(SearchStateError, match=r"step 1: the journal holds another decision.*different: .*cells"):
        journal.add_step(other)


def test_an_existing_journal_is_never_overwritten(journal, tmp_path):
    with pytest.raises(SearchStateError, match="never overwritten"):
        Journal.create(tmp_path / "archsearch.db")


def test_files_that_are_no_journal_are_named(tmp_path):
    with pytest.raises(SearchStateError, match="found no such file"):
        Journal.open(tmp_path / "missing.db")
    text = tmp_path / "text.db"
    text.write_text("rank,cell\n1,c_0\n" * 500)
    with pytest.raises(FileFormatError, match="damaged"):
        Journal.open(text)
    Path(tmp_path / "future.db").unlink(missing_ok=True)
    Journal.create(tmp_path / "future.db").close()
    connection = sqlite3.connect(tmp_path / "future.db")
    with connection:
        connection.execute("UPDATE about SET value = '99'")
    connection.close()
    with pytest.raises(FileFormatError, match="found 99: a newer archsearch"):
        Journal.open(tmp_path / "future.db")
