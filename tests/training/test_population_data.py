"""Streams whose minibatches are of several sizes, as the trainer of one model reads them."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
import torch
from shared_populations import RECIPE, RaggedTask, assert_alike, draw_members, train_alone, train_together
from shared_recall import RecallTask

from archsearch.errors import ShapeError
from archsearch.graph.catalog import zoo_cell
from archsearch.seeds import array_generator
from archsearch.training.evaluate import Evaluator
from archsearch.training.grouping import Populations
from archsearch.training.minibatch import Minibatch, held_out_minibatches
from archsearch.training.population_data import MAX_SHAPES, Chunks, Shaper
from archsearch.training.population_held_out import in_parts, multiple_for
from archsearch.trials.interface import Interface
from archsearch.trials.task import Batch, HeldOut

Plan = tuple[tuple[int, bool], ...]


@dataclass(frozen=True)
class SizedTask(RecallTask):
    """Minibatches of given sizes, which start anew or go on: a plan for each parity of the seed, and one for held-out.

    Attributes:
        plans: `(sequences, starts)` of each minibatch; after the last, again the first.
        held_out_plan: Likewise, once.
    """

    plans: tuple[Plan, Plan] = (((3, True),), ((3, True),))
    held_out_plan: Plan = ((3, True), (3, False))

    def training(self, seed: int, batch_size: int, unroll: int) -> Iterator[Batch]:  # noqa: ARG002 - sizes are planned
        return self._batches(itertools.cycle(self.plans[seed % 2]), seed, unroll)

    def held_out(self, split: HeldOut, batch_size: int, unroll: int) -> Iterator[Batch]:  # noqa: ARG002 - likewise
        return self._batches(iter(self.held_out_plan), 77, unroll)

    def _batches(self, plan: Iterator[tuple[int, bool]], seed: int, unroll: int) -> Iterator[Batch]:
        rng = array_generator(seed)
        for num_sequences, starts in plan:
            window = rng.integers(3, size=(unroll + 1, num_sequences))
            yield Batch(window[1:], window[:-1], rng.random((unroll, num_sequences)) < self.scored_share, starts)


STEADY, RESTARTING = ((2, True), *[(2, False)] * 20), ((1, True), (3, True), (1, True), (4, True))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_a_stream_goes_on_while_another_begins_with_more_sequences_than_there_were(cell, num_layers):
    task = SizedTask("sized", plans=(STEADY, RESTARTING))
    members = draw_members(random.Random(1), 4, (4, 5), num_layers, num_streams=2)
    together = train_together(zoo_cell(cell), task, RECIPE, members, 10)
    for mine, member in zip(together, members, strict=True):
        assert_alike(mine, train_alone(zoo_cell(cell), task, RECIPE, member, 10))


GROWING, SHRINKING = ((3, True), *[(3, False)] * 8, (4, False)), ((4, True), *[(4, False)] * 8, (3, False))


@pytest.mark.parametrize("plan", [GROWING, SHRINKING], ids=["more", "fewer"])
def test_states_that_fit_no_sequences_fail_as_they_do_for_one_model(make_trial, plan):
    task = SizedTask("sized", plans=(plan, plan))
    trials = [make_trial(task, recipe=RECIPE, replicate=number) for number in range(2)]
    evaluator = Evaluator({task.name: task}, "vectorized", populations=Populations(padding=1e9))
    for mine, trial in zip(evaluator.evaluate_together(trials), trials, strict=True):
        alone = Evaluator({task.name: task}, "interpreter").evaluate(trial)
        assert (mine.status, mine.steps, mine.cause) == ("failed", 10, {"exception": "ShapeError"})
        assert (alone.status, alone.steps, alone.cause) == (mine.status, mine.steps, mine.cause)
        assert [point[0] for point in mine.curve] == [point[0] for point in alone.curve] == [4, 8]


def test_each_validation_begins_with_states_of_zero():
    task = SizedTask("sized", held_out_plan=((3, False), (3, False)))
    members = draw_members(random.Random(2), 3, (5,))
    together = train_together(zoo_cell("gru"), task, RECIPE, members, 12)
    for mine, member in zip(together, members, strict=True):
        assert_alike(mine, train_alone(zoo_cell("gru"), task, RECIPE, member, 12))


@pytest.mark.parametrize("scored_share", [1.0, 0.4])
def test_held_out_sequences_are_read_in_parts_where_nothing_is_carried_between_them(scored_share):
    plan = ((11, True), (4, True), (4, False), (9, True), (9, False), (9, True))
    task = SizedTask("sized", held_out_plan=plan, scored_share=scored_share)
    minibatches = held_out_minibatches(task, "validation", RECIPE)
    parts = in_parts(minibatches, RECIPE.batch_size)
    assert [part.batch_size for part in parts] == [4, 4, 3, 4, 4, 9, 9, 4, 4, 1]
    assert sum(len(part.targets) for part in parts) == sum(len(minibatch.targets) for minibatch in minibatches)
    members = draw_members(random.Random(3), 3, (4, 5))
    for mine, member in zip(train_together(zoo_cell("gru"), task, RECIPE, members, 8), members, strict=True):
        assert_alike(mine, train_alone(zoo_cell("gru"), task, RECIPE, member, 8))


SYMBOLS = Interface.of_symbols(3)


def shapes_of(chunks):
    return [chunk.shape for chunk in iter(lambda: chunks.take(64), None)]


LENGTHS = [*range(1, 61), 60, 1, 33]


def stream_of(lengths):
    """Returns minibatches of some lengths, each of which starts anew."""
    symbols = [torch.zeros(length, 2, dtype=torch.int64) for length in lengths]
    return [Minibatch(each, None, each.flatten(), starts=True) for each in symbols]


def test_many_lengths_come_in_few_shapes():
    """Each shape takes memory of its own and, on a GPU, a recording."""
    shaper = Shaper()
    given = [shaper.shape([minibatch], [True])[0] for minibatch in stream_of(LENGTHS)]
    assert all(length <= rounded < 2 * length + 8 for length, rounded in zip(LENGTHS, given, strict=True))
    assert len(set(given)) <= MAX_SHAPES * 4
    assert len(set(given[30:])) <= MAX_SHAPES
    multiple = multiple_for(stream_of(LENGTHS), 1)
    assert multiple == 8
    assert multiple_for(stream_of([1, 2, 3]), 1) == 1
    carried = [replace(minibatch, starts=False) for minibatch in stream_of(LENGTHS)]
    assert multiple_for(carried, 1) == 64  # nothing helps


def test_lengths_that_cannot_be_changed_are_given_as_they_are():
    shaper = Shaper()
    for length in LENGTHS:
        assert shaper.shape(stream_of([length]), [False])[0] == length
        assert shaper.shape(stream_of([length]), [True])[0] == length


def test_what_may_grow_becomes_as_long_as_what_may_not():
    """Of pieces of a long sequence, only the last may: it needs no shape of its own."""
    shaper, [piece] = Shaper(8), stream_of([35])
    assert [shaper.shape([piece], [may_grow])[0] for may_grow in (False, True, False, True)] == [35] * 4
    for length, expected in ((3, 8), (33, 35), (36, 40), (35, 35)):
        assert shaper.shape(stream_of([length]), [True])[0] == expected
    stream = stream_of([35, 35, 33, 35, 35])
    carried = [replace(each, starts=starts) for each, starts in zip(stream, (1, 0, 0, 1, 0), strict=True)]
    assert {chunk_shape[0] for chunk_shape in shapes_of(Chunks([carried], SYMBOLS, torch.float32, 8))} == {35}


def test_training_on_many_lengths_is_that_of_one_model():
    task = RaggedTask("ragged", max_length=40, num_held_out=30, scored_share=0.7)
    recipe = replace(RECIPE, unroll=40)
    members = draw_members(random.Random(4), 3, (4, 5), num_streams=2)
    together = train_together(zoo_cell("gru"), task, recipe, members, 30)
    for mine, member in zip(together, members, strict=True):
        assert_alike(mine, train_alone(zoo_cell("gru"), task, recipe, member, 30))


def test_what_a_stream_raises_comes_after_the_minibatches_before_it():
    def stream():
        for _ in range(3):
            symbols = torch.zeros(2, 2, dtype=torch.int64)
            yield Minibatch(symbols, None, symbols.flatten(), starts=True)
        yield replace(Minibatch(symbols, None, symbols.flatten(), starts=False), inputs=symbols[:, :1])

    chunks = Chunks([stream()], SYMBOLS, torch.float32)
    assert len(chunks.take(64)) == 3
    for _ in range(2):
        with pytest.raises(ShapeError, match="expected 2 sequences in a minibatch that goes on"):
            chunks.take(64)
