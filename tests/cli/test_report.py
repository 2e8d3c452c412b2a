"""`archsearch report` and `archsearch watch`, as a person uses them."""

import pytest

from archsearch.run.folder import RunFolder
from archsearch.run.reading import load_run


def test_the_report_goes_where_it_is_told_and_is_not_overwritten_there(archsearch, tiny_run, tmp_path):
    outcome = archsearch("report", f"run={tiny_run}", "out=pages/tiny.html")
    assert outcome.code == 0
    assert "Report: pages/tiny.html" in outcome.out
    page = (tmp_path / "pages" / "tiny.html").read_text(encoding="utf-8")
    for cell in load_run(tiny_run).leaderboard()["cell"]:
        assert f'id="{cell}"' in page
    assert "search.max_steps=2" in page, "the command line"
    assert "archsearch search" in page
    assert not (tiny_run / "report.html").exists()
    again = archsearch("report", f"run={tiny_run}", "out=pages/tiny.html")
    assert again.code == 2
    assert "exists" in again.err


def test_the_report_in_the_runs_folder_is_replaced(archsearch, tmp_path, tiny_words):
    assert archsearch("search", *tiny_words, "name=one").code == 0
    for _ in range(2):
        assert archsearch("report", "run=results/one").code == 0
    assert (tmp_path / "results" / "one" / "report.html").is_file()


def test_a_folder_that_cannot_be_written_to_is_named_with_the_way_out(archsearch, tiny_run, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    outcome = archsearch("report", f"run={tiny_run}")
    assert outcome.code == 2
    assert f"{tiny_run}: no page can be written into this folder. Name another file: out=" in outcome.err


@pytest.mark.parametrize("command", ["report", "watch"])
def test_a_folder_that_is_no_run_is_named(archsearch, command):
    outcome = archsearch(command, "run=nowhere")
    assert outcome.code == 2
    assert "nowhere: expected the folder of a run" in outcome.err


def test_watching_a_finished_run_ends_at_once(archsearch, tiny_run):
    for words in (("once=yes",), ("seconds=0",)):
        outcome = archsearch("watch", f"run={tiny_run}", *words)
        assert outcome.code == 0
        assert "candidates 1/1" in outcome.out
        assert "The search has ended." in outcome.out


def test_watching_a_stopped_run_says_how_to_go_on(archsearch, tiny_run, tmp_path):
    copied = tmp_path / "copy"
    copied.mkdir()
    for name in ("archsearch.db", "config.yaml"):
        text = (tiny_run / name).read_bytes()
        (copied / name).write_bytes(text.replace(b"candidates: 1\n", b"candidates: 9\n"))
    outcome = archsearch("watch", "run=copy", "seconds=0")
    assert outcome.code == 0
    assert "candidates 1/9" in outcome.out
    assert "Go on with:\n  archsearch resume run=copy" in outcome.out


def test_watching_a_run_at_work_says_so(archsearch, tiny_run, tmp_path):
    copied = tmp_path / "copy"
    copied.mkdir()
    (copied / "config.yaml").write_bytes((tiny_run / "config.yaml").read_bytes())
    with RunFolder(copied).locked():
        outcome = archsearch("watch", "run=copy", "once=yes")
    assert outcome.code == 0
    assert "has not begun" in outcome.out
    assert "The search is at work (process" in outcome.out


def test_watching_writes_curves_where_it_is_told(archsearch, tiny_run, tmp_path):
    pytest.importorskip("tensorboard")
    assert archsearch("watch", f"run={tiny_run}", "once=yes", "tensorboard=curves").code == 0
    assert len(list((tmp_path / "curves").iterdir())) == 1
    again = archsearch("watch", f"run={tiny_run}", "once=yes", "tensorboard=curves")
    assert again.code == 2
    assert "expected a new or empty folder" in again.err
