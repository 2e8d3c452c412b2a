"""A run: to its end, stopped and continued, extended, with any number of workers, always with the same tables."""

import os
import random
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from shared_runs import run, views
from shared_simulation import TRANSFORMATIONS, KillingEvaluator, SilentObserver, SimulatedEvaluator, make_plan

from archsearch.errors import ConfigError, SearchStateError
from archsearch.mutation.mutate import mutate
from archsearch.mutation.swap_elementwise import SwapElementwise
from archsearch.run.execution import Execution
from archsearch.run.executor import SerialExecutor
from archsearch.run.folder import RunFolder
from archsearch.run.reading import load_run
from archsearch.run.session import Stopped, run_search
from archsearch.trials.trial import TrialResult


def test_the_views_are_those_of_the_journal(tmp_path):
    path = run(tmp_path, "first", make_plan())
    loaded = load_run(path)
    pd.testing.assert_frame_equal(pd.read_csv(path / "leaderboard.csv"), loaded.leaderboard())
    pd.testing.assert_frame_equal(pd.read_csv(path / "trials.csv"), loaded.trials())
    pd.testing.assert_frame_equal(pd.read_csv(path / "candidates.csv"), loaded.candidates())
    assert len(loaded.leaderboard()) >= 3
    assert list(loaded.leaderboard()["rank"]) == list(range(1, len(loaded.leaderboard()) + 1))
    assert loaded.leaderboard().columns[-1] == "training_seconds"
    for digest in loaded.leaderboard()["cell"]:
        assert loaded.cell(digest).digest == digest
        assert (path / "cells" / f"{digest}.json").is_file()


@pytest.mark.parametrize("seed", range(5))
def test_a_run_stopped_anywhere_ends_as_one_never_stopped(tmp_path, seed):
    whole = run(tmp_path, "whole", make_plan())
    rng = random.Random(seed)
    evaluators = []
    while True:
        evaluator = SimulatedEvaluator(interrupt_after=rng.randrange(1, 200))
        evaluators.append(evaluator)
        try:
            path = run(tmp_path, "stopped", make_plan(), evaluator)
        except Stopped:
            continue
        break
    assert len(evaluators) > 1
    computed = [key for evaluator in evaluators for key in evaluator.keys]
    assert len(set(computed)) == len(computed), "a finished trial was computed again"
    assert views(path) == views(whole)


def test_extending_a_run_computes_only_what_is_new(tmp_path):
    path = run(tmp_path, "run", make_plan(num_candidates=10))
    num_trials = len(load_run(path).trials())
    evaluator = SimulatedEvaluator()
    run(tmp_path, "run", make_plan(num_candidates=25), evaluator)
    assert len(load_run(path).trials()) == num_trials + len(evaluator.keys)
    assert views(path) == views(run(tmp_path, "long", make_plan(num_candidates=25)))


def test_a_run_continued_with_another_plan_stops_before_the_first_trial(tmp_path):
    run(tmp_path, "run", make_plan(num_candidates=10))
    evaluator, begun = SimulatedEvaluator(), []
    for other in (make_plan(num_candidates=20, gate=0.8), make_plan(num_candidates=10, root_seed=2)):
        with pytest.raises(SearchStateError, match="expected the plan it was started with"):
            run_search(other, RunFolder(tmp_path / "run"), evaluator, 0, SilentObserver(), lambda: begun.append(True))
    assert evaluator.keys == []
    assert begun == [], "what is kept of the run, as the number of its candidates, was to be changed"


