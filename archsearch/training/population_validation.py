"""How well many models do on held-out data, each measured as `measure` measures one.

Shapes: `P` members, `T` time steps, `B` sequences, `K` numbers predicted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from archsearch.compiler.vectorized.replay import Replay, weakly
from archsearch.training.losses import LOSSES
from archsearch.training.measurement import NOT_FINITE, check_scored, metric_value
from archsearch.training.pacing import Pace
from archsearch.training.population_data import Chunk
from archsearch.training.population_ends import summed
from archsearch.training.population_model import CarriedStates, PopulationModel
from archsearch.training.stops import DivergedError
from archsearch.trials.metric import ACCURACY, MAE, MSE, Loss, Metric


@dataclass(frozen=True)
class Sums:
    """What a validation adds up.

    Attributes:
        total: `[P]`, of the metric at scored positions, float64.
        is_finite: `[P]` bool, whether all predictions so far are finite.
    """

    total: Tensor
    is_finite: Tensor


class PopulationValidation:
    """Measures a metric on a population's held-out data, which stay on the device.

    Args:
        model: The members.
        held_out: All minibatches, of one stream, in chunks of one shape each.
        loss: Of the models.
        metric: What is measured.
        pool: See `Replay`.
    """

    def __init__(
        self, model: PopulationModel, held_out: Sequence[Chunk], loss: Loss, metric: Metric, pool: Any = None
    ) -> None:
        values = model.weights.values
        num_members, device = len(values), values.device
        self._metric = metric
        self._num_scored = sum(int(chunk.scored.sum()) for chunk in held_out)
        check_scored(self._num_scored)
        self._sums = Sums(
            torch.zeros(num_members, dtype=torch.float64, device=device),
            torch.ones(num_members, dtype=torch.bool, device=device),
        )
        carried = CarriedStates()
        shapes = [chunk.shape for chunk in held_out]
        parts = {
            shape: _Part(
                model,
                Chunk.joined([chunk for chunk in held_out if chunk.shape == shape]),
                loss,
                metric,
                self._sums,
                carried,
                pool,
            )
            for shape in dict.fromkeys(shapes)
        }
        self._parts = tuple(parts.values())
        self._in_order = [(parts[chunk.shape], len(chunk)) for chunk in held_out]

    def measure(self, pace: Pace) -> list[float | DivergedError]:
        """Returns the metric's value of each member, or why it has none; waits for the device.

        Args:
            pace: Of the work on the device.

        Raises:
            TimeLimitError: The deadline has passed.
        """
        self._sums.total.zero_()
        self._sums.is_finite.fill_(True)
        for part in self._parts:
            part.begin()
        for part, num_minibatches in self._in_order:
            part.run(num_minibatches, pace)
        totals, are_finite = self._sums.total.tolist(), self._sums.is_finite.tolist()
        return [self._value(total, is_finite) for total, is_finite in zip(totals, are_finite, strict=True)]

    def _value(self, total: float, is_finite: bool) -> float | DivergedError:
        if not is_finite:
            return DivergedError(NOT_FINITE)
        try:
            return metric_value(self._metric, total / self._num_scored)
        except DivergedError as error:
            return error


class _Part:
    """All minibatches of one shape, whether they follow each other or not: a GPU records their work once."""

    def __init__(
        self,
        model: PopulationModel,
        chunk: Chunk,
        loss: Loss,
        metric: Metric,
        sums: Sums,
        carried: CarriedStates,
        pool: Any,
    ) -> None:
        values = model.weights.values
        self._model, self._layers = model, model.layers(chunk.shape)
        self._loss, self._metric, self._sums, self._carried = loss, metric, sums, carried
        self._chunk = Chunk.empty(chunk, len(chunk), values.device)
        self._chunk.take(chunk)
        self._number = torch.zeros((), dtype=torch.int64, device=values.device)
        self._streams = torch.zeros(len(values), dtype=torch.int64, device=values.device)
        states = [carried.of(level, layer) for level, layer in enumerate(self._layers.passes)]
        changed = [self._number, sums.total, sums.is_finite, *(state for layer in states for state in layer.values())]
        self._replay = Replay(weakly(self._work), changed, values.device, pool)

    def begin(self) -> None:
        self._number.zero_()

    def run(self, num_minibatches: int, pace: Pace) -> None:
        """Measures the next ones."""
        for _ in range(num_minibatches):
            pace.before_step()
            self._replay()

    def _work(self) -> None:
        model, layers = self._model, self._layers
        inputs, targets, scored, starts, _ = self._chunk.of(self._number, self._streams)
        self._number.add_(1)
        model.input.look_up(inputs, layers.inputs)
        layers.forward(model.fresh(starts), self._carried)
        predictions = model.readout.predict(layers.outputs)
        most, winners = predictions.max(dim=-1)
        is_finite = most.isfinite() | ~scored.flatten(1)  # the maximum of a row with a NaN is NaN
        self._sums.is_finite.logical_and_(is_finite.all(dim=1))
        self._sums.total.add_(summed(self._each(predictions, winners, targets), scored))

    def _each(self, predictions: Tensor, winners: Tensor, targets: Tensor) -> Tensor:
        """Returns what `[P, T * B, K]` predictions add to the metric at each position."""
        targets = targets.flatten(0, 2)
        if self._metric == ACCURACY:
            return (winners.flatten() == targets).to(torch.float64)
        predictions = predictions.flatten(0, 1)
        if self._metric == MSE:
            return (predictions - targets).square().mean(dim=-1)
        if self._metric == MAE:
            return (predictions - targets).abs().mean(dim=-1)
        return LOSSES[self._loss].each(predictions, targets)
