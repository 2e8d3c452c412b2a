"""The passes of one layer for a population, in memory that stays, so that a graph of them can be replayed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from archsearch.compiler.lower import INPUT_PROJECTION
from archsearch.compiler.program import CellProgram
from archsearch.compiler.vectorized.fusion import Fused, Timed, fuse, results_of, row_of
from archsearch.compiler.vectorized.planning import plan_passes
from archsearch.compiler.vectorized.precision import IN_KERNELS, multiplication, products_in
from archsearch.compiler.vectorized.torch_kernels import torch_kernel
from archsearch.compiler.vectorized.triton_kernels import Factor, Launch, compile_together, launch_of
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

    Nothing is read back to the host, and what is computed lies in memory that the construction takes: both passes can
    be captured in a CUDA graph. Gradients are written, not added to; those of weights that nothing depends on are left
    as they are.

    Shapes: `P` members, `T` time steps, `B` sequences, `I` input features, `H` hidden units.

    Args:
        program: The cell.
        weights: `NAME.weight` `[P, H, width]`, a peephole's `[P, H]`, and `NAME.bias` `[P, H]`, as well as
            `input_projection.weight` `[P, H, I]` where the layer has one. Rows are contiguous, and what belongs to one
            value follows one another in memory, see `FlatWeights`; the members' stride is free.
        gradients: Of the weights, laid out likewise.
        num_steps: `T`.
        batch_size: `B`.
        input_size: `I`.
        hidden_size: `H`.
        num_members: `P`.
        kernels: `torch`, or `triton` on CUDA.
        precision: Of the products of float32 numbers on CUDA.
        with_last_states: Whether states that nothing reads are computed and states after the last step may have
            gradients.
        inputs: `[P, T, B, I]` memory to use for the inputs, such as the outputs of the layer below; own if None.
        d_inputs: Likewise for their gradient.
        like: A tensor of the type and on the device that are wanted; a weight if None.

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
        precision: str = "full",
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
        self._widths = dict.fromkeys(given, input_size)
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
        self._kernels = kernels
        self._with_last_states = with_last_states
        self._precision = precision
        steps = range(num_steps)
        self._forward = self._calls(passes.prologue, passes.step, passes.epilogue, steps)
        self._backward = self._calls(passes.back_epilogue, passes.back_step, passes.back_prologue, reversed(steps))
        self._backward += map(self._ending, passes.endings)
        compile_together(call for call in (*self._forward, *self._backward) if isinstance(call, Launch))

    def forward(self) -> None:
        """Computes the outputs and the states after the last step."""
        with products_in(self._precision):
            for call in self._forward:
                call()

    def backward(self) -> None:
        """Computes the gradients from what the forward pass left."""
        with products_in(self._precision):
            for call in self._backward:
                call()

    def _calls(
        self, first: Sequence[Work], each: Sequence[Work], last: Sequence[Work], steps: Iterable[int]
    ) -> list[Call]:
        of_steps: list[tuple[Work, int]] = [(work, step) for step in steps for work in each]
        can_fuse = self._kernels == "triton" and self.outputs.dtype == torch.float32
        timed: list[Timed] = [(work, 0) for work in first]
        timed += fuse(of_steps) if can_fuse else of_steps
        timed += [(work, 0) for work in last]
        return [self._call(work, step) for work, step in timed]

    def _call(self, work: Work | Fused, step: int) -> Call:
        if isinstance(work, Fused):
            return self._fused(work, step)
        return self._kernel(work, step) if isinstance(work, Kernel) else self._product(work, step)

    def _kernel(self, kernel: Kernel, step: int) -> Call:
        loads = [self._source(source, kernel, step) for source in kernel.loads]
        stores = [self._source(place, kernel, step) for place, _ in kernel.stores]
        if self._kernels == "torch":
            run = torch_kernel(kernel)
            return lambda: run(loads, stores)
        return launch_of(kernel, [_flat(load) for load in loads], [_flat(store) for store in stores])

    def _fused(self, fused: Fused, step: int) -> Call:
        """Prepares a kernel that also multiplies; what a later kernel reads of the products, it stores."""
        kernel = fused.kernel
        numbers = {row_of(place, step): number for number, place in enumerate(kernel.loads) if isinstance(place, Place)}
        stored = {place for place, _ in kernel.stores}
        more: list[tuple[Place, str]] = []
        factors: list[tuple[Factor, Tensor, Tensor]] = []
        begun: set[int] = set()
        for product, when in zip(fused.products, fused.product_steps, strict=True):
            matrices = _stacked([self._weights[f"{name}.weight"] for name in product.parameters])
            results = tuple(numbers[row] for row in results_of(product, when))
            depth = matrices.shape[1] if product.is_backward else matrices.shape[2]
            operand = self._matrix(product.operand, "step", when, depth)
            factors.append((Factor(results, product.is_backward, begun.isdisjoint(results)), operand, matrices))
            begun.update(results)
            if not product.is_backward:
                places = [(kernel.loads[number], f"a{number}") for number in results]
                more += [(place, name) for place, name in places if isinstance(place, Place) and place not in stored]
        kernel = replace(kernel, stores=(*kernel.stores, *more))
        loads = [
            None if number in begun else self._source(source, kernel, step)
            for number, source in enumerate(kernel.loads)
        ]
        stores = [self._source(place, kernel, step) for place, _ in kernel.stores]
        return launch_of(kernel, loads, stores, factors, IN_KERNELS[self._precision])

    def _product(self, product: Product, step: int) -> Call:
        stacked = _stacked([self._weights[f"{name}.weight"] for name in product.parameters])
        factor = stacked if product.is_backward else stacked.transpose(1, 2)
        operand = self._matrix(product.operand, product.region, step, factor.shape[1])
        result = self._matrix(product.result, product.region, step, factor.shape[2])
        precision = self._precision if product.region == "time" else "full"
        return multiplication(result, operand, factor, accumulates=product.accumulates, precision=precision)

    def _ending(self, ending: Ending) -> Call:
        if isinstance(ending, WeightGradient):
            target = _stacked([self._gradients[f"{name}.weight"] for name in ending.parameters])
            gradient = self._matrix(ending.gradient, "time", 0, target.shape[1]).transpose(1, 2)
            operand = self._matrix(ending.operand, "time", 0, target.shape[2])
            return multiplication(target, gradient, operand, accumulates=False, precision=self._precision)
        sums = _side_by_side([self._gradients[key] for key in ending.keys])
        summed = self._matrix(ending.gradient, "time", 0, sums.shape[1])
        return lambda: torch.sum(summed, dim=1, out=sums)

    def _source(self, source: Source, kernel: Kernel, step: int) -> Tensor:
        if isinstance(source, Vector):
            vector = self._weights[source.key]
            if self._kernels == "triton":
                return vector
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
    """Returns `[P, members * H, width]`: matrices `[P, H, width]` that follow one another in memory, as one."""
    num_members, num_rows, width = matrices[0].shape
    return _side_by_side([matrix.flatten(1) for matrix in matrices]).view(num_members, len(matrices) * num_rows, width)


def _side_by_side(vectors: Sequence[Tensor]) -> Tensor:
    """Returns `[P, members * N]`: vectors `[P, N]` that follow one another in memory, as one.

    Raises:
        ValueError: They do not.
    """
    first = vectors[0]
    num_members, size = first.shape
    for number, vector in enumerate(vectors):
        is_next = vector.data_ptr() == first.data_ptr() + number * size * first.element_size()
        if not is_next or vector.shape != first.shape or vector.stride() != first.stride():
            raise ValueError("expected weights that follow one another in memory, see parameter_order")
    return first.as_strided((num_members, len(vectors) * size), first.stride())


def _flat(tensor: Tensor) -> Tensor:
    """Returns `[P, T * B, H]` of `[P, T, B, H]`; other tensors are left as they are."""
    return tensor.flatten(1, 2) if tensor.dim() == 4 else tensor
