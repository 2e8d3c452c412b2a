"""One layer's passes without autograd: on fixed shapes, in memory that stays in place."""

import ctypes
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from archsearch.compiler.native.arena import Lease
from archsearch.compiler.native.engine import NativeEngine


class LayerPass:
    """Runs a layer forward, and then backward on what the forward pass left behind.

    Shapes: `T` time steps, `B` sequences, `H` hidden units, `I` input features; `row_length` is `H` filled up to whole
    vectors.

    Args:
        engine: The cell.
        weights: `NAME.weight` and `NAME.bias`; contiguous, and never moved.
        gradients: The same names; what each backward pass writes (it does not add).
        dtype: Of all numbers.
        num_steps: `T`.
        batch_size: `B`.
        hidden_size: `H` and `I`.
        x_row_length: The distance between rows of the input and of its gradient.

    Attributes:
        row_length: The distance between rows of the output and of its gradient.
    """

    def __init__(
        self,
        engine: NativeEngine,
        weights: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        dtype: torch.dtype,
        num_steps: int,
        batch_size: int,
        hidden_size: int,
        x_row_length: int,
    ) -> None:
        self._engine = engine
        self._code = engine.code(dtype)
        self._states = len(engine.program.states)
        self._state_shape = (batch_size, hidden_size)
        self._dtype = dtype
        self.row_length = self._code.row_length(hidden_size)
        sizes = (num_steps, batch_size, hidden_size, hidden_size, True, x_row_length, self.row_length)
        self._shape = self._code.shape(*sizes)
        self._lease = Lease(self._shape.arena_numbers, dtype)
        self._call = self._code.call(self._shape, self._lease)
        places = engine.places(weights)
        for place, d_place, key in zip(
            places.inputs[1 + self._states :], places.gradients[1 + self._states :], places.keys, strict=True
        ):
            self._call[place], self._call[d_place] = weights[key].data_ptr(), gradients[key].data_ptr()
        self._index = engine.table.index
        self._kept: Sequence[Tensor] = ()

    def forward(self, x: int, before: Sequence[Tensor]) -> tuple[int, list[Tensor]]:
        """Runs the forward pass.

        Args:
            x: Address of `[T * B, I]`; it must stay as it is until the backward pass.
            before: `[B, H]` states, contiguous.

        Returns:
            The address of the outputs `[T * B, row_length]`, valid until the next pass, and the states after the last
            step.
        """
        after = [torch.empty(self._state_shape, dtype=self._dtype, device="cpu") for _ in range(self._states)]
        self._set("x", x)
        for number in range(self._states):
            self._set(f"before.{number}", before[number].data_ptr())
            self._set(f"after.{number}", after[number].data_ptr())
        self._kept = before  # the backward pass has no use for them, but the table names them
        self._code.forward(self._call)
        return int(self._call[self._index["out_in_arena"]]), after

    def backward(self, d_output: int, dx: int) -> None:
        """Runs the backward pass of the last forward pass; the states after the last step get no gradient.

        Args:
            d_output: Address of `[T * B, row_length]`, the gradient of the outputs.
            dx: Address of the gradient of the input, laid out as the input; apart from both `d_output` and the input.
        """
        self._set("d_out", d_output)
        self._set("dx", dx)
        self._code.backward(self._call)

    def _set(self, name: str, address: int) -> None:
        self._call[self._index[name]] = ctypes.c_void_p(address)
