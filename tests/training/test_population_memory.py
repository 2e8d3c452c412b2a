"""What a population is thought to take, beside what it takes."""

import gc
import random
import weakref
from dataclasses import replace

import pytest
import torch
from shared_populations import CPU, RaggedTask, draw_members
from shared_recall import RecallTask

from archsearch.graph.catalog import zoo_cell
from archsearch.training.grouping import Populations, group_trials, width_of
from archsearch.training.population import PopulationTrainer
from archsearch.training.population_data import MAX_SHAPES
from archsearch.training.population_memory import DataShapes, MemoryNeed, data_shapes, memory_need
from archsearch.trials.metric import MSE
from archsearch.trials.trial import Recipe

RECIPE = Recipe(batch_size=10, unroll=12)
LONG = replace(RECIPE, unroll=100)
NUM_STEPS = 24


def most_bytes_at_once(work):
    """Returns the most that torch holds at once while something is done, by its own account."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        work()
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


CASES = {
    "pieces": (RecallTask("recall", epoch=8), "gru", RECIPE, 1, (40,)),
    "two layers, padded": (RecallTask("recall", epoch=8), "lstm", RECIPE, 2, (25, 40)),
    "float64": (RecallTask("recall", epoch=8), "mut1", replace(RECIPE, precision="float64"), 1, (40,)),
    "longer than unroll": (RecallTask("recall", epoch=8), "gru", replace(RECIPE, unroll=60), 1, (40,)),
    "many lengths": (RaggedTask("ragged", max_length=50, num_held_out=30, epoch=8), "lstm", LONG, 1, (40,)),
    "many symbols": (RaggedTask("ragged", num_symbols=300, output_size=300, epoch=8), "gru", RECIPE, 1, (40,)),
    "numbers": (
        RaggedTask("r", input_size=30, output_size=40, loss="squared_error", measured=MSE),
        "gru",
        LONG,
        1,
        (40,),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_estimate_covers_what_is_taken_and_not_much_more(make_trial, name):
    task, cell, recipe, num_layers, widths = CASES[name]
    graph = zoo_cell(cell)
    members = draw_members(random.Random(1), 6, widths, num_layers)
    trial = make_trial(task, graph=graph, recipe=recipe, setting=members[0].setting)
    shapes = data_shapes(trial, task, 1)
    assert len(shapes.held) <= 2 * MAX_SHAPES

    def train():
        PopulationTrainer(graph, task, recipe, members, 40, CPU).run(NUM_STEPS)

    taken = most_bytes_at_once(train)
    estimate = memory_need(trial, task.interface, 40, shapes).of(len(members), num_streams=2)
    assert taken <= estimate <= 2 * taken


def test_long_sequences_and_many_shapes_leave_room_for_fewer(make_trial):
    """The case that was forgotten once: sequences that are whole, of several lengths, whatever `unroll` says."""
    tasks = {"short": RaggedTask("short", max_length=6), "long": RaggedTask("long", max_length=90)}
    sizes = {}
    for name, task in tasks.items():
        trials = [make_trial(task, recipe=LONG, replicate=number) for number in range(200)]
        groups = group_trials(trials, tasks, Populations(memory_mb=60), 1)
        sizes[name] = len(groups[0])
        shapes = data_shapes(trials[0], task, 1)
        width = width_of(trials[0], {name: task.interface})
        need = memory_need(trials[0], task.interface, width, shapes)
        assert need.of(sizes[name], sizes[name]) <= 60 * 2**20 < need.of(sizes[name] + 1, sizes[name] + 1)
    assert sizes["short"] > 4 * sizes["long"]


def test_large_held_out_minibatches_count(make_trial):
    trial = make_trial(RecallTask("recall"), recipe=RECIPE)
    interface = RecallTask("recall").interface
    small = DataShapes(((12, 10),), ((12, 10),), 1000)
    large = replace(small, validation=((12, 200),))
    fitting = [memory_need(trial, interface, 40, shapes).most_members(2**27, 1) for shapes in (small, large)]
    assert fitting[1] < fitting[0] / 8


@pytest.mark.parametrize(("num_streams", "expected"), [(1, 30), (10, 21), (16, 15), (20, 15), (100, 15)])
def test_members_may_read_different_data_or_the_same(num_streams, expected):
    need = MemoryNeed(fixed=68, stream=1, member=1)
    assert need.most_members(99, num_streams) == expected
    assert need.of(expected, min(expected, num_streams)) <= 99
    assert need.most_members(10, num_streams) == 1


def test_data_that_cannot_be_read_are_for_the_trials_to_tell(make_trial):
    class Broken(RecallTask):
        def held_out(self, *_):
            raise OSError("no such file")

    task = Broken("broken")
    assert data_shapes(make_trial(task, recipe=RECIPE), task, 1).held == ((12, 10),)


def test_memory_that_is_not_used_any_more_is_given_back_at_once():
    """Of shapes that gave way to others, and of members that were left out: not when Python looks for circles."""
    task = RaggedTask("ragged", max_length=50, epoch=200)
    members = draw_members(random.Random(1), 4, (5,))
    trainer = PopulationTrainer(zoo_cell("gru"), task, replace(LONG, precision="float64"), members, 5, CPU)
    gc.disable()
    try:
        seen = weakref.WeakSet()
        for _ in range(40):
            trainer.take_steps(1)
            seen.update(trainer._steps_by_shape.values())
        assert len(seen) <= MAX_SHAPES
        parts = weakref.WeakSet(trainer._validation._parts)
        trainer._leave_out_others([0, 2])
        assert len(seen) == len(parts) == 0
        trainer.take_steps(1)
        trainer.validate()
    finally:
        gc.enable()
