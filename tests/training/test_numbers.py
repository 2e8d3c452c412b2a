"""Models that read or predict numbers: both ends, their losses, and the two ways to take a step."""

from typing import Literal

import numpy as np
import pytest
import torch
from torch.nn import functional

from archsearch.graph.catalog import zoo_cell
from archsearch.training.flat_parameters import FlatParameters
from archsearch.training.gradient_step import AutogradStep
from archsearch.training.losses import LOSSES
from archsearch.training.measurement import measure
from archsearch.training.minibatch import Minibatch
from archsearch.training.model import SequenceModel
from archsearch.training.native_step import NativeStep, can_step_natively
from archsearch.training.stops import Deadline
from archsearch.training.width import model_parameters
from archsearch.trials.interface import Interface
from archsearch.trials.metric import BITS, MAE, MSE, NLL, PERPLEXITY
from archsearch.trials.task import Batch

Loss = Literal["cross_entropy", "binary_cross_entropy", "squared_error"]
LOSS_NAMES: tuple[Loss, ...] = ("cross_entropy", "binary_cross_entropy", "squared_error")


def make_batch(loss: Loss, reads_symbols: bool, scored_share: float, starts: bool = True) -> Batch:
    rng = np.random.default_rng(3)
    shape = (5, 4)
    inputs = rng.integers(6, size=shape) if reads_symbols else rng.normal(size=(*shape, 3)).astype(np.float32)
    if loss == "cross_entropy":
        targets = rng.integers(7, size=shape)
    elif loss == "binary_cross_entropy":
        targets = (rng.random((*shape, 7)) < 0.3).astype(np.float32)
    else:
        targets = rng.normal(size=(*shape, 7)).astype(np.float32)
    return Batch(inputs, targets, rng.random(shape) < scored_share, starts)


def interface_of(loss: Loss, reads_symbols: bool) -> Interface:
    return Interface(6 if reads_symbols else 0, 0 if reads_symbols else 3, 7, loss)


@pytest.mark.parametrize("loss", LOSS_NAMES)
@pytest.mark.parametrize("reads_symbols", [True, False])
@pytest.mark.parametrize("scored_share", [1.0, 0.4])
def test_the_native_step_equals_autograd(loss, reads_symbols, scored_share):
    minibatches = [
        Minibatch.from_batch(make_batch(loss, reads_symbols, scored_share, starts)) for starts in (True, False)
    ]
    weights = []
    for engine, kind in (("interpreter", AutogradStep), ("native", NativeStep)):
        model = SequenceModel(zoo_cell("gru"), interface_of(loss, reads_symbols), 9, 2, engine).to(torch.float64)
        model.reset_parameters(1.0, torch.Generator().manual_seed(3))
        assert can_step_natively(model) == (engine == "native")
        parameters = FlatParameters(model)
        step, state, losses = kind(model, parameters), None, []
        for minibatch in minibatches:
            value, state = step.differentiate(minibatch, state)
            losses.append(value)
            step.descend(0.5, 1.0)
        weights.append((torch.tensor(losses), parameters.values))
    for mine, torchs in zip(weights[1], weights[0], strict=True):
        assert torch.allclose(mine, torchs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("loss", LOSS_NAMES)
def test_gradients_in_closed_form(loss):
    predictions = torch.randn(6, 7, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(7, (6,)) if loss == "cross_entropy" else torch.rand(6, 7, dtype=torch.float64)
    LOSSES[loss].total(predictions, targets).backward()
    assert torch.allclose(LOSSES[loss].gradient(predictions.detach(), targets), predictions.grad)


@pytest.mark.parametrize("reads_symbols", [True, False])
def test_parameters_count_both_ends(reads_symbols):
    interface = interface_of("squared_error", reads_symbols)
    model = SequenceModel(zoo_cell("lstm"), interface, 9, 2)
    true_count = sum(parameter.numel() for parameter in model.parameters())
    assert model_parameters(zoo_cell("lstm").structure, interface, 9, 2) == true_count


@pytest.mark.parametrize(
    ("loss", "metrics"),
    [
        ("cross_entropy", (NLL, BITS, PERPLEXITY)),
        ("binary_cross_entropy", (NLL,)),
        ("squared_error", (MSE, MAE)),
    ],
)
def test_metrics_are_what_torch_says(loss, metrics):
    batch = make_batch(loss, False, 0.5)
    model = SequenceModel(zoo_cell("gru"), interface_of(loss, False), 9)
    got = measure(model, [Minibatch.from_batch(batch)], metrics, Deadline())
    predictions = model(torch.tensor(batch.inputs))[0][torch.tensor(batch.scored)]
    targets = torch.tensor(batch.targets)[torch.tensor(batch.scored)]
    if loss == "squared_error":
        expected = [functional.mse_loss(predictions, targets), functional.l1_loss(predictions, targets)]
    elif loss == "binary_cross_entropy":
        expected = [functional.binary_cross_entropy_with_logits(predictions, targets) * 7]
    else:
        nll = functional.cross_entropy(predictions, targets)
        expected = [nll, nll / np.log(2), nll.exp()]
    assert got == pytest.approx([value.item() for value in expected], rel=1e-5)


def test_what_stands_beyond_a_sequences_end_does_not_matter():
    """Masked loss: a sequence that is filled up gives the gradient that it gives alone."""
    batch = make_batch("squared_error", False, 1.0)
    scored = batch.scored.copy()
    scored[3:, 1] = False
    filled = Batch(batch.inputs.copy(), batch.targets.copy(), scored, True)
    filled.inputs[3:, 1], filled.targets[3:, 1] = 77.0, -5.0
    results = []
    for variant in (filled, Batch(batch.inputs, batch.targets, scored, True)):
        model = SequenceModel(zoo_cell("gru"), interface_of("squared_error", False), 9, engine="native")
        model.reset_parameters(1.0, torch.Generator().manual_seed(3))
        parameters = FlatParameters(model)
        results.append(
            (NativeStep(model, parameters).differentiate(Minibatch.from_batch(variant), None)[0], parameters)
        )
    assert results[0][0] == results[1][0]
    assert torch.allclose(results[0][1].gradients, results[1][1].gradients, atol=1e-6)


def test_dropout_is_drawn_in_training_only_and_needs_autograd():
    model = SequenceModel(zoo_cell("gru"), interface_of("squared_error", False), 9, 2, dropout=0.5)
    assert not can_step_natively(model)
    inputs = torch.randn(5, 4, 3)
    assert not torch.equal(model(inputs)[0], model(inputs)[0])
    minibatch = [Minibatch.from_batch(make_batch("squared_error", False, 1.0))]
    assert measure(model, minibatch, (MSE,), Deadline()) == measure(model, minibatch, (MSE,), Deadline())
    assert model.training
