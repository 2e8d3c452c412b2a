"""A cell that crashed is not tried again, whatever ended first and however often the run was stopped."""

import random
from dataclasses import dataclass, replace

import pytest
from shared_runs import run, run_with_stops, views
from shared_simulation import SilentObserver, SimulatedEvaluator, make_plan, uniform

from archsearch.run.driver import drive
from archsearch.run.folder import RunFolder
from archsearch.run.journal import Journal
from archsearch.run.reading import load_run, restore_views
from archsearch.search.evolution import Evolution
from archsearch.trials.trial import TrialResult


class CrashingEvaluator(SimulatedEvaluator):
    """Lets some settings of some found cells crash."""

    def evaluate(self, trial):
        result = super().evaluate(trial)
        crashes = uniform("crashes", trial.cell) < 0.4 and uniform("now", trial.key) < 0.3
        return TrialResult("crashed", None, error="crashed") if crashes and trial.task != "memorization" else result


class MeasuringEvaluator(CrashingEvaluator):
    """Measures something else on one of the tasks."""

    def evaluate(self, trial):
        result = super().evaluate(trial)
        return replace(result, metric="mse") if trial.task == "second" else result


@dataclass
class ShuffledExecutor:
    """Computes trials in an order of its own."""

    evaluator: SimulatedEvaluator
    rng: random.Random
    num_slots: int

    def __post_init__(self):
        self._units = []

    def submit(self, unit):
        self._units.append(unit)
        assert len(self._units) <= self.num_slots, "more units in flight than workers"

    def wait(self, _timeout_seconds):
        unit = self._units.pop(self.rng.randrange(len(self._units)))
        return [(unit, tuple(map(self.evaluator.evaluate, unit)))]

    def collect(self):
        return []

    def close(self):
        pass


# founders that crash would have no baseline: their digests are not among those drawn above
PLAN = make_plan(num_candidates=30, on_duplicate="reexamine")


def test_later_trials_of_a_crashed_cell_are_answered_without_being_run(tmp_path):
    evaluator = CrashingEvaluator()
    path = run(tmp_path, "run", PLAN, evaluator)
    trials = load_run(path).trials()
    quarantined = trials[trials["status"] == "quarantined"]
    assert len(quarantined) > 5
    assert not set(quarantined["key"]) & set(evaluator.keys)
    for _, trial in quarantined.iterrows():
        crashed = trials[(trials["cell"] == trial["cell"]) & (trials["status"] == "crashed")]
        assert trial["error"] == f"not run: trial {crashed['key'].min()} crashed" or len(crashed) > 1
        assert crashed["step"].min() <= trial["step"]
    assert load_run(path).summary()["statuses"]["quarantined"] == len(quarantined)


def test_a_trial_that_was_not_run_says_what_its_task_measures(tmp_path):
    trials = load_run(run(tmp_path, "run", PLAN, MeasuringEvaluator())).trials()
    quarantined = trials[trials["status"] == "quarantined"]
    assert set(zip(quarantined["task"], quarantined["metric"], strict=True)) >= {("second", "mse")}
    assert (quarantined["metric"] == quarantined["task"].map({"first": "accuracy", "second": "mse"})).all()


@pytest.mark.parametrize(("seed", "num_slots"), [(0, 2), (1, 4), (2, 16)])
def test_any_number_of_workers_gives_the_same_tables(tmp_path, seed, num_slots):
    serial = run(tmp_path, "serial", PLAN, CrashingEvaluator())
    folder = RunFolder.create(tmp_path, "shuffled", "test")
    journal = Journal.create(folder.journal_path)
    for name, value in (("tasks", '["first", "second"]'), ("list_size", "100")):
        journal.note(name, value)
    executor = ShuffledExecutor(CrashingEvaluator(), random.Random(seed), num_slots)
    drive(Evolution(PLAN), journal, executor, SilentObserver(), lambda: None)
    journal.close()
    restore_views(load_run(folder.path))
    assert views(folder.path) == views(serial)


def test_a_run_stopped_often_gives_the_same_tables(tmp_path):
    whole = run(tmp_path, "whole", PLAN, CrashingEvaluator())
    rng = random.Random(3)

    def make_evaluator():
        return CrashingEvaluator(interrupt_after=rng.randrange(20, 200))

    path, num_stops = run_with_stops(tmp_path, "stopped", PLAN, make_evaluator)
    assert num_stops > 1
    assert views(path) == views(whole)
