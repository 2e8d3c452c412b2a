"""The page as text: complete, escaped, and loading nothing."""

import re
import shutil
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from shared_reported_runs import EVIL, EVIL_ERROR, CurveEvaluator, reported_run
from shared_simulation import SilentObserver, make_plan

from archsearch.errors import SearchStateError
from archsearch.report.cells import cell_views
from archsearch.report.page import render_report, write_report
from archsearch.report.texts import grouped, headline
from archsearch.run.folder import RunFolder
from archsearch.run.journal import Journal
from archsearch.run.reading import load_run
from archsearch.run.session import run_search
from archsearch.search.cost_penalty import CostPenalty
from archsearch.trials.trial import TrialResult
from archsearch.trials.value_texts import ratio_text, value_text

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


def test_a_candidate_that_is_examined_again_is_no_other_dot(run, page):
    charts = page.read_text(encoding="utf-8").split('id="progress"')[1].split("<section")[0].split("<svg")[1:]
    again = run.progress().query("kind == 'reevaluate' and fitness.notna()")
    passed = run.progress().query("kind == 'propose' and fitness.notna()")
    assert len(again) > 0
    assert [chart.count("<circle") for chart in charts] == [len(passed)] * 2


def test_times_are_rounded_once(run):
    times = run.step_milliseconds
    assert times
    assert {view.row.cell: view.step_milliseconds for view in cell_views(run, {})} == times


def test_trainings_are_counted_in_the_journal_where_it_says_on_what_they_ran(run, elements):
    shown = " ".join(" ".join(elements.texts).split())
    total = grouped(len(run.journaled_trials))
    assert f"{total} of all {total} trainings in the journal, on" in shown


class ErrorEvaluator(CurveEvaluator):
    """Measures small errors on one task instead of its accuracy."""

    def evaluate(self, trial):
        """Returns an error that is less where the accuracy is more."""
        result = super().evaluate(trial)
        if trial.task != "first" or result.value is None:
            return result
        curve = tuple((step, loss, 1e-4 / value) for step, loss, value in result.curve)
        return replace(result, metric="mse", value=1e-4 / result.value, curve=curve)


def test_small_errors_are_told_and_what_their_ratios_are(tmp_path, run, page):
    folder = RunFolder.create(tmp_path, "run", "test")
    run_search(make_plan(), folder, ErrorEvaluator(), 0, SilentObserver())
    of_errors = load_run(folder.path)
    text = render_report(of_errors)
    value = of_errors.leaderboard()["mse_first"].iloc[0]
    assert 0 < value < 0.0005
    assert f"({value_text(value)})" in text
    assert "of an error (mse) that of the gru ÷ the cell" in text
    assert "of an error" not in page.read_text(encoding="utf-8")


def test_under_a_penalty_the_fittest_cell_is_told_and_what_ranks(tmp_path, page):
    run = reported_run(tmp_path, plan=make_plan(penalty=CostPenalty(parameters=0.2)))
    board = run.leaderboard()
    found = board[board["name"].isna()]
    fittest = found.loc[found["fitness"].idxmax()]
    assert fittest["cell"] != found["cell"].iloc[0], "the ranking is another"
    progress = run.progress()
    assert list(progress["best_fitness"].dropna()) == sorted(progress["best_fitness"].dropna())
    text = render_report(run)
    assert f"The best found cell, {fittest['cell']}, has fitness {ratio_text(fittest['fitness'])}" in text
    assert f"<dt>best fitness found</dt><dd>{ratio_text(fittest['fitness'])}</dd>" in text
    assert "parameters / own)^0.2" in text
    assert "Ranked by" not in page.read_text(encoding="utf-8")


def test_a_fitness_just_below_one_does_not_read_as_one(run):
    knowledge = run.knowledge
    best = knowledge.cells[run.progress()["best_cell"].iloc[-1]]
    scale = knowledge.fitness(best) / 0.9996
    baseline = type(knowledge.baseline)({task: value * scale for task, value in knowledge.baseline.items()})
    near = load_run(run.path, curves=False)
    near.__dict__["knowledge"] = replace(knowledge, baseline=baseline)
    assert "has fitness 0.9996, below that of" in headline(near, [])[0]


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
