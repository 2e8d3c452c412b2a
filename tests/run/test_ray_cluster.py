"""A cluster of two machines, here two of Ray's node processes on one: versions are compared, a loss is no end."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from shared_faults import FaultyEvaluator
from shared_runs import run, views
from shared_simulation import SilentObserver, SimulatedEvaluator, make_small_plan

from archsearch.errors import SearchStateError
from archsearch.run import ray_cluster
from archsearch.run.execution import Execution, Limits
from archsearch.run.folder import RunFolder
from archsearch.run.ray_executor import load_ray
from archsearch.run.reading import load_run
from archsearch.run.session import run_search

PLAN = make_small_plan()
MEMORY = 100 * 2**20


@pytest.fixture
def cluster(monkeypatch) -> Iterator[Any]:
    """Two machines with one processor each, in a folder of their own."""
    with tempfile.TemporaryDirectory(prefix="archsearch-") as folder:  # tmp_path is too long for sockets
        (Path(folder) / "ray").mkdir()
        monkeypatch.setenv("RAY_TMPDIR", folder)
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
        load_ray(is_private=True)  # which keeps it on the loopback interface
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": MEMORY}
        made = Cluster(initialize_head=True, head_node_args=head)
        try:
            made.other = made.add_node(num_cpus=1, object_store_memory=MEMORY)
            yield made
        finally:
            made.shutdown()


@dataclass(frozen=True)
class ElsewhereAnother:
    """Has another engine in all processes but one."""

    home: int

    def describe(self) -> dict[str, str]:
        return {"engine": "native" if os.getpid() == self.home else "interpreter"}

    def evaluate(self, _trial):
        raise AssertionError


class LosesAMachine(SilentObserver):
    """Ends a machine in the middle of the search."""

    def __init__(self, cluster):
        self._cluster = cluster
        self.num_answered = 0
        self.most_in_flight: list[int] = [0, 0]

    def trial_answered(self, trial, result, *, recorded):  # noqa: ARG002
        self.num_answered += 1
        if self.num_answered == 40:
            self._cluster.remove_node(self._cluster.other, allow_graceful=False)

    def refresh(self, num_in_flight, num_waiting):  # noqa: ARG002
        late = self.num_answered > 75
        self.most_in_flight[late] = max(self.most_in_flight[late], num_in_flight)


@pytest.mark.ray
def test_a_search_on_two_machines_goes_on_when_one_is_lost(cluster, tmp_path, monkeypatch):
    execution = Execution(None, Limits(60), address=cluster.address)
    with monkeypatch.context() as patches:
        patches.setattr(ray_cluster, "own_versions", lambda: {"python": "3.11", "torch": "9.9", "archsearch": "0"})
        with pytest.raises(SearchStateError, match=r"Ray node .*\(127\.0\.0\.1\): torch is .*, expected 9\.9 as here"):
            run(tmp_path, "versions", PLAN, FaultyEvaluator(), execution)
    with pytest.raises(SearchStateError, match="engine is interpreter, expected native as here"):
        run(tmp_path, "engine", PLAN, ElsewhereAnother(os.getpid()), execution)
    assert not list(load_run(tmp_path / "engine").trials()["key"])

    observer = LosesAMachine(cluster)
    folder = RunFolder.create(tmp_path, "cluster", "test")
    run_search(PLAN, folder, FaultyEvaluator(seconds=0.05), execution, observer)
    assert observer.most_in_flight == [2, 1], "as many trials in flight as there are processors"
    assert views(folder.path) == views(run(tmp_path, "serial", PLAN, SimulatedEvaluator()))
