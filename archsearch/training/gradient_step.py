"""What one step of training computes: the loss, its gradient, and a move against it."""

from typing import Any, Protocol

from torch import Tensor

from archsearch.training.flat_parameters import FlatParameters
from archsearch.training.losses import LOSSES
from archsearch.training.minibatch import Minibatch
from archsearch.training.model import SequenceModel, State


class GradientStep(Protocol):
    """Computes gradients and descends, in two calls, so that what comes between may stop the training."""

    def differentiate(self, minibatch: Minibatch, state: Any) -> tuple[float, Any]:
        """Computes the loss of a minibatch and the gradient of that loss divided by the batch size (R21).

        Args:
            minibatch: What is read and what is asked for.
            state: As returned for the minibatch before, without a gradient through it (R27); None for zeros.

        Returns:
            The loss summed over all scored positions, in nats, and the state after the last step.
        """

    def descend(self, learning_rate: float, max_gradient_norm: float) -> float:
        """Takes one step of gradient descent with a clipped gradient, unless its norm is not finite.

        Returns:
            The gradient's norm before clipping. If it is not finite, the weights are as they were.
        """


class AutogradStep:
    """A step by torch's autograd, whatever runs the layers.

    Args:
        model: Its weights are moved into `parameters`.
        parameters: The model's.
    """

    def __init__(self, model: SequenceModel, parameters: FlatParameters) -> None:
        self._model = model
        self._parameters = parameters

    def differentiate(self, minibatch: Minibatch, state: State | None) -> tuple[float, State]:
        """See `GradientStep`."""
        predictions, state = self._model(minibatch.inputs, state, minibatch.positions)
        loss = LOSSES[self._model.interface.loss].total(predictions.flatten(0, -2), minibatch.targets)
        self._parameters.gradients.zero_()
        (loss / minibatch.batch_size).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach()), _detach(state)

    def descend(self, learning_rate: float, max_gradient_norm: float) -> float:
        """See `GradientStep`."""
        return self._parameters.descend(learning_rate, max_gradient_norm)


def _detach(state: State) -> State:
    return state.detach() if isinstance(state, Tensor) else tuple(part.detach() for part in state)
