"""What populations record on a GPU, where torch's graphs and their memory are played."""

import random
import weakref
from dataclasses import replace

import pytest
import torch
from shared_populations import CPU, RECIPE, RaggedTask, draw_members
from torch.utils._python_dispatch import TorchDispatchMode

from archsearch.compiler.vectorized.replay import Replay
from archsearch.graph.catalog import zoo_cell
from archsearch.training import population, population_step, population_validation
from archsearch.training.population import PopulationTrainer

MAX_SHAPES = 3
# what waits for a GPU, or needs memory that the host has pinned
NEVER_RECORDED = {"aten._local_scalar_dense", "aten.nonzero", "aten.masked_select", "aten._pin_memory"}


class Pool:
    """Memory of a GPU's recordings; torch's allocator refuses one in a pool all of whose recordings have gone."""

    def __init__(self):
        self.recordings = weakref.WeakSet()
        self.was_used = False

    def take(self, recording):
        assert self.recordings or not self.was_used, "use_count > 0 INTERNAL ASSERT FAILED"
        self.recordings.add(recording)
        self.was_used = True


class Touched(TorchDispatchMode):
    """Notes the memory that work touches and did not take itself."""

    def __init__(self):
        super().__init__()
        self.addresses, self._own = set(), {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert str(function).rpartition(".")[0] not in NEVER_RECORDED
        for tensor in filter(torch.is_tensor, torch.utils._pytree.tree_leaves((args, kwargs))):
            if tensor.untyped_storage().data_ptr() not in self._own:
                self.addresses.add(tensor.untyped_storage().data_ptr())
        result = function(*args, **(kwargs or {}))
        for tensor in filter(torch.is_tensor, torch.utils._pytree.tree_leaves(result)):
            if tensor.untyped_storage().data_ptr() not in self.addresses:
                self._own[tensor.untyped_storage().data_ptr()] = tensor  # held, so that no address comes twice
        return result


class PlayedReplay(Replay):
    """Does the work each time, and checks that a recording of the first time would have done the same."""

    def __call__(self):
        with Touched() as touched:
            self._work()
        if self._graph is None:
            self._pool.take(self)
            self._graph = touched.addresses
        assert touched.addresses == self._graph


@pytest.fixture
def _gpu(monkeypatch):
    monkeypatch.setattr(population, "memory_pool", lambda _: Pool())
    monkeypatch.setattr(population, "MAX_SHAPES", MAX_SHAPES)
    for module in (population_step, population_validation):
        monkeypatch.setattr(module, "Replay", PlayedReplay)


@pytest.mark.usefixtures("_gpu")
@pytest.mark.parametrize("input_size", [0, 3], ids=["symbols", "numbers"])
def test_recordings_find_the_memory_they_were_made_on(input_size):
    """While shapes give way to others, numbers of sequences grow, states are carried on and members are left out."""
    task = RaggedTask("ragged", input_size=input_size, max_length=12, epoch=20, num_held_out=3)
    members = draw_members(random.Random(1), 4, (4, 5))
    trainer = PopulationTrainer(zoo_cell("lstm"), task, replace(RECIPE, unroll=100), members, 5, CPU)
    shapes = set()
    for members_left in (4, 3, 1):
        if members_left < 4:
            trainer._leave_out_others(range(members_left))
        for _ in range(12):
            trainer.take_steps(1)
            shapes.update(trainer._steps_by_shape)
        trainer.validate()
    assert len(shapes) > MAX_SHAPES


@pytest.mark.usefixtures("_gpu")
def test_a_validation_records_once_for_each_shape():
    task = RaggedTask("ragged", max_length=12, num_held_out=30)
    members = draw_members(random.Random(1), 2, (4,))
    trainer = PopulationTrainer(zoo_cell("gru"), task, replace(RECIPE, unroll=5), members, 4, CPU)
    trainer.take_steps(4)
    trainer.validate()
    of_steps = {step._replay for step in trainer._steps_by_shape.values()}
    shapes = [chunk.shape for chunk in trainer._held_out]
    assert len(set(trainer._pool.recordings) - of_steps) == len(set(shapes)) < len(shapes)
