"""A cluster of two machines, here two of Ray's node processes on one: versions are compared, a loss is no end."""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from shared_faults import FaultyEvaluator
from shared_runs import run, views
from shared_simulation import SilentObserver, SimulatedEvaluator, make_small_plan

from archsearch.errors import SearchStateError
from archsearch.run import ray_cluster
from archsearch.run.execution import Execution, Limits
from archsearch.run.folder import RunFolder
from archsearch.run.interrupts import Interrupts
from archsearch.run.ray_executor import load_ray
from archsearch.run.session import run_search

PLAN = make_small_plan()
MEMORY = 100 * 2**20


@pytest.fixture
def cluster(monkeypatch) -> Iterator[Any]:
    """One machine with one processor, to which others can be added, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="archsearch-") as folder:  # tmp_path is too long for sockets
        (Path(folder) / "ray").mkdir()
        monkeypatch.setenv("RAY_TMPDIR", folder)
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
        load_ray(is_private=True)  # which keeps it on the loopback interface
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": MEMORY}
        made = Cluster(initialize_head=True, head_node_args=head)
        try:
            yield made
        finally:
            made.shutdown()


def test_sigterm_while_ray_starts_is_a_signal_to_stop_and_not_the_end_without_a_word():
    def init(**_arguments: Any) -> None:
        utils.set_sigterm_handler(lambda number, _frame: sys.exit(number))  # as Ray does first of all
        os.kill(os.getpid(), signal.SIGTERM)

    utils = SimpleNamespace(set_sigterm_handler=lambda handler: signal.signal(signal.SIGTERM, handler))
    fake = SimpleNamespace(init=init, _private=SimpleNamespace(utils=utils))
    interrupts = Interrupts()
    with interrupts.caught(), pytest.raises(KeyboardInterrupt):
        ray_cluster.start_private(fake, 1, Path("unused"))
    assert interrupts.has_come


def test_whatever_ray_raises_when_it_does_not_start_is_told_with_the_way_out():
    def init(**_arguments: Any) -> None:
        raise Exception("The current node timed out during startup.")

    utils = SimpleNamespace(set_sigterm_handler=None)
    fake = SimpleNamespace(init=init, _private=SimpleNamespace(utils=utils))
    with pytest.raises(SearchStateError, match=r"Ray did not start .*timed out.*workers=0"):
        ray_cluster.start_private(fake, 1, Path("unused"))


@pytest.mark.parametrize(
    ("gpu_share", "said"), [(1.0, "its GPUs are taken by other jobs, or it is cut off"), (0.0, ": it is")]
)
def test_a_machine_that_does_not_answer_in_time_is_refused_with_what_may_be_the_cause(gpu_share, said):
    class GetTimeoutError(Exception):
        pass

    def get(_reference, timeout):
        raise GetTimeoutError(timeout)

    others = dict.fromkeys(("RayTaskError", "NodeDiedError", "TaskUnschedulableError", "RayError"), ArithmeticError)
    remote = SimpleNamespace(options=lambda **_options: SimpleNamespace(remote=lambda *_values: "reference"))
    scheduling = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda *_arguments, **_options: None)
    fake = SimpleNamespace(
        get=get,
        exceptions=SimpleNamespace(GetTimeoutError=GetTimeoutError, **others),
        remote=lambda **_options: lambda _function: remote,
        util=SimpleNamespace(scheduling_strategies=scheduling),
    )
    node = {"NodeID": "1", "NodeManagerHostname": "machine-2", "NodeManagerAddress": "10.0.0.2"}
    with pytest.raises(SearchStateError, match=rf"machine-2 \(10\.0\.0\.2\): no answer within 180 s.*{said}"):
        ray_cluster.check_nodes(fake, dict, (), {}, [node], gpu_share)


@dataclass(frozen=True)
class Picky(FaultyEvaluator):
    """Has another engine on the machines whose raylets a file names."""

    names: Path | None = None

    def describe(self) -> dict[str, str]:
        if self.names is None or os.environ.get("RAY_RAYLET_PID") not in self.names.read_text().split():
            return {"engine": "native"}
        self.names.with_name("described").touch()
        return {"engine": "interpreter"}


class Joins(SilentObserver):
    """Adds a machine in the middle of the search and takes it away again.

    Attributes:
        most_in_flight: Trials at once before the other machine came, and since.
    """

    def __init__(self, cluster, names=None):
        self._cluster = cluster
        self._names = names
        self._num_answered = 0
        self._other = None
        self.most_in_flight = [0, 0]

    def trial_answered(self, trial, result, *, recorded):  # noqa: ARG002
        self._num_answered += 1
        if self._num_answered == 10:
            self._other = self._cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
            if self._names is not None:
                raylet = self._other.all_processes["raylet"][0].process
                self._names.write_text(str(raylet.pid))
        if self._num_answered == 50 and self._names is not None:
            end = time.monotonic() + 120
            while not self._names.with_name("described").exists() and time.monotonic() < end:
                time.sleep(0.05)  # a trial is on its way to the other machine
        elif self._num_answered == 50:
            self._cluster.remove_node(self._other, allow_graceful=False)

    def refresh(self, num_in_flight, num_waiting):  # noqa: ARG002
        since = self._num_answered >= 10
        self.most_in_flight[since] = max(self.most_in_flight[since], num_in_flight)


@pytest.mark.ray
def test_machines_are_compared_and_may_come_and_go(cluster, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(ray_cluster, "SECONDS_BETWEEN_LOOKS", 0.0)
    execution = Execution(None, Limits(60), address=cluster.address)
    with monkeypatch.context() as patches:
        patches.setattr(ray_cluster, "own_versions", lambda: {"python": "3.11", "torch": "9.9", "archsearch": "0"})
        with pytest.raises(SearchStateError, match=r"Ray node .*\(127\.0\.0\.1\): torch is .*, expected 9\.9 as here"):
            run(tmp_path, "versions", PLAN, FaultyEvaluator(), execution)
    serial = run(tmp_path, "serial", PLAN, SimulatedEvaluator())

    observer = Joins(cluster)
    folder = RunFolder.create(tmp_path, "cluster", "test")
    run_search(PLAN, folder, FaultyEvaluator(seconds=0.05), execution, observer)
    assert observer.most_in_flight == [1, 2], "as many trials in flight as there are processors"
    assert views(folder.path) == views(serial)

    names = tmp_path / "names"
    names.write_text("")
    folder = RunFolder.create(tmp_path, "picky", "test")
    run_search(PLAN, folder, Picky(seconds=0.05, names=names), execution, Joins(cluster, names))
    assert caplog.text.count("engine is interpreter, expected native as here. It gets no trials.") == 1
    assert views(folder.path) == views(serial)