def test_killed_at_random_moments_then_resumed(tmp_path):
    """SIGKILL, once during the founders' baseline: no finished trial is lost or repeated, the tables are the same."""
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        from shared_simulation import SilentObserver, SimulatedEvaluator, make_plan
        from archsearch.run.folder import RunFolder
        from archsearch.run.session import run_search

        class Slow(SimulatedEvaluator):
            def evaluate(self, trial):
                time.sleep(0.002)
                print(trial.key, flush=True)
                return super().evaluate(trial)

        folder = RunFolder(Path(sys.argv[1]))
        run_search(make_plan(), folder, Slow(), 0, SilentObserver())
        """
    )
    whole = run(tmp_path, "whole", make_plan())
    path = tmp_path / "killed"
    path.mkdir()
    rng = random.Random(0)
    seen: list[str] = []
    kills = 0
    while True:
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(path), str(Path(__file__).parents[1])],
            stdout=subprocess.PIPE,
            text=True,
        )
        stop_after = 20 if kills == 0 else rng.randrange(1, 150)
        for _ in range(stop_after):
            line = process.stdout.readline()
            if not line:
                break
            seen.append(line)
        if not line:
            process.stdout.close()
            assert process.wait() == 0
            break
        os.kill(process.pid, signal.SIGKILL)
        seen += process.stdout.readlines()
        process.stdout.close()
        process.wait()
        kills += 1
    assert kills >= 3
    assert views(path) == views(whole)
    # only the one trial in flight at each kill may be computed twice
    assert len(seen) - len(set(seen)) <= kills


def test_two_drivers_never_work_on_one_run(tmp_path):
    folder = RunFolder.create(tmp_path, "run", "test")
    with folder.locked(), pytest.raises(SearchStateError, match="another process"):
        run_search(make_plan(), folder, SimulatedEvaluator(), 0, SilentObserver())


def test_folders_that_cannot_be_made_are_refused(tmp_path):
    RunFolder.create(tmp_path, "run", "test")
    with pytest.raises(ConfigError, match=r"it exists.*resume"):
        RunFolder.create(tmp_path, "run", "test")
    with pytest.raises(ConfigError, match="plain folder name"):
        RunFolder.create(tmp_path, "../run", "test")
    assert [RunFolder.create(tmp_path, None, "test").name for _ in range(2)] == ["test-1", "test-2"]
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made here"):
        RunFolder.create(tmp_path / "file" / "below", "run", "test")
    with pytest.raises(SearchStateError, match="expected the folder of a run"):
        RunFolder.open(tmp_path)


FOUNDERS = {founder.graph.digest for founder in make_plan().founders}


class BrokenEvaluator:
    """Fails every trial alike, though founders had an accuracy before."""

    def evaluate(self, trial):
        accuracy = 0.5 if trial.cell in FOUNDERS else None
        return TrialResult("failed", accuracy, error=f"RuntimeError: size {len(trial.key)} does not match")


def test_the_same_failure_again_and_again_stops_the_run(tmp_path):
    with pytest.raises(SearchStateError, match="the last 20 trials all failed with the same error"):
        run(tmp_path, "run", make_plan(), BrokenEvaluator())


class FullDiskEvaluator(SimulatedEvaluator):
    """Fails every trial that is not a founder's."""

    def evaluate(self, trial):
        result = super().evaluate(trial)
        return (
            result if trial.cell in FOUNDERS else TrialResult("failed", None, error="OSError: No space left on device")
        )


def test_a_run_that_failures_stopped_goes_on_once_their_cause_is_gone(tmp_path):
    for sitting in range(2):  # the second one is stopped by failures of its own
        evaluator = FullDiskEvaluator()
        with pytest.raises(SearchStateError, match="the last 20 trials all failed with the same error"):
            run(tmp_path, "run", make_plan(), evaluator)
        assert len(evaluator.keys) >= 20, f"sitting {sitting}"
    path = run(tmp_path, "run", make_plan())
    assert load_run(path).summary()["candidates"] == 40
    assert load_run(path).summary()["statuses"]["failed"] >= 40


def test_failures_of_another_run_are_trained_again(tmp_path):
    with pytest.raises(SearchStateError, match="the last 20 trials"):
        run(tmp_path, "broken", make_plan(), FullDiskEvaluator())
    whole, evaluator = run(tmp_path, "whole", make_plan()), SimulatedEvaluator()
    path = tmp_path / "new"
    folder = RunFolder.create(tmp_path, "new", "test")
    run_search(make_plan(), folder, evaluator, Execution(recorded=(tmp_path / "broken",)), SilentObserver())
    assert views(path) == views(whole)
    assert len(evaluator.keys) == len(load_run(whole).trials()) - 144, "the founders' trials alone are copied"


class DivergingEvaluator(SimulatedEvaluator):
    """Lets every trial diverge that is not a founder's."""

    def evaluate(self, trial):
        result = super().evaluate(trial)
        return result if trial.cell in FOUNDERS else replace(result, status="diverged", value=None)


def test_divergence_never_stops_the_run(tmp_path):
    path = run(tmp_path, "run", make_plan(num_candidates=30), DivergingEvaluator())
    assert load_run(path).summary()["statuses"]["diverged"] >= 30


@pytest.fixture
def workers_find_the_simulation(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))


@pytest.mark.ray
@pytest.mark.usefixtures("workers_find_the_simulation")
def test_ray_workers_give_the_same_tables(tmp_path):
    plan = make_plan(num_candidates=6, tasks=make_plan().tasks[:1])
    serial = run(tmp_path, "serial", plan)
    for workers in (1, 2, 4):
        assert views(run(tmp_path, f"ray{workers}", plan, workers=workers)) == views(serial)


