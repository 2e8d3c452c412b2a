"""The command `replay`."""

import re

import pandas as pd
from shared_csv_page import columns_on_the_page

SMALL = ("seeds=2", "budget.candidates=1", "search.num_settings=2", "search.num_baseline_settings=2", "tasks=[xml]")


def test_strategies_are_compared_without_training(archsearch, tmp_path):
    outcome = archsearch("replay", "recorded=synthetic", "strategy=[jozefowicz2015,halving]", *SMALL, "out=traces.csv")
    assert outcome.code == 0, outcome.err
    for words in ("jozefowicz2015", "halving", "Means over 2 seeds", "against the first"):
        assert words in outcome.out
    assert "recording" not in outcome.out, "a model draws all anew"
    frame = pd.read_csv(tmp_path / "traces.csv")
    assert set(frame["strategy"]) == {"jozefowicz2015", "halving"}
    assert set(frame["seed"]) == {1, 2}
    assert list(frame) == list(columns_on_the_page("replay out=FILE", ()))
    again = archsearch("replay", "recorded=synthetic", *SMALL, "out=traces.csv")
    assert again.code == 2
    assert "traces.csv" in again.err


def test_one_seed_has_no_interval(archsearch, tiny_run):
    outcome = archsearch("replay", f"recorded={tiny_run}", "strategy=random", "seeds=1", *SMALL[1:])
    assert outcome.code == 0, outcome.err
    assert "One seed, of which there is no interval" in outcome.out
    assert "Student" not in outcome.out
    assert not re.search(r"\d \[[+-]?\d", outcome.out)


def test_a_run_is_replayed(archsearch, tiny_run):
    outcome = archsearch("replay", f"recorded={tiny_run}", "strategy=random", *SMALL)
    assert outcome.code == 0, outcome.err
    assert "random" in outcome.out
    assert "of draws from this one recording; more seeds do not make it surer" in outcome.out


def test_mistakes_are_said_before_anything_is_replayed(archsearch, tmp_path):
    for words, message in (
        (("recorded=synthetic", "strategy=[halving,clever]"), "there is no strategy=clever"),
        (("recorded=synthetic", "strategy=[halving,halving]"), "expected different names"),
        (("recorded=synthetic", "tasks=[chess]"), "expected some of"),
        (("recorded=nowhere.csv",), "expected a CSV of learning curves"),
        (("recorded=.",), "expected the folder of a run"),
        ((), "recorded"),
    ):
        outcome = archsearch("replay", *words)
        assert outcome.code == 2, words
        assert message in outcome.err
