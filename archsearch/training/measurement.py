"""How well a model does on held-out data."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from archsearch.errors import ConfigError
from archsearch.training.losses import LOSSES
from archsearch.training.minibatch import Minibatch
from archsearch.training.model import SequenceModel, State
from archsearch.training.stops import Deadline, DivergedError
from archsearch.trials.metric import ACCURACY, BITS, MAE, MSE, PERPLEXITY, Loss, Metric

MAX_NATS = 690.0  # e to this power can still be kept in a result
NOT_FINITE = "a prediction on held-out data is not finite"


def measure(
    model: SequenceModel, minibatches: Iterable[Minibatch], metrics: Sequence[Metric], deadline: Deadline
) -> tuple[float, ...]:
    """Returns the metrics' values over all scored positions.

    Raises:
        DivergedError: The model's predictions are not finite, or their loss is beyond all bounds.
        TimeLimitError: The deadline has passed.
        ConfigError: No position is scored, so that there is nothing to measure.
    """
    means = measure_means(model, minibatches, metrics, deadline)
    return tuple(metric_value(metric, mean) for metric, mean in zip(metrics, means, strict=True))


@torch.inference_mode()
def measure_means(
    model: SequenceModel, minibatches: Iterable[Minibatch], metrics: Sequence[Metric], deadline: Deadline
) -> tuple[float, ...]:
    """Returns what the metrics' sums are per scored position, from which `metric_value` makes their values.

    Raises:
        DivergedError: The model's predictions are not finite.
        TimeLimitError: The deadline has passed.
        ConfigError: No position is scored, so that there is nothing to measure.
    """
    state: State | None = None
    was_training = model.training
    model.eval()
    sums = [0.0] * len(metrics)
    num_scored = 0
    for minibatch in minibatches:
        deadline.check()
        predictions, state = model(minibatch.inputs, None if minibatch.starts else state, minibatch.positions)
        predictions = predictions.reshape(-1, predictions.shape[-1])
        most, winners = predictions.max(dim=-1)
        if not most.isfinite().all():  # the maximum of a row with a NaN is NaN
            raise DivergedError(NOT_FINITE)
        num_scored += len(minibatch.targets)
        for number, metric in enumerate(metrics):
            if metric == ACCURACY:
                sums[number] += int((winners == minibatch.targets).sum())
            else:
                sums[number] += _sum_over_positions(metric, model.interface.loss, predictions, minibatch.targets)
    model.train(was_training)
    check_scored(num_scored)
    return tuple(total / num_scored for total in sums)


def check_scored(num_scored: int) -> None:
    """Checks that held-out data ask for something; an error of 0 over nothing would look like perfection.

    Raises:
        ConfigError: They do not.
    """
    if not num_scored:
        raise ConfigError("expected held-out data with scored positions, got none. `archsearch task check` says more.")


def _sum_over_positions(metric: Metric, loss: Loss, predictions: Tensor, targets: Tensor) -> float:
    if metric == MSE:
        return float((predictions - targets).square().mean(dim=-1).sum())
    if metric == MAE:
        return float((predictions - targets).abs().mean(dim=-1).sum())
    return float(LOSSES[loss].total(predictions, targets))


def metric_value(metric: Metric, mean: float) -> float:
    """Returns a metric's value from what its sum is per position.

    Raises:
        DivergedError: It is not finite, or beyond all bounds.
    """
    if not math.isfinite(mean) or (metric == PERPLEXITY and mean > MAX_NATS):
        raise DivergedError(f"the {metric.name} on held-out data is beyond all bounds")
    if metric == PERPLEXITY:
        return math.exp(mean)
    return mean / math.log(2) if metric == BITS else mean
