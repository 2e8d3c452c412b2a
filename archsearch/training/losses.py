"""The losses that models are trained with.

Shapes: `N` scored positions, `K` numbers predicted at each.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from archsearch.trials import metric


class SummedLoss(ABC):
    """A loss summed over positions and numbers."""

    @abstractmethod
    def total(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss of `[N, K]` predictions as a tensor that can be differentiated."""

    @abstractmethod
    def each(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Returns the `[N]` losses of the positions."""

    @abstractmethod
    def gradient(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Returns the `[N, K]` gradient of the loss, in closed form."""

    def of_zeros(self, _targets: Tensor) -> Tensor | None:
        """Returns the `[N]` losses of zeros, where targets have a scale of their own; None where a guess has one."""
        return None


class CrossEntropy(SummedLoss):
    """Of `[N]` classes, under the softmax of the predictions."""

    def total(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """See `SummedLoss`."""
        return cross_entropy(predictions, targets, reduction="sum")

    def each(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """See `SummedLoss`."""
        return cross_entropy(predictions, targets, reduction="none")

    def gradient(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """See `SummedLoss`."""
        gradient = torch.softmax(predictions, dim=-1)
        classes = targets[:, None]
        return gradient.scatter_add_(-1, classes, gradient.new_full((), -1.0).expand_as(classes))


class BinaryCrossEntropy(SummedLoss):
    """Of `[N, K]` binary values, under the sigmoids of the predictions."""

    def total(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """See `SummedLoss`."""
        return binary_cross_entropy_with_logits(predictions, targets.to(predictions.dtype), reduction="sum")

    def each(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """See `SummedLoss`."""
        losses = binary_cross_entropy_with_logits(predictions, targets.to(predictions.dtype), reduction="none")
        return losses.sum(dim=-1)

    def gradient(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """See `SummedLoss`."""
        return torch.sigmoid(predictions).sub_(targets)


class SquaredError(SummedLoss):
    """Half the square of the distance to `[N, K]` numbers."""

    def total(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """See `SummedLoss`."""
        return (predictions - targets).square().sum() / 2

    def each(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """See `SummedLoss`."""
        return (predictions - targets).square().sum(dim=-1) / 2

    def gradient(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """See `SummedLoss`."""
        return predictions - targets

    def of_zeros(self, targets: Tensor) -> Tensor:
        """See `SummedLoss`."""
        return targets.square().sum(dim=-1) / 2


LOSSES: Mapping[metric.Loss, SummedLoss] = {
    "cross_entropy": CrossEntropy(),
    "binary_cross_entropy": BinaryCrossEntropy(),
    "squared_error": SquaredError(),
}
