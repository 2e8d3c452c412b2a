"""Both ends of many models at once, with their gradients in closed form.

Shapes: `P` members, `T` time steps, `B` sequences, `H` hidden units, `V` symbols, `F` numbers read, `K` predicted.
"""

from typing import Protocol

import torch
from torch import Tensor

from archsearch.training.losses import SummedLoss
from archsearch.training.population_layout import PopulationWeights
from archsearch.trials.interface import Interface

LARGEST_ONE_HOT = 512
"""Symbols up to which rows are added up by a product with a matrix of zeros and ones."""


class PopulationInput(Protocol):
    """What stands before the first layer."""

    def look_up(self, inputs: Tensor, out: Tensor) -> None:
        """Writes to `[P, T, B, H]` what the members read: `[P, T, B]` symbols or `[P, T, B, F]` numbers."""

    def collect(self, inputs: Tensor, d_out: Tensor) -> None:
        """Sets the weights' gradient to that of `[P, T, B, H]` gradients of what was written."""


def population_input(weights: PopulationWeights, interface: Interface) -> PopulationInput:
    """Returns the end of a model that reads."""
    if not interface.num_symbols:
        return InputLayers(weights)
    return Embeddings(weights, interface.num_symbols, by_product=interface.num_symbols <= LARGEST_ONE_HOT)


class Embeddings:
    """A row of weights for each symbol.

    Several positions add to one row; they do so in an order that does not change.

    Args:
        weights: Of the members.
        num_symbols: `V`.
        by_product: Whether rows are added up by a product with a matrix of zeros and ones, else one after another.
    """

    def __init__(self, weights: PopulationWeights, num_symbols: int, *, by_product: bool) -> None:
        self._values = weights.values.view(-1, weights.hidden_size)
        self._gradients = weights.gradients.view(-1, weights.hidden_size)
        self._d_rows = weights.embedding(weights.gradients)
        device, num_members = weights.values.device, len(weights.values)
        rows_per_member = len(self._values) // num_members
        self._first_rows = torch.arange(num_members, device=device)[:, None, None] * rows_per_member
        self._symbols = torch.arange(num_symbols, device=device)
        self._by_product = by_product

    def look_up(self, inputs: Tensor, out: Tensor) -> None:
        """See `PopulationInput`."""
        rows = (inputs + self._first_rows).flatten()
        out.copy_(self._values.index_select(0, rows).view(out.shape))

    def collect(self, inputs: Tensor, d_out: Tensor) -> None:
        """See `PopulationInput`."""
        if self._by_product:
            chosen = (inputs.flatten(1)[:, None] == self._symbols[:, None]).to(d_out.dtype)  # [P, V, T * B]
            self._d_rows.copy_(torch.bmm(chosen, d_out.flatten(1, 2)))
            return
        self._d_rows.zero_()
        rows, d_rows = (inputs + self._first_rows).flatten(), d_out.flatten(0, 2)
        if d_rows.is_cuda:  # sorts first; index_add_ would add in any order there
            self._gradients.index_put_((rows,), d_rows, accumulate=True)
        else:
            self._gradients.index_add_(0, rows, d_rows)


class InputLayers:
    """A linear layer without a bias.

    Args:
        weights: Of the members.
    """

    def __init__(self, weights: PopulationWeights) -> None:
        self._weight = weights.embedding(weights.values)
        self._gradient = weights.embedding(weights.gradients)

    def look_up(self, inputs: Tensor, out: Tensor) -> None:
        """See `PopulationInput`."""
        out.copy_(torch.bmm(inputs.flatten(1, 2), self._weight.transpose(1, 2)).view(out.shape))

    def collect(self, inputs: Tensor, d_out: Tensor) -> None:
        """See `PopulationInput`."""
        self._gradient.copy_(torch.bmm(d_out.flatten(1, 2).transpose(1, 2), inputs.flatten(1, 2)))


class Readouts:
    """A linear layer with a bias, and the loss of what it predicts.

    Args:
        weights: Of the members.
        loss: What is minimized.
    """

    def __init__(self, weights: PopulationWeights, loss: SummedLoss) -> None:
        self._weight, self._bias = weights.readout(weights.values)
        self._d_weight, self._d_bias = weights.readout(weights.gradients)
        self._loss = loss

    def predict(self, features: Tensor) -> Tensor:
        """Returns `[P, T * B, K]` predictions from `[P, T, B, H]` features."""
        return torch.baddbmm(self._bias[:, None], features.flatten(1, 2), self._weight.transpose(1, 2))

    def loss(self, features: Tensor, targets: Tensor, scored: Tensor, scale: Tensor, d_features: Tensor) -> Tensor:
        """Computes the losses and their gradients.

        Args:
            features: `[P, T, B, H]`.
            targets: `[P, T, B]` classes or `[P, T, B, K]` numbers.
            scored: `[P, T, B]` bool.
            scale: `[P]`; the gradients are those of a member's loss times it.
            d_features: `[P, T, B, H]`, for their gradient.

        Returns:
            `[P]` sums of the losses at scored positions, float64.
        """
        predictions = self.predict(features)
        gradient = self._loss.gradient(predictions.flatten(0, 1), targets.flatten(0, 2)).view(predictions.shape)
        gradient = torch.where(scored.flatten(1)[:, :, None], gradient * scale[:, None, None], 0.0)
        d_features.copy_(torch.bmm(gradient, self._weight).view(d_features.shape))
        self._d_weight.copy_(torch.bmm(gradient.transpose(1, 2), features.flatten(1, 2)))
        self._d_bias.copy_(gradient.sum(dim=1))
        return summed(self._loss.each(predictions.flatten(0, 1), targets.flatten(0, 2)), scored)

    def loss_of_zeros(self, targets: Tensor, scored: Tensor) -> Tensor | None:
        """Returns what `loss` would of predictions that are zero; None where targets have no scale of their own."""
        each = self._loss.of_zeros(targets.flatten(0, 2))
        return None if each is None else summed(each, scored)


def summed(each: Tensor, scored: Tensor) -> Tensor:
    """Returns `[P]` sums, float64, of `[P * T * B]` numbers at the scored ones of `[P, T, B]` positions."""
    return torch.where(scored.flatten(1), each.view(len(scored), -1), 0.0).sum(dim=1, dtype=torch.float64)
