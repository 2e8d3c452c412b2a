"""A confirmation in the run's folder is shown; one that is damaged is named."""

import re
from dataclasses import replace

import pandas as pd
import pytest
from shared_reported_runs import EVIL, reported_run
from shared_simulation import make_plan

from archsearch.errors import FileFormatError
from archsearch.report.confirmed import confirmed_rows
from archsearch.report.page import render_report
from archsearch.report.texts import headline


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory):
    """A run with a confirmation of its best found cell and its baseline."""
    run = reported_run(tmp_path_factory.mktemp("results"), plan=make_plan(num_candidates=20))
    cell = run.progress()["best_cell"].iloc[-1]
    limits = {"": [0.97, 1.0], "_low": [0.93, 1.0], "_high": [1.01, 1.0]}
    columns = {f"{name}{end}": values for name in ("fitness", "ratio_first") for end, values in limits.items()}
    missing = {f"ratio_second{end}": [None, 1.0] for end in limits}
    sentences = [f"{cell} is not distinguishable from {EVIL}.", ""]
    frame = pd.DataFrame(
        {
            "cell": [cell, run.knowledge.founders[0]],
            "name": ["", EVIL],
            "verdict": ["not_distinguishable", "baseline"],
            **columns,
            **missing,
            "sentence": sentences,
            "seeds": [12, 12],
            "confidence": [0.95, 0.95],
            "parameters": [150_000, 98_688],
            "step_milliseconds": [2.5, None],
        }
    )
    frame.to_csv(run.folder.confirmation_path, index=False)
    return run


def test_rows_have_interval_verdict_and_sentence(confirmed):
    first, second = confirmed_rows(confirmed)
    assert first.title == first.cell == confirmed.progress()["best_cell"].iloc[-1]
    assert first.fitness == first.ratios["first"] == "0.970 (0.930 to 1.010)"
    assert first.ratios["second"] == ""
    assert "<svg" in first.picture
    assert (first.parameters, first.step_milliseconds, first.limits) == (150_000, 2.5, (0.93, 0.97, 1.01))
    assert second.step_milliseconds is None
    assert (second.fitness, second.ratios) == ("1", {"first": "1", "second": "1"})
    assert (second.title, second.verdict, second.sentence) == (EVIL, "baseline", "")


def test_the_page_says_what_was_confirmed_instead_of_a_warning(confirmed):
    page = render_report(confirmed)
    assert 'id="confirmation"' in page
    assert page.count("is not distinguishable from &lt;script&gt;") == 2
    assert '<span class="verdict ">not distinguishable</span>' in page
    assert "take ratios near 1 as ties" not in page
    assert "<script>alert" not in page


def test_a_best_cell_that_was_not_confirmed_is_warned_of(confirmed):
    """The search went on after the confirmation, and found a fitter one."""
    rows = [replace(row, cell="c_0123456789abcdef") for row in confirmed_rows(confirmed)]
    assert "take ratios near 1 as ties" in " ".join(headline(confirmed, rows))
    assert "take ratios near 1 as ties" not in " ".join(headline(confirmed, confirmed_rows(confirmed)))


def test_the_headline_tells_every_found_cell_that_is_better(confirmed):
    best, baseline = confirmed_rows(confirmed)
    better = replace(best, cell="c_1", title="c_1", verdict="better", sentence="c_1 is better.")
    other = replace(better, cell="c_2", title="c_2", sentence="c_2 is better.")
    known = replace(better, cell="c_3", title="lstm", sentence="lstm is better.")
    worse = replace(better, cell="c_4", title="c_4", verdict="worse", sentence="c_4 is worse.")
    said = headline(confirmed, [known, better, other, best, baseline, worse])
    assert said[1:] == [best.sentence, "c_1 is better.", "c_2 is better."]


def test_the_page_says_how_sure_the_intervals_are_and_of_how_many_seeds(confirmed):
    section = render_report(confirmed).split('id="confirmation"')[1].split("<table")[0]
    assert "12 seeds a cell and task" in section
    assert "Intervals of 95\N{NARROW NO-BREAK SPACE}% are" in section
    assert "for all finalists at once, each task by itself" in section
    frame = confirmed.confirmation()
    path = confirmed.folder.confirmation_path
    frame.assign(confidence=0.999).to_csv(path, index=False)
    assert "Intervals of 99.9\N{NARROW NO-BREAK SPACE}% are" in render_report(confirmed)
    frame.drop(columns=["seeds", "confidence"]).to_csv(path, index=False)
    older = render_report(confirmed).split('id="confirmation"')[1].split("<table")[0]
    frame.to_csv(path, index=False)
    assert "Intervals are of the ratio" in older
    assert "seeds a cell" not in older


def test_confirmed_charts_lead_only_to_what_is_on_the_page(confirmed):
    frame = confirmed.confirmation()
    path = confirmed.folder.confirmation_path
    unlisted = frame.assign(cell=["c_0123456789abcdef", frame["cell"][1]], name=["tanh", EVIL])
    unlisted.to_csv(path, index=False)
    page = render_report(confirmed)
    frame.to_csv(path, index=False)
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert targets <= set(re.findall(r'id="([^"]+)"', page))
    section = page.split('id="confirmation"')[1].split("<section")[0]
    assert section.index("the front: no cell confirmed") < section.index('<svg class="chart"')


def test_confirmed_cells_stand_against_size_and_time_with_their_intervals(confirmed):
    page = render_report(confirmed)
    section = page.split('id="confirmation"')[1].split("<section")[0]
    sizes, times = (part.split("</svg>")[0] for part in section.split('<svg class="chart"')[1:])
    assert (sizes.count("<circle"), sizes.count("line whisker")) == (2, 2)
    assert (times.count("<circle"), times.count("line whisker")) == (1, 1)
    assert "150\N{NARROW NO-BREAK SPACE}000 parameters" in sizes
    assert "2.50 ms a step" in times


def test_a_run_without_a_confirmation_says_nothing_of_it(run):
    assert confirmed_rows(run) == []
    assert 'id="confirmation"' not in render_report(run)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell,verdict\nc_1,better\n", "expected the table"),
        ("", "expected the table"),
        ("cell,verdict,fitness,fitness_low,fitness_high\nc_1,better,one,1,1\n", "expected numbers .* 'one'"),
    ],
)
def test_a_damaged_confirmation_is_named(confirmed, text, message):
    path = confirmed.folder.confirmation_path
    kept = path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileFormatError, match=rf"confirmation\.csv: {message}"):
        render_report(confirmed)
    path.write_text(kept, encoding="utf-8")
