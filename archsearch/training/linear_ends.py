"""Both ends of a model that reads or predicts numbers, with their gradients in closed form.

They stand beside `compiler.native.ends`, which has the embedding and the softmax; these are a few small products, which
torch does well.
"""

import ctypes

import torch
from torch import Tensor

from archsearch.training.losses import SummedLoss

_C_REALS = {torch.float32: ctypes.c_float, torch.float64: ctypes.c_double}


class InputLayer:
    """A linear layer without a bias in front of the recurrent ones.

    Shapes: `N` positions, `F` numbers read, `H` features.

    Args:
        weight: `[H, F]`.
        gradient: `[H, F]`, which each call of `collect` writes.
    """

    def __init__(self, weight: Tensor, gradient: Tensor) -> None:
        self._weight = weight.detach()
        self._gradient = gradient

    def look_up(self, numbers: Tensor, rows: Tensor) -> None:
        """Writes the `[N, H]` products with `[T, B, F]` numbers to `rows`."""
        torch.mm(self._flat(numbers), self._weight.t(), out=rows)

    def collect(self, numbers: Tensor, gradients: Tensor) -> None:
        """Sets the weight's gradient to that of `[N, H]` gradients of the rows."""
        torch.mm(gradients.t(), self._flat(numbers), out=self._gradient)

    def _flat(self, numbers: Tensor) -> Tensor:
        return numbers.flatten(0, 1).to(self._weight.dtype)


class NumberReadout:
    """A linear layer with a loss of numbers, forward and backward in one; called as `compiler.native.ends.Readout`.

    Shapes: `N` positions, `S` of them scored, `H` features, `K` numbers.

    Args:
        weight: `[K, H]`.
        bias: `[K]`.
        d_weight: Gradient that each call writes.
        d_bias: Likewise.
        loss: What is computed.
    """

    def __init__(self, weight: Tensor, bias: Tensor, d_weight: Tensor, d_bias: Tensor, loss: SummedLoss) -> None:
        self._weight, self._bias = weight.detach(), bias.detach()
        self._d_weight, self._d_bias = d_weight, d_bias
        self._loss = loss

    @torch.no_grad()
    def loss(
        self,
        rows: int,
        row_length: int,
        num_rows: int,
        scored: Tensor | None,
        targets: Tensor,
        scale: float,
        d_rows: int,
    ) -> float:
        """Computes the loss and its gradients.

        Args:
            rows: Address of `[N, H]`, rows `row_length` apart.
            row_length: See there.
            num_rows: `N`.
            scored: `[S]` indices of the rows that count, int64; None if all do.
            targets: `[S, K]` numbers asked for.
            scale: The gradients are those of the loss times `scale`.
            d_rows: Address for the gradient of the rows, laid out alike.

        Returns:
            The sum of the losses.
        """
        features = self._at(rows, num_rows, row_length)
        if scored is not None:
            features = features.index_select(0, scored)
        targets = targets.to(features.dtype)
        predictions = torch.addmm(self._bias, features, self._weight.t())
        gradient = self._loss.gradient(predictions, targets).mul_(scale)
        torch.mm(gradient.t(), features, out=self._d_weight)
        torch.sum(gradient, dim=0, out=self._d_bias)
        d_features = self._at(d_rows, num_rows, row_length)
        if scored is None:
            d_features.copy_(gradient @ self._weight)
        else:
            d_features.zero_().index_copy_(0, scored, gradient @ self._weight)
        return float(self._loss.total(predictions, targets))

    def _at(self, address: int, num_rows: int, row_length: int) -> Tensor:
        """Returns the `[N, H]` numbers that lie at an address, without a copy."""
        dtype = self._weight.dtype
        numbers = (_C_REALS[dtype] * (num_rows * row_length)).from_address(address)
        return torch.frombuffer(numbers, dtype=dtype).view(num_rows, row_length)[:, : self._weight.shape[1]]
