"""The passes of one layer for a population, in memory that stays, so that a graph of them can be replayed."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from archsearch.compiler.lower import INPUT_PROJECTION
from archsearch.compiler.program import CellProgram
from archsearch.compiler.vectorized.planning import plan_passes
from archsearch.compiler.vectorized.torch_kernels import torch_kernel
from archsearch.compiler.vectorized.work import (
    Ending,
    Kernel,
    Place,
    Product,
    Source,
    Vector,
    WeightGradient,
    Work,
)

Call = Callable[[], object]


class PopulationPass:
    """Forward and backward pass of one layer for several members at once.

    Nothing is read back to the host, and no memory is taken after the construction: both passes can be captured in a
    CUDA graph. Gradients are written, not added to; those of weights that nothing depends on are left as they are.

    Shapes: `P` members, `T` time steps, `B` sequences, `I` input features, `H` hidden units.

    Args:
        program: The cell.
        weights: `NAME.weight` `[P, H, width]`, a peephole's `[P, H]`, and `NAME.bias` `[P, H]`, as well as
            `input_projection.weight` `[P, H, I]` where the layer has one. Rows are contiguous, and matrices that multiply
            one value follow one another in memory, see `parameter_order`; the members' stride is free.
        gradients: Of the weights, laid out likewise.
        num_steps: `T`.
        batch_size: `B`.
        input_size: `I`.
        hidden_size: `H`.
        kernels: `torch`, or `triton` on CUDA.
        with_last_states: Whether states that nothing reads are computed and states after the last step may have
            gradients.
        inputs: `[P, T, B, I]` memory to use for the inputs, such as the outputs of the layer below; own if None.
        d_inputs: Likewise for their gradient.

    Attributes:
        inputs: `[P, T, B, I]`, to be written before the forward pass.
        d_inputs: `[P, T, B, I]`, there after the backward pass.
        outputs: `[P, T, B, H]`, there after the forward pass.
        d_outputs: `[P, T, B, H]`, to be written before the backward pass.
        before: By state: `[P, B, H]` before the first step. States that do not matter are left out.
        after: By state: `[P, B, H]` after the last one.
        d_before: By state: `[P, B, H]` parts whose sum is its gradient before the first step.
        d_after: By state: `[P, B, H]`, its gradient after the last step, zero unless written.
    """

    def __init__(
        self,
        program: CellProgram,
        weights: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        num_steps: int,
        batch_size: int,
        input_size: int,
        hidden_size: int,
        num_members: int,
        *,
        kernels: str = "torch",
        with_last_states: bool = False,
        inputs: Tensor | None = None,
        d_inputs: Tensor | None = None,
        like: Tensor | None = None,
    ) -> None:
        is_projected = f"{INPUT_PROJECTION}.weight" in weights
        self._passes = passes = plan_passes(program, is_projected=is_projected, with_last_states=with_last_states)
        self._weights, self._gradients = weights, gradients
        self._num_steps = num_steps
        like = next(iter(weights.values())) if like is None else like
        self._width = hidden_size
        given = {passes.inputs.buffer.name: inputs, passes.d_inputs.buffer.name: d_inputs}
        self._buffers: dict[str, Tensor] = {}
        for buffer in passes.buffers:
            width = input_size if buffer in (passes.inputs.buffer, passes.d_inputs.buffer) else hidden_size
            shape = (num_members, num_steps + (buffer.rows == "sequence"), batch_size, buffer.columns * width)
            memory = given.get(buffer.name)
            self._buffers[buffer.name] = like.new_zeros(shape) if memory is None else memory
        self._widths = {name: input_size for name in given}
        self.inputs, self.d_inputs = self._whole(passes.inputs), self._whole(passes.d_inputs)
        self.outputs, self.d_outputs = self._whole(passes.outputs), self._whole(passes.d_outputs)
        last = {state: place.later(num_steps - 1) for state, place in passes.last_values.items()}
        ends = {state: place.later(num_steps) for state, place in passes.states.items()}
        self.before = {state: self._row(place, 0) for state, place in passes.states.items()}
        self.after = {state: self._row(place, 0) for state, place in (ends | last).items()}
        self.d_before = {state: [self._row(part, 0) for part in parts] for state, parts in passes.d_states.items()}
        d_last = {state: place.later(num_steps - 1) for state, place in passes.d_last_values.items()}
        d_ends = {state: parts[0].later(num_steps) for state, parts in passes.d_states.items() if parts}
        self.d_after = {state: self._row(place, 0) for state, place in (d_ends | d_last).items()}
        steps = range(num_steps)
        self._forward = [
            *self._calls(passes.prologue, 0),
            *(call for step in steps for call in self._calls(passes.step, step)),
            *self._calls(passes.epilogue, 0),
        ]
        self._backward = [
            *self._calls(passes.back_epilogue, 0),
            *(call for step in reversed(steps) for call in self._calls(passes.back_step, step)),
            *self._calls(passes.back_prologue, 0),
            *map(self._ending, passes.endings),
        ]

    def forward(self) -> None:
        """Computes the outputs and the states after the last step."""
        for call in self._forward:
            call()

    def backward(self) -> None:
        """Computes the gradients from what the forward pass left."""
        for call in self._backward:
            call()

    def _calls(self, works: Sequence[Work], step: int) -> list[Call]:
        return [self._kernel(work, step) if isinstance(work, Kernel) else self._product(work, step) for work in works]

    def _kernel(self, kernel: Kernel, step: int) -> Call:
        run = torch_kernel(kernel)
        loads = [self._source(source, kernel, step) for source in kernel.loads]
        stores = [self._source(place, kernel, step) for place, _ in kernel.stores]
        return lambda: run(loads, stores)

    def _product(self, product: Product, step: int) -> Call:
        stacked = _stacked([self._weights[f"{name}.weight"] for name in product.parameters])
        factor = stacked if product.is_backward else stacked.transpose(1, 2)
        operand = self._matrix(product.operand, product.region, step, factor.shape[1])
        result = self._matrix(product.result, product.region, step, factor.shape[2])
        if product.accumulates:
            return lambda: torch.baddbmm(result, operand, factor, out=result)
        return lambda: torch.bmm(operand, factor, out=result)

    def _ending(self, ending: Ending) -> Call:
        if isinstance(ending, WeightGradient):
            target = _stacked([self._gradients[f"{name}.weight"] for name in ending.parameters])
            gradient = self._matrix(ending.gradient, "time", 0, target.shape[1]).transpose(1, 2)
            operand = self._matrix(ending.operand, "time", 0, target.shape[2])
            return lambda: torch.bmm(gradient, operand, out=target)
        summed, sums = self._whole(ending.gradient), self._gradients[ending.key]
        return lambda: torch.sum(summed, dim=(1, 2), out=sums)

    def _source(self, source: Source, kernel: Kernel, step: int) -> Tensor:
        if isinstance(source, Vector):
            vector = self._weights[source.key]
            return vector[:, None] if kernel.region == "step" else vector[:, None, None]
        return self._row(source, step) if kernel.region == "step" else self._whole(source)

    def _matrix(self, place: Place, region: str, step: int, width: int) -> Tensor:
        """Returns `[P, rows, width]`, side by side from a place's column on."""
        buffer = self._buffers[place.buffer.name]
        begin = place.column * self._width
        if region == "step":
            return buffer[:, place.offset + step, :, begin : begin + width]
        rows = buffer[:, place.offset : place.offset + self._num_steps, :, begin : begin + width]
        return rows.flatten(1, 2)

    def _row(self, place: Place, step: int) -> Tensor:
        return self._matrix(place, "step", step, self._width_of(place))

    def _whole(self, place: Place) -> Tensor:
        """Returns `[P, T, B, width]`."""
        buffer, width = self._buffers[place.buffer.name], self._width_of(place)
        begin = place.column * width
        return buffer[:, place.offset : place.offset + self._num_steps, :, begin : begin + width]

    def _width_of(self, place: Place) -> int:
        return self._widths.get(place.buffer.name, self._width)


def _stacked(matrices: Sequence[Tensor]) -> Tensor:
    """Returns `[P, members * H, width]`: matrices `[P, H, width]` that follow one another in memory, as one.

    Raises:
        ValueError: They do not.
    """
    first = matrices[0]
    size = first[0].numel()
    for number, matrix in enumerate(matrices):
        is_next = matrix.data_ptr() == first.data_ptr() + number * size * first.element_size()
        if not is_next or matrix.shape != first.shape or matrix.stride() != first.stride():
            raise ValueError("expected matrices that follow one another in memory, see parameter_order")
    num_members, num_rows, width = first.shape
    return first.as_strided((num_members, len(matrices) * num_rows, width), first.stride())
