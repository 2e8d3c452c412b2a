"""Populations against the trainer of one model, member by member, in float64."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from shared_cells import random_structure
from shared_populations import (
    CPU,
    RECIPE,
    RaggedTask,
    assert_alike,
    draw_members,
    train_alone,
    train_together,
    without_numbers,
)
from shared_recall import RecallTask

from archsearch.compiler.lower import lower
from archsearch.graph.catalog import zoo_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.training.padding import stays_small_without_weights
from archsearch.training.population import Member, PopulationTrainer
from archsearch.training.stops import Deadline, TimeLimitError
from archsearch.trials.metric import ACCURACY, BITS, MAE, MSE, NLL, PERPLEXITY, Loss, Metric
from archsearch.trials.setting import Setting
from archsearch.trials.task import Batch

TASK = RecallTask("recall", delay=2, scored_share=0.6, starts_every=3)
NUM_RANDOM = 100


def compare(cell, task, recipe, members, max_steps, tolerance=1e-9, **sizes):
    together = train_together(cell, task, recipe, members, max_steps, **sizes)
    alone = [train_alone(cell, task, recipe, member, max_steps) for member in members]
    for mine, other in zip(together, alone, strict=True):
        assert_alike(mine, other, tolerance)
    return together


def draw_cell(rng: random.Random) -> CellGraph:
    all_primitives = rng.random() < 0.5
    return CellGraph.from_structure(
        random_structure(rng, rng.randint(3, 25), rng.randint(1, 3), all_primitives=all_primitives)
    )


@pytest.mark.parametrize("seed", range(NUM_RANDOM))
def test_random_cells_with_random_settings(seed):
    """Widths, layers, streams, carried states, positions that do not count, members that diverge: all of it at once."""
    rng = random.Random(seed)
    cell = draw_cell(rng)
    widths = (4, 5, 6) if stays_small_without_weights(lower(cell.structure)) else (5,)
    members = draw_members(rng, 5, widths, num_layers=rng.randint(1, 2), num_streams=rng.randint(1, 2))
    compare(cell, TASK, RECIPE, members, 8, tolerance=1e-6)  # deep random cells amplify rounding


@pytest.mark.parametrize("cell", ["gru", "lstm", "lstm_b", "mut1", "mut2", "mut3", "tanh"])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("max_gradient_norm", [0.3, 1e9], ids=["clipped", "unclipped"])
def test_cells_of_the_zoo(cell, num_layers, max_gradient_norm):
    members = [
        replace(member, setting=replace(member.setting, max_gradient_norm=max_gradient_norm))
        for member in draw_members(random.Random(1), 4, (4, 7), num_layers)
    ]
    compare(zoo_cell(cell), TASK, RECIPE, members, 10)


PEEPHOLES = """
i  = sigmoid(linear(x, h) + peephole(c))
f  = sigmoid(linear(x, h) + peephole(c))
c' = f * c + i * tanh(linear(x, h))
o  = sigmoid(linear(x, h) + peephole(c'))
h' = o * tanh(c')
"""


def test_peepholes():
    compare(CellGraph.from_equations(PEEPHOLES), TASK, RECIPE, draw_members(random.Random(2), 4, (3, 5)), 10)


LOSSES_AND_METRICS = [
    ("cross_entropy", ACCURACY),
    ("cross_entropy", NLL),
    ("cross_entropy", BITS),
    ("cross_entropy", PERPLEXITY),
    ("binary_cross_entropy", NLL),
    ("squared_error", MSE),
    ("squared_error", MAE),
]


@pytest.mark.parametrize(("loss", "metric"), LOSSES_AND_METRICS, ids=lambda value: getattr(value, "name", value))
@pytest.mark.parametrize("input_size", [0, 3], ids=["symbols", "numbers"])
@pytest.mark.parametrize("step_multiple", [1, 4])
def test_ends_losses_metrics_and_batches_of_all_sizes(loss, metric, input_size, step_multiple):
    """Minibatches of other lengths and sizes are filled up, so that streams can be read side by side."""
    task = RaggedTask("ragged", scored_share=0.7, input_size=input_size, loss=loss, measured=metric)
    members = [
        replace(member, setting=replace(member.setting, learning_rate=0.1))
        for member in draw_members(random.Random(3), 4, (4, 6), num_layers=2, num_streams=1)
    ]
    compare(zoo_cell("gru"), task, RECIPE, members, 10, place=replace(CPU, step_multiple=step_multiple))


@dataclass(frozen=True)
class RareEventsTask(RaggedTask):
    """Asks for numbers of about 0.001, and now and then for one of about 1,000."""

    input_size: int = 3
    loss: Loss = "squared_error"
    measured: Metric = MSE

    def training(self, seed: int, batch_size: int, unroll: int) -> Iterator[Batch]:
        for number, batch in enumerate(super().training(seed, batch_size, unroll), start=1):
            yield replace(batch, targets=batch.targets * (1e3 if number % 4 == 0 else 1e-3))


def test_rare_events_are_no_divergence_and_a_loss_far_beyond_them_is():
    members = [
        replace(member, setting=replace(member.setting, learning_rate=rate))
        for member, rate in zip(draw_members(random.Random(8), 3, (5,)), (1e-4, 1e-3, 1e12), strict=True)
    ]
    together = compare(zoo_cell("gru"), RareEventsTask("rare", scored_share=0.7), RECIPE, members, 10)
    assert [bool(outcome.error) for outcome in together] == [False, False, True]
    assert [outcome.steps for outcome in together][:2] == [10, 10]


def test_streams_of_other_lengths_side_by_side():
    """Each sequence is whole, so a shorter one may be filled up to the length of its neighbour's."""
    task = RaggedTask("ragged", max_length=6)
    compare(zoo_cell("lstm"), task, RECIPE, draw_members(random.Random(4), 5, (5,), num_streams=3), 10)


def test_many_symbols():
    """Rows of an embedding are added up in another way there; most of them are not read."""
    task = RaggedTask("ragged", num_symbols=700, output_size=4)
    compare(zoo_cell("gru"), task, RECIPE, draw_members(random.Random(5), 3, (4, 6), num_streams=1), 8)


@pytest.mark.parametrize("hidden_size", [6, 8, 32])
def test_padding_changes_nothing_beyond_rounding(hidden_size):
    members = draw_members(random.Random(6), 4, (6,))
    bare = train_together(zoo_cell("lstm_b"), TASK, RECIPE, members, 12)
    padded = train_together(zoo_cell("lstm_b"), TASK, RECIPE, members, 12, hidden_size=hidden_size)
    for mine, other in zip(padded, bare, strict=True):
        assert_alike(mine, other)


def test_padding_is_refused_where_it_would_overflow():
    assert stays_small_without_weights(lower(zoo_cell("lstm_b").structure))
    for equations in ("h' = h * h + 1 + linear(x)", "h' = 2 * h + 1 + linear(x)"):
        assert not stays_small_without_weights(lower(CellGraph.from_equations(equations).structure))


def test_schedules_end_members_at_times_of_their_own():
    """R29: no improvement lowers the rate, and some members stop long before others, which then compute alone."""
    recipe = replace(RECIPE, patience=2, num_halvings=1)
    members = draw_members(random.Random(10), 6, (5,))
    together = compare(zoo_cell("gru"), TASK, recipe, members, 160)
    assert [outcome.steps for outcome in together] == [16, 36, 24, 20, 20, 16]


@pytest.mark.parametrize("schedule", ["plateau", "decay"])
def test_other_schedules(schedule):
    recipe = replace(RECIPE, schedule=schedule, patience=1, max_epochs=4, constant_epochs=2, least_rate=0.1)
    compare(zoo_cell("gru"), TASK, recipe, draw_members(random.Random(8), 4, (5,)), 30)


def test_a_member_that_diverges_leaves_the_others_as_they_are():
    members = draw_members(random.Random(9), 4, (5,))
    wild = Setting(2.8, 1e6, 1e9, 1, 1)
    with_wild = [members[0], Member(wild, 5, 1, 1), *members[2:]]
    cell = CellGraph.from_equations("h' = relu(linear(x, h)) + h")
    mixed, tame = (train_together(cell, TASK, RECIPE, each, 12) for each in (with_wild, members))
    assert "the loss per scored position is" in mixed[1].error or "the gradient's norm is" in mixed[1].error
    for number in (0, 2, 3):
        assert mixed[number].curve == tame[number].curve
        torch.testing.assert_close(mixed[number].best_weights, tame[number].best_weights, rtol=0, atol=0)
    assert_alike(mixed[1], train_alone(cell, TASK, RECIPE, with_wild[1], 12))


def test_numbers_that_are_none_stay_with_their_member(monkeypatch):
    """A member whose weights are NaN diverges at the first step and infects nobody."""
    members = draw_members(random.Random(10), 3, (4, 6), num_streams=1)
    sound = train_together(zoo_cell("gru"), TASK, RECIPE, members, 8)
    trainer = PopulationTrainer(zoo_cell("gru"), TASK, RECIPE, members, 6, CPU)
    trainer._model.weights.values[1] = float("nan")
    trainer.run(8)
    assert (trainer.reports[1].steps, trainer.reports[1].curve) == (1, [])
    assert trainer.reports[1].error == "step 1: the loss per scored position is nan"
    for number in (0, 2):
        assert tuple(trainer.reports[number].curve) == sound[number].curve


def test_predictions_that_are_not_finite_end_a_member_at_its_validation():
    members = draw_members(random.Random(11), 3, (5,), num_streams=1)
    trainer = PopulationTrainer(zoo_cell("gru"), replace(TASK, epoch=1), RECIPE, members, 5, CPU)
    assert trainer.take_steps(1) == 1
    trainer._model.weights.values[0, -3:] = float("inf")
    trainer.validate()
    assert trainer.reports[0].error == "a prediction on held-out data is not finite"
    assert [len(report.curve) for report in trainer.reports] == [0, 1, 1]


def test_a_limit_hits_all_members_that_still_train():
    recipe = replace(RECIPE, patience=2, num_halvings=1)
    members = draw_members(random.Random(10), 6, (5,))

    class Expired(Deadline):
        num_looks = 0

        def check(self) -> None:
            self.num_looks += 1
            if self.num_looks > 6 * (TASK.epoch + TASK.num_held_out) + 2:  # in the seventh epoch
                raise TimeLimitError("too late")

    trainer = PopulationTrainer(zoo_cell("gru"), TASK, recipe, members, 5, CPU, Expired())
    with pytest.raises(TimeLimitError):
        trainer.run(1000)
    trainer.note_divergences()
    alone = [train_alone(zoo_cell("gru"), TASK, recipe, member, 1000) for member in members]
    have_ended = [report.has_ended for report in trainer.reports]
    assert any(have_ended)
    assert not all(have_ended)
    for report, other in zip(trainer.reports, alone, strict=True):
        np.testing.assert_allclose(
            [point.loss for point in report.curve], [point.loss for point in other.curve[: len(report.curve)]]
        )
        assert report.steps == (other.steps if report.has_ended else trainer.steps)


def test_the_same_population_gives_the_same_bits():
    members = draw_members(random.Random(12), 5, (5, 6))
    first, again = (train_together(zoo_cell("mut1"), TASK, RECIPE, members, 12) for _ in range(2))
    assert [outcome.curve for outcome in first] == [outcome.curve for outcome in again]


def test_messages_of_a_divergence_are_the_trainers():
    assert without_numbers("step 3: the loss per scored position is nan") == "step 3: the loss per scored position is"
