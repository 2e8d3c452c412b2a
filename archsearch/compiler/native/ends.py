"""Both ends of a sequence model, natively: the embedding, and the readout with its loss."""

import ctypes
from typing import Any

import torch
from torch import Tensor

from archsearch.compiler.native.arena import Lease
from archsearch.compiler.native.compiled import REALS, runtime, runtime_address

_C_REALS: dict[torch.dtype, Any] = {torch.float32: ctypes.c_float, torch.float64: ctypes.c_double}


class Embedding:
    """Looks rows up in a table, and collects their gradients.

    Shapes: `V` symbols, `N` positions, `H` features.

    Args:
        table: `[V, H]` weights, contiguous, never moved.
        gradient: `[V, H]`; only rows of symbols that were looked up are ever written.
    """

    def __init__(self, table: Tensor, gradient: Tensor) -> None:
        self._functions = runtime(REALS[table.dtype]).functions
        self._table = table
        self._gradient = gradient
        self._real = _C_REALS[table.dtype]

    def look_up(self, symbols: Tensor, rows: Tensor) -> None:
        """Writes to `rows` `[N, H]` those of the `N` symbols, int64."""
        width = self._table.shape[1]
        self._functions.gather_rows(
            ctypes.c_long(symbols.numel()),
            ctypes.c_long(width),
            _address(symbols),
            _address(self._table),
            _address(rows),
            ctypes.c_long(width),
        )

    def collect(self, symbols: Tensor, gradients: Tensor) -> None:
        """Sets the gradient of the rows looked up to the sum over the positions; `gradients` is `[N, H]`."""
        width = self._table.shape[1]
        self._functions.scatter_rows(
            ctypes.c_long(symbols.numel()),
            ctypes.c_long(width),
            _address(symbols),
            _address(gradients),
            ctypes.c_long(width),
            _address(self._gradient),
        )

    def add_gradient(self, rows: Tensor, factor: float) -> None:
        """Adds `factor` times the gradient to some rows of the table, each named once."""
        self._functions.descend_rows(
            ctypes.c_long(rows.numel()),
            ctypes.c_long(self._table.shape[1]),
            _address(rows),
            self._real(factor),
            _address(self._gradient),
            _address(self._table),
        )


class Readout:
    """A linear layer with softmax and cross entropy, forward and backward in one.

    Shapes: `N` positions, `S` of them scored, `H` features, `V` symbols.

    Args:
        weight: `[V, H]`, contiguous, never moved; so are the others.
        bias: `[V]`.
        d_weight: Gradient that each call writes.
        d_bias: Likewise.
        precision: Of the products, as a `NativeEngine`'s.
    """

    def __init__(self, weight: Tensor, bias: Tensor, d_weight: Tensor, d_bias: Tensor, precision: str = "full") -> None:
        self._runtime_address = ctypes.c_void_p(runtime_address(REALS[weight.dtype], precision))
        self._functions = runtime(REALS[weight.dtype]).functions
        self._functions.readout.restype = ctypes.c_double
        self._functions.readout_numbers.restype = ctypes.c_long
        self._tensors = (weight, bias, d_weight, d_bias)
        self._real = _C_REALS[weight.dtype]

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
            targets: `[S]` symbols asked for, int64.
            scale: The gradients are those of the loss times `scale`.
            d_rows: Address for the gradient of the rows, laid out alike.

        Returns:
            The sum of the losses, in nats.
        """
        weight, bias, d_weight, d_bias = self._tensors
        sizes = (ctypes.c_long * 5)(num_rows, targets.numel(), weight.shape[1], weight.shape[0], row_length)
        work = Lease(self._functions.readout_numbers(self._runtime_address, sizes), weight.dtype)
        loss = self._functions.readout(
            self._runtime_address,
            sizes,
            ctypes.c_void_p(rows),
            None if scored is None else _address(scored),
            _address(targets),
            _address(weight),
            _address(bias),
            self._real(scale),
            ctypes.c_void_p(d_rows),
            _address(d_weight),
            _address(d_bias),
            ctypes.c_void_p(work.address),
        )
        return float(loss)


def _address(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())
