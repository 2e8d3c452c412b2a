"""GPUs are shared out by Ray, and a process that trains keeps to the one that it was given; none is needed here."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from shared_faults import FaultyEvaluator
from shared_runs import run, views
from shared_simulation import SimulatedEvaluator, make_plan

from archsearch.run import ray_executor
from archsearch.run.execution import Execution, Limits
from archsearch.run.ray_cluster import Machines
from archsearch.run.reading import load_run
from archsearch.trials.trial import Trial, TrialResult

PLAN = make_plan(num_candidates=6, reevaluate_probability=0.0, tasks=make_plan().tasks[:1])


@dataclass(frozen=True)
class Placed(FaultyEvaluator):
    """Tells where a trial was computed."""

    def evaluate(self, trial: Trial) -> TrialResult:
        place = {"gpus": os.environ.get("CUDA_VISIBLE_DEVICES", ""), "process": str(os.getpid())}
        return replace(super().evaluate(trial), environment=place)


@pytest.mark.parametrize("workers_per_gpu", [1, 2, 3, 7, 9, 1000])
def test_workers_fit_on_a_gpu_in_whole_ten_thousandths(workers_per_gpu):
    share = Execution(workers_per_gpu=workers_per_gpu).gpu_share
    assert round(share * 10_000) == pytest.approx(share * 10_000, abs=1e-9)
    assert 1 - share < round(share * 10_000) * workers_per_gpu / 10_000 <= 1


def test_without_need_of_a_gpu_none_is_asked_for():
    assert Execution().gpu_share == 0.0


class Nodes:
    """Stands for Ray's module, as far as it lists machines."""

    def __init__(self, *resources):
        self._nodes = [{"Alive": True, "NodeID": str(n), "Resources": each} for n, each in enumerate(resources)]

    def nodes(self):
        return self._nodes


@pytest.mark.parametrize(
    ("most", "workers_per_gpu", "slots"), [(None, None, 14), (None, 2, 8), (5, 2, 5), (None, 1, 4), (None, 100, 12)]
)
def test_slots_are_workers_for_whom_there_is_a_gpu(most, workers_per_gpu, slots):
    ray = Nodes({"CPU": 8.0, "GPU": 3.0}, {"CPU": 4.0, "GPU": 1.0}, {"CPU": 2.0})
    assert Machines(ray, most, workers_per_gpu).num_slots == slots


@pytest.mark.parametrize(("workers_per_gpu", "usable"), [(None, ["0", "1"]), (1, ["0"])])
def test_machines_without_room_for_a_worker_are_not_asked_whether_they_can_compute(workers_per_gpu, usable):
    ray = Nodes({"CPU": 8.0, "GPU": 3.0}, {"CPU": 4.0}, {"CPU": 0.0, "GPU": 1.0}, {"memory": 1.0})
    assert [node["NodeID"] for node in Machines(ray, None, workers_per_gpu).usable()] == usable


@pytest.fixture
def kept_supervisor(monkeypatch):
    """Sees to it that no supervisor is left behind."""
    monkeypatch.setattr(ray_executor, "_supervisor", None)
    yield
    if ray_executor._supervisor is not None:
        ray_executor._supervisor[1].close()


def test_a_worker_that_gets_another_gpu_starts_another_process(monkeypatch, kept_supervisor):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    processes = []
    for visible in ("0", "0", "1"):
        monkeypatch.setenv(ray_executor.VISIBLE_GPUS, visible)
        supervisor = ray_executor._supervisor_of(FaultyEvaluator(), Limits())
        supervisor.environment()
        processes.append(supervisor._process.pid)
    assert processes[0] == processes[1] != processes[2]


@pytest.mark.ray
def test_each_worker_has_its_share_of_a_gpu_and_keeps_its_process(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    execution = Execution(workers=4, workers_per_gpu=2, num_gpus=2)
    path = run(tmp_path, "placed", PLAN, Placed(), execution)
    places = [trial.result.environment for trial in load_run(path).journaled_trials]
    assert {place["gpus"] for place in places} == {"0", "1"}
    gpus_of = {(place["process"], place["gpus"]) for place in places}
    assert len(gpus_of) == len({process for process, _ in gpus_of}), "a process has had another GPU"
    assert len(gpus_of) < len(places) / 4, "processes are not kept"
    assert views(path) == views(run(tmp_path, "serial", PLAN, SimulatedEvaluator()))
