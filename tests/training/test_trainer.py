"""R21, R22, R27-R29: the trainer against a loop that is slow and obvious."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from archsearch.graph.catalog import zoo_cell
from archsearch.training import trainer as trainer_module
from archsearch.training.model import SequenceModel, build_model
from archsearch.training.stops import DivergedError
from archsearch.training.trainer import Trainer
from archsearch.trials.interface import Interface
from archsearch.trials.setting import Setting
from archsearch.trials.task import Task
from archsearch.trials.trial import Recipe

RECIPE = Recipe(batch_size=4, unroll=6, precision="float64")


def make_model(cell: str, setting: Setting) -> SequenceModel:
    return build_model(zoo_cell(cell), Interface.of_symbols(3), 5, setting, RECIPE, "interpreter", seed=9)


def train_slowly(model: SequenceModel, task: Task, setting: Setting, num_steps: int) -> list[float]:
    """Trains as the paper says, position by position; returns the mean loss of each step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=setting.learning_rate)
    losses, state = [], None
    for batch in itertools.islice(task.training(5, RECIPE.batch_size, RECIPE.unroll), num_steps):
        if batch.starts:
            state = None
        logits, state = model(torch.tensor(batch.inputs), state)
        state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
        loss = torch.zeros((), dtype=torch.float64)
        for step, sequence in zip(*batch.scored.nonzero(), strict=True):
            loss = loss - logits[step, sequence].log_softmax(0)[int(batch.targets[step, sequence])]
        optimizer.zero_grad()
        (loss / RECIPE.batch_size).backward()
        norm = math.sqrt(sum(float((parameter.grad**2).sum()) for parameter in model.parameters()))
        if norm > setting.max_gradient_norm:
            for parameter in model.parameters():
                parameter.grad *= setting.max_gradient_norm / norm
        optimizer.step()
        losses.append(float(loss.detach()) / max(int(batch.scored.sum()), 1))
    return losses


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"scored_share": 0.3},
        {"starts_every": 3, "scored_share": 0.6},
    ],
    ids=["all scored", "some scored", "new starts"],
)
@pytest.mark.parametrize("max_gradient_norm", [0.5, 1e9], ids=["clipped", "unclipped"])
def test_equals_the_obvious_loop(recall_task, cell, fields, max_gradient_norm):
    """R21, R22, R27, R28: loss summed over time, divided by the batch, clipped; state carried, no gradient with it."""
    task = replace(recall_task, delay=2, epoch=1, **fields)
    setting = Setting(1.0, 0.3, max_gradient_norm, 2, 1)
    slow, fast = make_model(cell, setting), make_model(cell, setting)
    losses = train_slowly(slow, task, setting, num_steps=7)
    trainer = Trainer(fast, task, setting, replace(RECIPE, patience=100), data_seed=5)
    trainer.run(7)
    assert [point.loss for point in trainer.curve] == pytest.approx(losses, rel=1e-9)
    for (name, expected), got in zip(slow.named_parameters(), fast.parameters(), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-12, msg=name)


def test_a_minibatch_without_scored_positions_changes_no_weight(recall_task, setting):
    model, untrained = make_model("gru", setting), make_model("gru", setting)
    trainer = Trainer(model, replace(recall_task, scored_share=0.0), setting, RECIPE, data_seed=5)
    for _ in range(3):
        trainer.step()
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), untrained.parameters(), strict=True))


def test_state_is_carried_and_reset_at_starts(recall_task, setting, monkeypatch):
    """R27: each minibatch starts where the one before ended, or from zero where the task says so."""
    model = make_model("gru", setting)
    given, returned = [], []
    forward = SequenceModel.forward

    def spy(self, inputs, state=None, positions=None):
        logits, after = forward(self, inputs, state, positions)
        given.append(state)
        returned.append(after)
        return logits, after

    monkeypatch.setattr(SequenceModel, "forward", spy)
    trainer = Trainer(model, replace(recall_task, starts_every=3), setting, RECIPE, data_seed=5)
    for _ in range(5):
        trainer.step()
    assert [state is None for state in given] == [True, False, False, True, False]
    for before, state in ((0, 1), (1, 2), (3, 4)):
        assert torch.equal(given[state], returned[before])
        assert not given[state].requires_grad


def test_validation_leaves_the_training_state_alone(recall_task, setting):
    """R27: the next minibatch goes on as if nothing had been validated."""
    trainers = [Trainer(make_model("gru", setting), recall_task, setting, RECIPE, data_seed=5) for _ in range(2)]
    for trainer in trainers:
        trainer.step()
    trainers[0].validate()
    for trainer in trainers:
        trainer.step()
    weights = [torch.cat([p.flatten() for p in trainer.model.parameters()]) for trainer in trainers]
    assert torch.equal(*weights)


