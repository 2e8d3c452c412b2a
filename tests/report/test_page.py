"""The page as text: complete, escaped, and loading nothing."""

import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from shared_reported_runs import EVIL, EVIL_ERROR, CurveEvaluator, reported_run
from shared_simulation import SilentObserver, make_plan

from archsearch.errors import SearchStateError
from archsearch.report.page import render_report, write_report
from archsearch.run.folder import RunFolder
from archsearch.run.journal import Journal
from archsearch.run.reading import load_run
from archsearch.run.session import run_search
from archsearch.trials.trial import TrialResult

FIXTURES = sorted((Path(__file__).parents[1] / "run" / "fixtures").glob("journal-*"))
VOID = {"meta", "link", "input", "br", "img", "path", "circle", "rect", "polygon"}


class Elements(HTMLParser):
    """Collects what a page consists of, and sees that every element is closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def values(self, name: str) -> list[str]:
        """Returns the values of an attribute wherever it stands."""
        return [value for _, found, value in self.attributes if found == name]


@pytest.fixture(scope="module")
def elements(page) -> Elements:
    return Elements(page.read_text(encoding="utf-8"))


def test_nothing_is_loaded_from_anywhere(page, elements):
    text = page.read_text(encoding="utf-8")
    assert "http" not in text.replace('http-equiv="', "")
    assert not re.search(r"@import|url\(|@font-face", text)
    assert elements.values("src") == []
    assert {value[0] for value in elements.values("href")} <= {"#", "d"}
    assert elements.values("href").count("data:,") == 1


def test_hostile_texts_stay_texts(page, elements):
    text = page.read_text(encoding="utf-8")
    assert "<img" not in text
    assert "<script>alert" not in text
    assert elements.tags["script"] == 1
    assert not any(name.startswith("on") for _, name, _ in elements.attributes)
    shown = "".join(elements.texts)
    assert EVIL in shown, "the founder's name, as it is"
    assert EVIL_ERROR.splitlines()[0] in shown
    assert EVIL_ERROR.splitlines()[1] not in shown, "the first line of an error is enough"


def test_ids_are_given_once_and_links_lead_to_them(elements):
    ids = elements.values("id")
    assert len(set(ids)) == len(ids)
    targets = [value for value in elements.values("href") if value.startswith("#")]
    assert {target[1:] for target in targets} <= set(ids)
    assert len(targets) > 50


def test_every_listed_cell_has_a_row_and_a_card_with_a_drawing(run, page, elements):
    board = run.leaderboard()
    assert len(board) >= 10
    assert set(board["cell"]) <= set(elements.values("id"))
    text = page.read_text(encoding="utf-8")
    assert text.count('class="cell"') == len(board)
    assert text.count("<tr data-search=") == len(board)
    for cell, fitness in zip(board["cell"], board["fitness"], strict=True):
        assert f'data-fitness="{fitness}"' in text
        assert f'href="#{cell}"' in text
    assert text.count('class="chart"') == 4 + len(board) * len(run.tasks)


def test_what_the_page_says_of_the_run(run, elements):
    shown = " ".join(" ".join(elements.texts).split())
    for words in (
        f"The best found cell, {run.progress()['best_cell'].iloc[-1]}, has fitness",
        "take ratios near 1 as ties",
        "archsearch search",
        "last continued with",
        "candidates: 40",
        "passed memorization",
        "swap elementwise",
    ):
        assert words in shown


def test_a_run_in_which_nothing_was_found(tmp_path):
    run = reported_run(tmp_path, plan=make_plan(num_candidates=2, gate=1.0, screen_accuracy=1.0))
    Elements(render_report(run))
    assert len(run.leaderboard()) == 2
    assert "No found cell has passed every gate yet" in render_report(run)


def test_a_run_that_has_only_begun(tmp_path):
    folder = RunFolder.create(tmp_path, "run", "test")
    journal = Journal.create(folder.journal_path)
    journal.note("tasks", '["first"]')
    journal.note("list_size", "100")
    journal.close()
    page = render_report(load_run(folder.path))
    assert "nothing is ranked: 0 of their trainings have ended." in page
    assert not {"worth", "progress", "cells"}.intersection(Elements(page).values("id"))


class FailingEvaluator(CurveEvaluator):
    """No training has a result."""

    def evaluate(self, trial):
        """Returns a failure whose text would like to be HTML."""
        super().evaluate(trial)
        return TrialResult("diverged", None, error=EVIL_ERROR, seconds=2.0)


def test_a_run_whose_baseline_failed_says_how(tmp_path):
    plan, folder = make_plan(), RunFolder.create(tmp_path, "run", "test")
    with pytest.raises(SearchStateError, match="baseline 'gru'"):
        run_search(plan, folder, FailingEvaluator(), 0, SilentObserver())
    page = render_report(load_run(folder.path))
    shown = "".join(Elements(page).texts)
    num_trials = len(load_run(folder.path).trials())
    assert num_trials > 0
    assert f"{num_trials} of their trainings have ended, {num_trials} of these failed" in shown
    assert EVIL_ERROR.splitlines()[0] in shown
    assert "<script>alert" not in page


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.name)
def test_a_run_of_an_older_version_has_its_page_but_no_times_of_steps(fixture, tmp_path):
    run = load_run(shutil.copytree(fixture, tmp_path / "run"))
    page = render_report(run)
    elements = Elements(page)
    assert set(run.leaderboard()["cell"]) <= set(elements.values("id"))
    assert "did not time their steps" in page
    assert "ms a step" not in page


def test_a_run_read_without_curves_gives_the_same_page(run, page):
    without = load_run(run.path, curves=False)
    assert not any(trial.result.curve for trial in without.journaled_trials)
    text = render_report(without)
    assert text == page.read_text(encoding="utf-8")
    assert text.count('class="line this"') == 2 + len(run.leaderboard()) * len(run.tasks)


def test_the_same_run_gives_the_same_page(run):
    assert render_report(run) == render_report(run)


def test_a_hundred_cells_stay_far_under_five_megabytes(tmp_path):
    plan = make_plan(num_candidates=150, gate=0.0, screen_accuracy=0.0, reevaluate_probability=0.0)
    run = reported_run(tmp_path, plan=plan)
    assert len(run.leaderboard()) == 100
    assert write_report(run).stat().st_size < 3_000_000
