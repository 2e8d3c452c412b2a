"""Plain gradient descent on a task, as in the paper.

Source: Jozefowicz 2015, sec. 3.5; R21, R22, R27-R29.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from archsearch.training.flat_parameters import FlatParameters
from archsearch.training.gradient_step import AutogradStep, GradientStep
from archsearch.training.losses import LOSSES
from archsearch.training.measurement import measure
from archsearch.training.minibatch import Minibatch, held_out_minibatches
from archsearch.training.model import SequenceModel
from archsearch.training.native_step import NativeStep, can_step_natively
from archsearch.training.recorded_data import training_minibatches
from archsearch.training.schedule import next_learning_rate
from archsearch.training.stops import Deadline, DivergedError
from archsearch.training.training_state import TrainingState
from archsearch.trials.setting import Setting
from archsearch.trials.task import Task
from archsearch.trials.trial import Recipe

# Times the loss of a uniform guess. No cell came back from there; without a bound, one whose loss grows by a factor
# per step would use its whole budget on the way to infinity.
MAX_LOSS_FACTOR = 1e4


@dataclass(frozen=True)
class CurvePoint:
    """How far a training has come.

    Attributes:
        step: Training steps taken.
        loss: Mean training loss per scored position since the point before, in nats.
        value: Of the task's metric on validation data.
    """

    step: int
    loss: float
    value: float


Progress = Callable[[CurvePoint], None]


class Trainer:
    """Trains a model on a task; one `Trainer` is one training.

    The state at the end of a minibatch is where the next one starts, without a gradient through the border (truncated
    backpropagation through time, R27), unless the task says that sequences start anew. Validation follows each of the
    task's epochs, and the last step. What a stop or a failure leaves behind can be read from the attributes.

    Args:
        model: Trained in place.
        task: Gives the data.
        setting: Learning rate and clipping.
        recipe: Minibatch, unrolling and schedule.
        data_seed: Of the training data.
        deadline: When to give up.
        keeps_best_weights: Whether `best_weights` are kept.

    Attributes:
        model: The model.
        steps: Training steps taken.
        curve: One point per validation.
        best_weights: `[P]` copy of the weights at the first of the best validations, or None.
        step_seconds: Wall-clock time of a step, its data included, in the fastest epoch so far; None before one ended.
    """

    def __init__(
        self,
        model: SequenceModel,
        task: Task,
        setting: Setting,
        recipe: Recipe,
        data_seed: int,
        deadline: Deadline | None = None,
        keeps_best_weights: bool = False,
    ) -> None:
        self.model = model
        self.steps = 0
        self.curve: list[CurvePoint] = []
        self.best_weights: Tensor | None = None
        self.step_seconds: float | None = None
        self.learning_rate = setting.learning_rate
        self._task = task
        self._setting = setting
        self._recipe = recipe
        self._deadline = deadline or Deadline()
        self._keeps_best_weights = keeps_best_weights
        self._parameters = FlatParameters(model)
        kind = NativeStep if can_step_natively(model) else AutogradStep
        self._gradient_step: GradientStep = kind(model, self._parameters)
        self._data_seed = data_seed
        self._training = training_minibatches(task, data_seed, recipe.batch_size, recipe.unroll)
        self._validation = held_out_minibatches(task, "validation", recipe)
        self._blind_loss = model.interface.blind_loss
        self._state: Any = None
        self._loss_sum = 0.0
        self._num_scored = 0

    @property
    def best_value(self) -> float | None:
        """The best validation value so far."""
        return max((point.value for point in self.curve), key=self._task.metric.quality, default=None)

    def run(self, max_steps: int, progress: Progress | None = None) -> None:
        """Trains until the schedule ends or the steps are used up; the schedule knows nothing of `max_steps`.

        Raises:
            DivergedError: At the first step whose loss or gradient is not finite, or a validation likewise.
            TimeLimitError: The deadline has passed.
        """
        epoch_steps = self._epoch_steps
        if self.curve and self._has_ended():  # goes on from where another training stood
            return
        began, first = time.perf_counter(), self.steps
        while self.steps < max_steps:
            self._deadline.check()
            self.step()
            is_epoch_end = self.steps % epoch_steps == 0
            if not is_epoch_end and self.steps < max_steps:
                continue
            seconds = (time.perf_counter() - began) / (self.steps - first)
            self.step_seconds = min(seconds, self.step_seconds or seconds)
            point = self.validate()
            if progress is not None:
                progress(point)
            if is_epoch_end:
                self._loss_sum, self._num_scored = 0.0, 0
                if self._has_ended():
                    return
            began, first = time.perf_counter(), self.steps

    def step(self) -> None:
        """Takes one training step.

        The loss is summed over all scored positions and divided by the batch size, so that the gradient is the mean
        over sequences of a sum over time (R21).

        Raises:
            DivergedError: The loss or the gradient's norm is not finite; the weights are as they were.
        """
        minibatch = next(self._training)
        self.steps += 1
        loss, state = self._gradient_step.differentiate(minibatch, None if minibatch.starts else self._state)
        self._record_loss(loss, minibatch)
        self._state = state
        norm = self._gradient_step.descend(self.learning_rate, self._setting.max_gradient_norm)
        if not math.isfinite(norm):
            raise DivergedError(f"step {self.steps}: the gradient's norm is {norm}")

    def validate(self) -> CurvePoint:
        """Measures the task's metric on validation data and adds a point to the curve.

        Raises:
            DivergedError: A prediction is not finite.
            TimeLimitError: The deadline has passed.
        """
        metric, best = self._task.metric, self.best_value
        (value,) = measure(self.model, self._validation, (metric,), self._deadline)
        if self._keeps_best_weights and (best is None or metric.quality(value) > metric.quality(best)):
            self.best_weights = self._parameters.values.clone()
        point = CurvePoint(self.steps, self._loss_sum / max(self._num_scored, 1), value)
        self.curve.append(point)
        return point

    def state(self) -> TrainingState:
        """Returns where the training stands, but for the best weights.

        A validation within an epoch, which only the last step brings, is left out: a longer training has none there.
        """
        epochs = [point for point in self.curve if point.step % self._epoch_steps == 0]
        return TrainingState(
            steps=self.steps,
            curve=tuple((point.step, point.loss, point.value) for point in epochs),
            loss_sum=self._loss_sum,
            num_scored=self._num_scored,
            blind_loss=self._blind_loss,
            weights=self._parameters.values,
            carried=self._state,
        )

    def go_on_from(self, state: TrainingState) -> bool:
        """Puts a new training where another one of the same trial stood; a state of another shape is refused.

        Returns:
            Whether it was taken. What follows is then, bit for bit, what follows in a training that was never ended.
        """
        values = self._parameters.values
        if (state.weights.shape, state.weights.dtype) != (values.shape, values.dtype):
            return False
        values.copy_(state.weights)
        self.steps = state.steps
        self.curve = [CurvePoint(*point) for point in state.curve]
        self._loss_sum, self._num_scored = state.loss_sum, state.num_scored
        self._blind_loss = state.blind_loss
        self._state = state.carried
        recipe = self._recipe
        self._training = training_minibatches(
            self._task, self._data_seed, recipe.batch_size, recipe.unroll, start=state.steps
        )
        return True

    def _has_ended(self) -> bool:
        """Sets the learning rate of the epoch to come and says whether the schedule has none."""
        qualities = [self._task.metric.quality(point.value) for point in self.curve]
        learning_rate = next_learning_rate(self._setting.learning_rate, qualities, self._recipe)
        if learning_rate is not None:
            self.learning_rate = learning_rate
        return learning_rate is None

    @property
    def _epoch_steps(self) -> int:
        return self._task.epoch_steps(self._recipe.batch_size, self._recipe.unroll)

    def restore_best_weights(self) -> None:
        """Puts the weights of the best validation back into the model, if they were kept."""
        if self.best_weights is not None:
            self._parameters.values.copy_(self.best_weights)

    def _record_loss(self, loss: float, minibatch: Minibatch) -> None:
        num_scored = len(minibatch.targets)
        if self._blind_loss is None and num_scored:
            self._blind_loss = loss / num_scored or 1.0  # of the first step: small weights know nothing
        blind = (self._blind_loss or 1.0) * num_scored
        # not for NaN either; beside rare events, too, the scale of what is asked for is what a loss is measured by
        if not loss <= MAX_LOSS_FACTOR * blind and not loss <= MAX_LOSS_FACTOR * self._loss_of_zeros(minibatch):
            raise DivergedError(f"step {self.steps}: the loss per scored position is {loss / max(num_scored, 1):g}")
        self._loss_sum += loss
        self._num_scored += num_scored

    def _loss_of_zeros(self, minibatch: Minibatch) -> float:
        """Returns the loss of predicting zeros, where targets have a scale of their own; 0 elsewhere."""
        each = LOSSES[self.model.interface.loss].of_zeros(minibatch.targets)
        return 0.0 if each is None else float(each.sum())
