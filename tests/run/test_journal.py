"""The journal keeps what it is given, and says what is wrong with a file."""

import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from shared_simulation import answer, make_plan, simulate

from archsearch.errors import FileFormatError, SearchStateError
from archsearch.run.journal import Journal, JournalWriteError
from archsearch.run.journal_file import explained


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


def test_files_that_are_damaged_name_the_repair(tmp_path, search):
    journal = Journal.create(tmp_path / "whole.db")
    for trial in search.trials[:60]:
        journal.add_trial(trial, answer(trial))
    journal.close()
    data = (tmp_path / "whole.db").read_bytes()
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE bookmarks (name TEXT)")
    other.commit()
    other.close()
    contents = {
        "empty": b"",
        "short": b"SQLite format 3\x00",
        "half": data[: len(data) // 2],
        "no header": bytes(100) + data[100:],
        "foreign": (tmp_path / "other.db").read_bytes(),
        "old page size": data[:16] + b"\x02\x00" + data[18:],
    }
    for name, content in contents.items():
        path = tmp_path / f"{name}.db"
        path.write_bytes(content)
        for read_only in (False, True):
            with pytest.raises(FileFormatError, match=f"archsearch repair run={tmp_path}"):
                read_all(path, read_only)
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(FileFormatError, match=r"it is a folder.*archsearch repair"):
        Journal.open(tmp_path / "folder.db")


def read_all(path, read_only):
    journal = Journal.open(path, read_only=read_only)
    try:
        return list(journal.trials())
    finally:
        journal.close()


def test_a_lost_log_loses_the_last_rows_and_no_more(journal, search, tmp_path):
    """Somebody has copied the file alone while a search wrote: what the file holds is whole."""
    for trial in search.trials[:30]:
        journal.add_trial(trial, answer(trial))
    copied = tmp_path / "copied.db"
    shutil.copy(tmp_path / "archsearch.db", copied)
    try:
        rows = read_all(copied, read_only=False)
    except FileFormatError as error:
        assert "archsearch repair" in str(error)  # noqa: PT017 - before the first checkpoint there are no tables
    else:
        assert [row.key for row in rows] == [trial.key for trial in search.trials[: len(rows)]]


@pytest.mark.parametrize("column", ["key", "cell", "setting", "max_steps", "result", "curve"])
def test_a_row_that_is_not_what_was_written_is_an_error(journal, search, tmp_path, column):
    journal.add_trial(search.trials[0], answer(search.trials[0]))
    journal.close()
    connection = sqlite3.connect(tmp_path / "archsearch.db")
    with connection:
        connection.execute(f"UPDATE trials SET {column} = {column} || '1'")  # noqa: S608
    connection.close()
    with pytest.raises(FileFormatError, match=r"the row is not what was written.*archsearch repair"):
        read_all(tmp_path / "archsearch.db", read_only=True)


def test_what_the_journal_says_of_its_run_is_compared_too(journal, tmp_path):
    journal.note("list_size", "100")
    journal.close()
    connection = sqlite3.connect(tmp_path / "archsearch.db")
    with connection:
        connection.execute("UPDATE about SET value = '900' WHERE name = 'list_size'")
    connection.close()
    reader = Journal.open(tmp_path / "archsearch.db", read_only=True)
    with pytest.raises(FileFormatError, match="'list_size': the row is not what was written"):
        reader.about("list_size")
    reader.close()


def test_results_that_arrive_together_are_kept_together(journal, search):
    journal.add_trial(search.trials[3], answer(search.trials[3]))
    with pytest.raises(SearchStateError, match="could not be kept"):
        journal.add_trials([(trial, answer(trial)) for trial in search.trials[:5]])
    assert journal.num_trials() == 1, "all or none"


def test_curves_can_be_left_out(journal, search):
    trial = search.trials[0]
    result = replace(answer(trial), curve=((1, 2.0, 0.5), (2, float("nan"), 0.25)))
    journal.add_trial(trial, result)
    (with_curve,), (without,) = list(journal.trials()), list(journal.trials(curves=False))
    assert repr(with_curve.result) == repr(result)
    assert without.result == replace(result, curve=())


@pytest.mark.parametrize("code", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_CANTOPEN])
def test_a_journal_that_cannot_be_had_just_now_is_not_called_damaged(tmp_path, code):
    error = sqlite3.OperationalError("not now")
    error.sqlite_errorcode = code
    explanation = explained(tmp_path / "archsearch.db", error)
    assert isinstance(explanation, SearchStateError)
    assert "just now (not now)" in str(explanation)


def test_shared_memory_that_cannot_be_written_is_never_touched(journal, search, monkeypatch):
    """Else the kernel ends the process with SIGBUS."""
    first, second, *_ = search.trials
    journal.add_trial(first, answer(first))
    with monkeypatch.context() as closed:
        closed.setattr("os.access", lambda path, _: not str(path).endswith("-shm"))
        with pytest.raises(JournalWriteError, match=r"archsearch\.db-shm cannot be written.*right to write"):
            journal.add_trial(second, answer(second))
        for touch in (journal.reopen, journal.num_trials):
            with pytest.raises(SearchStateError, match="cannot be used just now"):
                touch()
    journal.reopen()
    journal.add_trial(second, answer(second))
    assert journal.num_trials() == 2


def test_a_journal_whose_shared_memory_cannot_be_written_is_left_open(search, tmp_path, monkeypatch):
    journal, trial = Journal.create(tmp_path / "archsearch.db"), search.trials[0]
    journal.add_trial(trial, answer(trial))
    with monkeypatch.context() as closed:
        closed.setattr("os.access", lambda path, _: not str(path).endswith("-shm"))
        journal.close()
    assert (tmp_path / "archsearch.db-wal").stat().st_size > 0
    again = Journal.open(tmp_path / "archsearch.db")
    assert again.result(trial.key) == answer(trial)
    again.close()
