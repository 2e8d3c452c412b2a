"""Runs of every strategy: stopped anywhere and continued, they end as those never stopped, and readers agree."""

import random

import pandas as pd
import pytest
from shared_simulation import SilentObserver, SimulatedEvaluator, make_plan, simulate
from shared_strategies import CHANGES

from archsearch.run.estimate import estimate_cost
from archsearch.run.folder import RunFolder
from archsearch.run.reading import load_run
from archsearch.run.session import Stopped, run_search


def run(results_dir, name, plan, evaluator=None):
    path = results_dir / name
    folder = RunFolder.open(path) if path.exists() else RunFolder.create(results_dir, name, "test")
    run_search(plan, folder, evaluator or SimulatedEvaluator(), 0, SilentObserver())
    return path


def views(path):
    frames = [pd.read_csv(path / name) for name in ("leaderboard.csv", "trials.csv", "candidates.csv")]
    return [frame[[column for column in frame if "seconds" not in column]].to_csv() for frame in frames]


@pytest.mark.parametrize("name", CHANGES)
def test_a_run_stopped_anywhere_ends_as_one_never_stopped(name, tmp_path):
    plan = make_plan(num_candidates=20, **CHANGES[name])
    whole = run(tmp_path, "whole", plan)
    rng, stops = random.Random(name), 0
    while True:
        try:
            path = run(tmp_path, "stopped", plan, SimulatedEvaluator(interrupt_after=rng.randrange(1, 150)))
        except Stopped:
            stops += 1
            continue
        break
    assert stops
    assert views(path) == views(whole)
    assert load_run(path).knowledge.listed == simulate(plan).evolution.knowledge.listed


@pytest.mark.parametrize("name", CHANGES)
def test_no_search_runs_more_trials_than_the_most(name):
    plan = make_plan(num_candidates=15, reevaluate_probability=0.7, **CHANGES[name])
    seconds = {"memorization": 1.0, "first": 10.0, "second": 10.0}
    trials = simulate(plan, lambda _trial: 0.99).trials
    estimate = estimate_cost(plan, seconds, 1)
    assert len(trials) <= estimate.most_trials
    assert sum(seconds[trial.task] * trial.max_steps / 100 for trial in trials) <= estimate.most_seconds + 1e-6