def test_learning_rates_of_a_whole_training(recall_task, setting, monkeypatch):
    """R29: three epochs without improvement, four with a halved rate each, then the end, long before max_steps."""
    accuracies = iter([0.2, 0.4, 0.4, 0.3, 0.1, 0.9, 0.4, 0.4, 0.4])
    monkeypatch.setattr(trainer_module, "measure", lambda *_: (next(accuracies),))
    rates = []
    descend = trainer_module.FlatParameters.descend

    def spy(self, learning_rate, max_gradient_norm):
        rates.append(learning_rate)
        return descend(self, learning_rate, max_gradient_norm)

    monkeypatch.setattr(trainer_module.FlatParameters, "descend", spy)
    trainer = Trainer(make_model("gru", setting), replace(recall_task, epoch=2), setting, RECIPE, data_seed=5)
    trainer.run(1_000)
    per_epoch = [0.5] * 5 + [0.25, 0.125, 0.0625, 0.03125]
    assert rates == [rate for rate in per_epoch for _ in range(2)]
    assert trainer.steps == 18
    assert trainer.best_value == 0.9


def test_curve_has_a_point_per_epoch_and_one_at_the_end(recall_task, setting):
    """Epochs of four steps, ten steps in all."""
    model = make_model("gru", setting)
    seen = []
    trainer = Trainer(model, recall_task, setting, RECIPE, data_seed=5)
    trainer.run(10, seen.append)
    losses = train_slowly(make_model("gru", setting), recall_task, setting, 10)
    assert [point.step for point in trainer.curve] == [4, 8, 10]
    means = [sum(losses[:4]) / 4, sum(losses[4:8]) / 4, sum(losses[8:]) / 2]
    assert [point.loss for point in trainer.curve] == pytest.approx(means)
    assert seen == trainer.curve


def test_the_time_of_a_step_is_that_of_the_fastest_epoch_without_its_validation(recall_task, setting, monkeypatch):
    now = 0.0
    seconds = iter([9.0, 1.0, 1.0, 1.0, 2.0, 2.0, 3.0, 1.0, 5.0, 6.0])

    def step(trainer):
        nonlocal now
        trainer.steps += 1
        now += next(seconds)

    def measure(*_):
        nonlocal now
        now += 100
        return (0.5,)

    monkeypatch.setattr(trainer_module.time, "perf_counter", lambda: now)
    monkeypatch.setattr(trainer_module, "measure", measure)
    monkeypatch.setattr(Trainer, "step", step)
    trainer = Trainer(make_model("gru", setting), recall_task, setting, RECIPE, data_seed=5)
    assert trainer.step_seconds is None
    trainer.run(10)
    assert trainer.step_seconds == 2.0


def test_no_steps_are_no_training(recall_task, setting):
    trainer = Trainer(make_model("gru", setting), recall_task, setting, RECIPE, data_seed=5)
    trainer.run(0)
    assert (trainer.steps, trainer.curve, trainer.best_value) == (0, [], None)


def test_best_weights_are_those_of_the_first_best_validation(recall_task, setting, monkeypatch):
    accuracies = iter([0.2, 0.6, 0.6, 0.3])
    monkeypatch.setattr(trainer_module, "measure", lambda *_: (next(accuracies),))
    trainer = Trainer(make_model("gru", setting), recall_task, setting, RECIPE, data_seed=5, keeps_best_weights=True)
    trainer.run(16)
    trainer.restore_best_weights()
    short = Trainer(make_model("gru", setting), recall_task, setting, RECIPE, data_seed=5)
    for _ in range(8):
        short.step()
    pairs = zip(trainer.model.parameters(), short.model.parameters(), strict=True)
    assert all(torch.equal(kept, expected) for kept, expected in pairs)


def test_divergence_ends_training_at_the_next_step(recall_task, setting):
    """The first step throws the weights far away; the second one notices."""
    hot = replace(setting, learning_rate=1e300)
    trainer = Trainer(make_model("gru", hot), recall_task, hot, RECIPE, data_seed=5)
    trainer.step()
    with pytest.raises(DivergedError, match="step 2: the loss per scored position is"):
        trainer.step()


def test_a_loss_beyond_all_bounds_is_divergence(recall_task, setting):
    hot = replace(setting, learning_rate=1e8)
    trainer = Trainer(make_model("gru", hot), recall_task, hot, RECIPE, data_seed=5)
    trainer.step()
    with pytest.raises(DivergedError, match=r"the loss per scored position is [0-9.e+]+$"):
        trainer.step()


def test_a_gradient_without_a_finite_norm_is_divergence(recall_task, setting):
    model = make_model("gru", setting)
    model.readout.bias.register_hook(lambda gradient: gradient * math.nan)
    trainer = Trainer(model, recall_task, setting, RECIPE, data_seed=5)
    with pytest.raises(DivergedError, match="step 1: the gradient's norm is nan"):
        trainer.step()


def test_a_validation_with_nan_is_divergence(recall_task, setting):
    model = make_model("gru", setting)
    trainer = Trainer(model, recall_task, setting, RECIPE, data_seed=5)
    with torch.no_grad():
        model.readout.weight[1, 1] = math.nan
    with pytest.raises(DivergedError, match="held-out"):
        trainer.validate()