@pytest.mark.ray
@pytest.mark.usefixtures("workers_find_the_simulation")
def test_a_lost_worker_is_a_status_not_an_end(tmp_path):
    path = run(tmp_path, "run", make_plan(num_candidates=1), KillingEvaluator(), workers=1)
    trials = load_run(path).trials()
    assert list(trials[trials["task"] == "memorization"]["status"]) == ["worker_lost"]
    assert load_run(path).summary()["reproducible"] is False


@pytest.mark.ray
def test_sigterm_stops_a_run_with_workers_and_keeps_its_trials(tmp_path):
    """SIGTERM, like Ctrl-C: what is finished is kept, and the run goes on from there."""
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from shared_simulation import SilentObserver, SimulatedEvaluator, make_plan
        from archsearch.run.folder import RunFolder
        from archsearch.run.session import Stopped, run_search

        class Announcing(SilentObserver):
            def trial_answered(self, trial, result, *, recorded):
                print(trial.key, flush=True)

        try:
            run_search(make_plan(), RunFolder(Path(sys.argv[1])), SimulatedEvaluator(), 1, Announcing())
        except Stopped:
            print("stopped", flush=True)
        """
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    seen = [process.stdout.readline() for _ in range(10)]
    process.send_signal(signal.SIGTERM)
    seen += process.stdout.readlines()
    process.stdout.close()
    assert process.wait() == 0
    assert seen[-1] == "stopped\n"
    keys = {line.strip() for line in seen[:-1]}
    assert keys <= set(load_run(tmp_path).trials()["key"])
    evaluator = SimulatedEvaluator()
    run_search(make_plan(), RunFolder(tmp_path), evaluator, 0, SilentObserver())
    assert not keys & set(evaluator.keys)


class Cluster(SerialExecutor):
    """Has more workers than a search with its lookahead keeps busy."""

    num_slots = 30


@pytest.mark.parametrize(("workers", "is_said"), [(None, True), (30, False)])
def test_workers_of_a_cluster_are_counted_when_it_is_joined(tmp_path, monkeypatch, caplog, workers, is_said):
    monkeypatch.setattr("archsearch.run.session.make_executor", lambda evaluator, _execution: Cluster(evaluator))
    run(tmp_path, "run", make_plan(num_candidates=1), workers=Execution(workers, address="auto"))
    assert ("lookahead=4 is less than twice the 30 workers" in caplog.text) == is_said


class UselessEvaluator:
    """Fails every trial as a broken installation would."""

    def evaluate(self, _trial):
        return TrialResult("failed", None, error="ZeroDivisionError: division by zero")


def test_a_baseline_that_fails_names_the_cause(tmp_path):
    with pytest.raises(SearchStateError, match=r"36 of them: failed \(ZeroDivisionError"):
        run(tmp_path, "run", make_plan(), UselessEvaluator())
    assert len(load_run(tmp_path / "run").trials()) == 144
    assert list(load_run(tmp_path / "run").leaderboard().columns)[:6] == [
        *("rank", "cell", "name", "fitness", "ratio_first", "accuracy_first"),
    ]


def test_duplicates_are_counted_with_what_they_would_have_cost(tmp_path):
    plan = make_plan(num_candidates=40, transformations=(SwapElementwise(),), reevaluate_probability=0.0)
    path = run(tmp_path, "run", plan)
    duplicates = load_run(path).summary()["duplicates"]
    candidates = load_run(path).candidates()
    assert duplicates["dropped"]["known"] > 0
    assert sum(duplicates["dropped"].values()) == candidates["dropped"].sum()
    assert 0 < duplicates["trials_saved"] <= sum(duplicates["dropped"].values()) * candidates["trials"].max()


def test_a_resume_that_differs_names_both_versions(tmp_path, monkeypatch):
    monkeypatch.setattr("archsearch.run.identity.version", lambda _name: "0.0.9")
    run(tmp_path, "run", make_plan(num_candidates=5))
    monkeypatch.setattr("archsearch.run.identity.version", lambda _name: "0.1.7")
    monkeypatch.setattr(
        "archsearch.search.steps.mutate", lambda parent, _, rng: mutate(parent, TRANSFORMATIONS[:1], rng)
    )
    with pytest.raises(SearchStateError, match=r"step \d+: .*made by archsearch 0\.0\.9, this is 0\.1\.7"):
        run(tmp_path, "run", make_plan(num_candidates=5))


def test_the_folder_is_ours_before_anything_in_it_is_changed(tmp_path):
    folder = RunFolder.create(tmp_path, "run", "test")
    begun = []
    with folder.locked(), pytest.raises(SearchStateError, match="another process"):
        run_search(make_plan(), folder, SimulatedEvaluator(), 0, SilentObserver(), lambda: begun.append(True))
    assert begun == []
