"""Trials that train together: in which company a trial trains depends on nothing but the search."""

import itertools
import random
from pathlib import Path

import pytest
from shared_faults import FaultyEvaluator
from shared_runs import run, run_with_stops, views
from shared_simulation import SilentObserver, answer, make_plan
from shared_units import GroupingEvaluator, answer_together, group

from archsearch.run import supervisor as supervisor_module
from archsearch.run.driver import drive
from archsearch.run.execution import Execution, Limits
from archsearch.run.executor import SerialExecutor
from archsearch.run.folder import RunFolder
from archsearch.run.journal import Journal
from archsearch.run.reading import load_run
from archsearch.run.recorded import RecordedExecutor
from archsearch.run.supervisor import Supervisor
from archsearch.run.unit import evaluate_unit, one_by_one
from archsearch.search.evolution import Evolution
from archsearch.trials.trial import TrialResult

PLAN = make_plan(num_candidates=12)
LIMITS = Limits(seconds=1.0, megabytes=400)
TRIALS = [trial for _, trial in Evolution(make_plan()).ask()]


def folder_of(tmp_path, name):
    path = tmp_path / name
    path.mkdir(exist_ok=True)
    return path


def whole_run(tmp_path):
    evaluator = GroupingEvaluator(folder_of(tmp_path, "whole units"))
    return run(tmp_path, "whole", PLAN, evaluator), evaluator


class ShuffledUnits:
    """Computes units in an order of its own."""

    def __init__(self, evaluator, seed, num_slots):
        self.num_slots = num_slots
        self._evaluator, self._rng, self._units = evaluator, random.Random(seed), []

    def submit(self, unit):
        self._units.append(unit)
        assert len(self._units) <= self.num_slots, "more units in flight than workers"

    def wait(self, _timeout_seconds):
        unit = self._units.pop(self._rng.randrange(len(self._units)))
        return [(unit, evaluate_unit(self._evaluator, unit))]

    def collect(self):
        return []

    def close(self):
        pass


def recorded(path):
    return {trial.key: trial.result.value for trial in load_run(path).journaled_trials}


@pytest.mark.parametrize(("seed", "num_slots"), [(0, 2), (1, 5), (2, 64)])
def test_any_number_of_workers_trains_the_same_trials_together(tmp_path, seed, num_slots):
    path, serial = whole_run(tmp_path)
    folder = RunFolder.create(tmp_path, "shuffled", "test")
    journal = Journal.create(folder.journal_path)
    evaluator = GroupingEvaluator(folder_of(tmp_path, "shuffled units"))
    drive(
        Evolution(PLAN),
        journal,
        ShuffledUnits(evaluator, seed, num_slots),
        SilentObserver(),
        lambda: None,
        group=evaluator.group,
    )
    found = {trial.key: trial.result.value for trial in journal.trials(curves=False)}
    journal.close()
    assert found == recorded(path)
    assert sorted(map(sorted, evaluator.units)) == sorted(map(sorted, serial.units))
    assert max(map(len, serial.units)) == 3


def test_a_run_stopped_often_trains_the_same_trials_together(tmp_path):
    whole, _ = whole_run(tmp_path)
    rng, names = random.Random(3), itertools.count()

    def make_evaluator():
        folder = folder_of(tmp_path, f"sitting {next(names)}")
        return GroupingEvaluator(folder, interrupt_after=rng.randrange(3, 40))

    path, num_stops = run_with_stops(tmp_path, "stopped", PLAN, make_evaluator)
    assert num_stops > 1
    assert views(path) == views(whole)
    assert recorded(path) == recorded(whole)


def test_a_unit_of_which_something_is_known_trains_whole_and_leaves_that_as_it_is(tmp_path):
    """Such a journal has another run's trials in it, or those of another length."""
    whole, serial = whole_run(tmp_path)
    unit = next(keys for keys in serial.units if len(keys) == 3)
    folder = RunFolder.create(tmp_path, "partly", "test")
    journal = Journal.create(folder.journal_path)
    evolution = Evolution(PLAN)
    [known] = [trial for _, trial in Evolution(PLAN).ask() if trial.key == unit[1]]
    journal.add_trial(known, TrialResult("ok", 0.123))
    evaluator = GroupingEvaluator(folder_of(tmp_path, "partly units"))
    drive(evolution, journal, SerialExecutor(evaluator), SilentObserver(), lambda: None, group=evaluator.group)
    found = {trial.key: trial.result.value for trial in journal.trials(curves=False)}
    journal.close()
    assert unit in evaluator.units
    assert found[unit[1]] == 0.123
    assert [found[key] for key in (unit[0], unit[2])] == [recorded(whole)[key] for key in (unit[0], unit[2])]


