"""Faults under Ray get the same statuses as without it, and Ray listens to this machine only."""

import os
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from shared_faults import FaultyEvaluator
from shared_runs import run, views
from shared_simulation import SilentObserver, answer, make_small_plan, simulate

from archsearch.errors import ConfigError, SearchStateError
from archsearch.run import ray_cluster, ray_executor, ray_folder
from archsearch.run.execution import Execution, Limits
from archsearch.run.folder import RunFolder
from archsearch.run.ray_executor import MAX_LOSSES, RayExecutor
from archsearch.run.ray_folder import RayFolder
from archsearch.run.reading import load_run
from archsearch.run.session import run_search
from archsearch.run.supervisor import Supervisor

TASK = replace(make_small_plan().tasks[0], num_settings=2, num_baseline_settings=6)
PLAN = make_small_plan(tasks=(TASK,))
LISTENING = "0A"


@pytest.fixture(autouse=True)
def workers_find_the_simulation(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))


def candidates() -> list[str]:
    """Returns the digests of the candidates, which do not depend on each other's results."""
    return [outcome.cells[0].digest for outcome in simulate(PLAN).outcomes[1:]]


def listening_addresses(pids: set[int]) -> set[str]:
    """Returns the local addresses, in hexadecimal digits, to which processes listen."""
    inodes = set()
    for pid in pids:
        with suppress(OSError):  # it has ended
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):  # just closed
                    inodes.add(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
    rows = [
        line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    return {row[1].partition(":")[0] for row in rows if row[3] == LISTENING and row[9] in inodes}


def descendants(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            text = children.read_text()
        except OSError:  # it has ended
            continue
        for child in text.split():
            yield from descendants(int(child))


def is_busy_worker(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::_compute")
    except OSError:  # it has ended
        return False


class Listening(SilentObserver):
    """Looks at the sockets once while the search runs, ends one of Ray's workers and then stops another one."""

    def __init__(self):
        self.addresses: set[str] = set()
        self.most_in_flight = 0
        self.signalled: list[int] = []

    def refresh(self, num_in_flight, num_waiting):  # noqa: ARG002
        self.most_in_flight = max(self.most_in_flight, num_in_flight)
        for pid in descendants(os.getpid()) if len(self.signalled) < 2 else []:
            if pid not in self.signalled and is_busy_worker(pid):
                self.addresses = self.addresses or listening_addresses(set(descendants(os.getpid())))
                os.kill(pid, signal.SIGSTOP if self.signalled else signal.SIGKILL)
                self.signalled.append(pid)
                break


@pytest.mark.ray
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_faults_give_the_same_tables_with_and_without_ray(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_executor, "longest_seconds", lambda _limits, _num_trials: 20.0)
    crashing, hanging, killed, _ = candidates()
    faults = {f"first/{crashing}": "segfault", hanging: "hang_in_c", killed: "killed_once"}
    limits, observer = Limits(seconds=1.0), Listening()
    for name, workers in (("serial", 0), ("ray", 2)):
        (tmp_path / name).mkdir()
        evaluator = FaultyEvaluator(faults, tmp_path / name)
        run_search(PLAN, RunFolder(tmp_path / name), evaluator, Execution(workers, limits), observer)
    serial, ray = (load_run(tmp_path / name) for name in ("serial", "ray"))
    assert views(ray.path) == views(serial.path)
    statuses = ray.trials().groupby("cell")["status"].agg(set)
    assert statuses[hanging] == {"time_limit"}
    assert statuses[killed] <= {"ok", "diverged"}
    assert serial.summary()["statuses"] == ray.summary()["statuses"]
    if "crashed" in statuses[crashing]:
        assert ray.summary()["statuses"]["crashed"] == 2
    assert observer.most_in_flight == 2
    assert observer.addresses <= {"0100007F", "0000000000000000FFFF00000100007F"}
    assert observer.addresses
    assert len(observer.signalled) == 2


def test_addresses_that_cannot_work_are_refused(tmp_path):
    for address, error in (("ray://127.0.0.1:1", ConfigError), ("127.0.0.1:1", SearchStateError)):
        with pytest.raises(error, match=r"127\.0\.0\.1:1"):
            run(tmp_path, "run", PLAN, FaultyEvaluator(), Execution(2, address=address))


def test_folders_of_ray_that_nobody_owns_any_more_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_folder.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(ray_folder, "MOST_CHARACTERS", 1000)
    first, second = RayFolder(), RayFolder()
    (tmp_path / "archsearch-ray-without-lock").mkdir()
    assert first.path.is_dir()
    first._lock.close()  # as when its process ends
    third = RayFolder()
    assert [folder.path.is_dir() for folder in (first, second, third)] == [False, True, True]
    assert (tmp_path / "archsearch-ray-without-lock").is_dir()
    for folder in (second, third):
        folder.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["archsearch-ray-without-lock"]


@pytest.mark.parametrize(
    ("status", "text", "cause"),
    [
        ("node_lost", "Task failed because the node is dead. Node IP: 10.0.0.7, node ID: 46.", {"node": "10.0.0.7"}),
        ("worker_lost", "The worker died unexpectedly.", {}),
    ],
)
def test_lost_workers_are_given_up_in_the_end_with_what_was_lost(caplog, status, text, cause):
    executor = RayExecutor.__new__(RayExecutor)  # without Ray
    executor._losses = defaultdict(list)
    executor._metric_of = {"memorization": "accuracy", "first": "mse"}.get
    unit = (simulate(PLAN).trials[0],)
    seconds = range(1, MAX_LOSSES + 1)
    *before, given_up = [executor._after_loss(unit, status, RuntimeError(text), each) for each in seconds]
    assert before == [None] * (MAX_LOSSES - 1)
    assert len(caplog.records) == MAX_LOSSES - 1
    (result,) = given_up
    assert (result.status, result.value) == (status, None)
    assert result.cause == {"losses": MAX_LOSSES, **cause}
    assert (result.seconds, result.metric) == (sum(seconds), "mse")


class FakeRay:
    """Stands for Ray's module joined to a cluster, on which tasks begin when a test says so and never end."""

    def __init__(self):
        self.alive = {"gone": False, "head": True, "other": True}
        self.begun: dict[str, str] = {}
        self.submitted: list[str] = []
        self.cancelled: list[str] = []
        self.init = self.shutdown = lambda **_options: None
        self._private = SimpleNamespace(utils=SimpleNamespace(set_sigterm_handler=None))
        table = SimpleNamespace(_internal_kv_get=lambda note: self.begun.get(note, "").encode() or None)
        self.experimental = SimpleNamespace(internal_kv=table)

    def nodes(self):
        common = {"NodeManagerHostname": "host", "NodeManagerAddress": "10.0.0.1", "Resources": {"CPU": 2.0}}
        return [{"NodeID": name, "Alive": alive, **common} for name, alive in self.alive.items()]

    def put(self, value):
        return value

    def remote(self, **_options):
        return lambda _function: self

    def options(self, **_options):
        return SimpleNamespace(remote=self._submit)

    def _submit(self, *arguments):
        self.submitted.append(arguments[-1])  # a task is known by its note
        return arguments[-1]

    def wait(self, references, **_options):
        return [], references

    def cancel(self, reference, **_options):
        self.cancelled.append(reference)


@pytest.fixture
def joined(monkeypatch):
    """An executor that has joined a cluster, and the module that stands for Ray's."""
    ray = FakeRay()
    monkeypatch.setattr(ray_executor, "load_ray", lambda **_options: ray)
    monkeypatch.setattr(ray_executor, "check_nodes", lambda *_arguments: None)
    monkeypatch.setattr(ray_cluster, "SECONDS_BETWEEN_LOOKS", 0.0)
    return RayExecutor(FaultyEvaluator(), Execution(None, Limits(60), address="auto")), ray


def test_machines_that_were_dead_before_us_are_no_news(joined):
    executor, ray = joined
    for trial in simulate(PLAN).trials[:3]:
        executor.submit((trial,))
    ray.begun[ray.submitted[0]] = "head"
    executor.wait(0.0)
    assert ray.cancelled == []
    ray.alive["other"] = False
    executor.wait(0.0)
    executor.wait(0.0)
    assert ray.cancelled == ray.submitted[1:3], "Ray may have asked the dead machine to take them"
    ray.begun[ray.submitted[3]], ray.alive["head"] = "head", False
    executor.wait(0.0)
    assert sorted(ray.cancelled) == sorted(ray.submitted[:5])


def test_a_task_that_waits_for_other_jobs_of_the_cluster_is_not_overdue(joined, monkeypatch):
    monkeypatch.setattr(ray_executor, "longest_seconds", lambda _limits, _num_trials: 0.0)
    executor, ray = joined
    executor.submit((simulate(PLAN).trials[0],))
    executor.wait(0.0)
    executor.wait(0.0)
    assert ray.cancelled == []
    ray.begun[ray.submitted[0]] = "head"
    executor.wait(0.0)
    executor.wait(0.0)
    assert ray.cancelled == ray.submitted


def test_a_unit_that_is_cancelled_does_not_answer_for_the_next_one(monkeypatch):
    monkeypatch.setattr(ray_executor, "_supervisor", None)
    first, second = simulate(PLAN).trials[:2]
    evaluator = FaultyEvaluator(seconds=0.2)
    poll = Supervisor.poll

    def cancelled(supervisor, _seconds):
        poll(supervisor, 0.0)
        raise KeyboardInterrupt  # as Ray's `cancel` does

    with monkeypatch.context() as patch:
        patch.setattr(Supervisor, "poll", cancelled)
        with pytest.raises(KeyboardInterrupt):
            ray_executor._computed(evaluator, Limits(), {}, (first,))
    try:
        computed = ray_executor._computed(evaluator, Limits(), {}, (second,))
    finally:
        ray_executor._supervisor[1].close()
    assert computed["records"] == [answer(second).to_record()]
