"""All weights of a model in one vector, so that a step of gradient descent is one operation."""

import torch
from torch import Tensor, nn


class FlatParameters:
    """Moves a model's parameters into one vector, their gradients into another, of which they become views.

    `P` is the number of weights. The model must not be moved to another type or device afterwards.

    Args:
        model: Its parameters share one type and device.

    Attributes:
        values: `[P]` weights, in the order of `model.parameters()`.
        gradients: `[P]`; backward passes add to it.
    """

    def __init__(self, model: nn.Module) -> None:
        parameters = list(model.parameters())
        self.values: Tensor = torch.cat([parameter.detach().flatten() for parameter in parameters])
        self.gradients: Tensor = torch.zeros_like(self.values)
        sizes = [parameter.numel() for parameter in parameters]
        views = zip(parameters, torch.split(self.values, sizes), torch.split(self.gradients, sizes), strict=True)
        for parameter, value, gradient in views:
            parameter.data = value.view(parameter.shape)
            parameter.grad = gradient.view(parameter.shape)

    def descend(self, learning_rate: float, max_gradient_norm: float) -> float:
        """Takes one step of gradient descent with a clipped gradient, unless its norm is not finite.

        Source: Jozefowicz 2015, sec. 3.3 and 3.5; R22, R28.

        Returns:
            The gradient's norm before clipping. If it is not finite, the weights are as they were.
        """
        norm = float(torch.linalg.vector_norm(self.gradients))
        rate = clipped_rate(learning_rate, norm, max_gradient_norm)
        if rate is not None:
            self.values.add_(self.gradients, alpha=-rate)
        return norm


def clipped_rate(learning_rate: float, norm: float, max_norm: float) -> float | None:
    """Returns the rate at which a gradient of some norm, clipped to `max_norm`, is descended; None if not finite."""
    if not norm < float("inf"):  # not for NaN either
        return None
    return learning_rate * (max_norm / norm if norm > max_norm else 1.0)