def test_results_of_a_unit_are_kept_all_or_none(tmp_path, monkeypatch):
    written = []
    add_trials = Journal.add_trials

    def note(journal, finished):
        written.append([trial.key for trial, _ in finished])
        add_trials(journal, finished)

    monkeypatch.setattr(Journal, "add_trials", note)
    _, evaluator = whole_run(tmp_path)
    assert [keys for keys in written if keys] == evaluator.units


def test_recorded_results_stay_where_a_unit_is_trained_for_the_others(tmp_path):
    unit = group(TRIALS)[0]
    partly = RunFolder.create(tmp_path, "partly", "test")
    journal = Journal.create(partly.journal_path)
    journal.add_trial(unit[0], TrialResult("ok", 0.5))
    journal.close()
    executor = RecordedExecutor(SerialExecutor(GroupingEvaluator(folder_of(tmp_path, "units"))), [partly.path])
    try:
        executor.submit(unit)
        [(finished, results)] = executor.wait(0.0)
        assert finished == unit
        assert [result.value for result in results] == [0.5, *(each.value for each in answer_together(unit)[1:])]
        executor.submit(unit[:1])
        [(_, [alone])] = executor.wait(0.0)
        assert (alone.value, alone.recorded_in) == (0.5, str(partly.path))
    finally:
        executor.close()


def test_evaluators_of_one_trial_are_asked_for_each():
    evaluator = FaultyEvaluator()
    assert one_by_one(TRIALS[:2]) == [(TRIALS[0],), (TRIALS[1],)]
    assert evaluate_unit(evaluator, tuple(TRIALS[:3])) == tuple(map(answer, TRIALS[:3]))


# units that end in other ways


@pytest.fixture
def supervise(tmp_path, monkeypatch):
    """Returns a function that makes a supervisor of the evaluator given."""
    monkeypatch.setattr(supervisor_module, "OVERRUN_SECONDS", 0.5)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    made = []

    def make(evaluator, limits=LIMITS):
        made.append(Supervisor(evaluator, limits))
        return made[-1]

    yield make
    for supervisor in made:
        supervisor.close()


def compute(supervisor, unit):
    supervisor.begin(unit)
    while (results := supervisor.poll(0.1)) is None:
        pass
    return results


UNIT = (TRIALS[0], *[trial for trial in TRIALS if trial.cell != TRIALS[0].cell][:2])


@pytest.mark.parametrize(
    ("fault", "status"), [("segfault", "crashed"), ("hang_in_c", "time_limit"), ("killed", "worker_lost")]
)
def test_the_end_of_a_unit_is_the_end_of_the_trial_that_brought_it_about(supervise, tmp_path, fault, status):
    supervisor = supervise(FaultyEvaluator({UNIT[0].cell: fault}, tmp_path))
    results = compute(supervisor, UNIT)
    assert results[0].status == status
    assert results[1:] == tuple(map(answer, UNIT[1:]))
    assert any("each is run by itself" in note for note in supervisor.take_notes())
    assert compute(supervisor, UNIT[1:]) == results[1:]


def test_a_unit_that_ends_well_when_it_is_run_again_stays_together(supervise, tmp_path):
    supervisor = supervise(FaultyEvaluator({UNIT[0].cell: "segfault_once"}, tmp_path))
    assert compute(supervisor, UNIT) == tuple(map(answer, UNIT))
    assert len(supervisor.take_notes()) == 1


def test_trials_that_train_together_may_use_the_sum_of_their_limits(supervise, tmp_path):
    supervisor = supervise(FaultyEvaluator({}, tmp_path, seconds=0.8), Limits(seconds=0.5))
    assert compute(supervisor, UNIT) == tuple(map(answer, UNIT))


@pytest.mark.ray
def test_units_under_ray_are_those_of_the_serial_run(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    whole, _ = whole_run(tmp_path)
    evaluator = GroupingEvaluator(folder_of(tmp_path, "ray units"))
    path = run(tmp_path, "ray", PLAN, evaluator, Execution(workers=2))
    assert views(path) == views(whole)
    assert recorded(path) == recorded(whole)
