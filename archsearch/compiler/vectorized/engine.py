"""The engine that runs a cell as a population of one: on CUDA by generated kernels, each pass one CUDA graph."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from archsearch.compiler.program import CellProgram
from archsearch.compiler.second_derivatives import Run, differentiable_gradients
from archsearch.compiler.shapes import check_weight
from archsearch.compiler.transforms import active_transform, has_batched_gradients
from archsearch.compiler.vectorized.flat_weights import FlatWeights
from archsearch.compiler.vectorized.layer_pass import PopulationPass
from archsearch.compiler.vectorized.replay import Replay
from archsearch.compiler.vectorized.triton_kernels import fastest_kernels
from archsearch.errors import EngineError

# Workspaces of so many shapes are kept; of another one, that used longest ago goes.
MAX_SHAPES = 16

_TYPES = (torch.float32, torch.float64)


class _Workspace:
    """The memory and the passes of calls of one shape and stream; one call at a time may use it."""

    def __init__(self, program: CellProgram, shape: "_Shape", like: Tensor, kernels: str, precision: str) -> None:
        flat = FlatWeights(program, shape.input_size, shape.hidden_size, shape.has_projection)
        rows, d_rows = (like.new_zeros(1, flat.length) for _ in range(2))
        self.weights, self.gradients = flat.views(rows), flat.views(d_rows)
        self.layer = PopulationPass(
            program,
            self.weights,
            self.gradients,
            shape.num_steps,
            shape.batch_size,
            shape.input_size,
            shape.hidden_size,
            1,
            kernels=kernels,
            precision=precision,
            with_last_states=True,
            like=like,
        )
        self.forward = Replay(self.layer.forward, (), like.device)
        self.backward = Replay(self.layer.backward, (), like.device)


@dataclass(frozen=True, slots=True)
class _Shape:
    num_steps: int
    batch_size: int
    input_size: int
    hidden_size: int
    has_projection: bool
    dtype: torch.dtype
    device: torch.device
    stream: int


class _Lease:
    """A workspace in use, until the last reference to this goes."""

    def __init__(self, free: list[_Workspace], make: Callable[[], _Workspace]) -> None:
        self._free = free
        try:
            self.workspace = free.pop()
        except IndexError:  # not asked before: another thread may come between
            self.workspace = make()

    def __del__(self) -> None:
        if hasattr(self, "workspace"):
            self._free.append(self.workspace)


class VectorizedEngine:
    """A program run by the passes that train populations. Can be pickled and copied, and holds no weights.

    Args:
        program: What to run.
        name: `vectorized`, by torch's operations on any device, or `cuda`, by generated kernels.
        precision: Of products on CUDA.
        for_second_derivatives: What computes derivatives of derivatives, which are not generated; None to refuse.
    """

    def __init__(
        self,
        program: CellProgram,
        name: str = "vectorized",
        precision: str = "full",
        for_second_derivatives: Run | None = None,
    ) -> None:
        self.program = program
        self.name = name
        self.precision = precision
        self.for_second_derivatives = for_second_derivatives
        self._free: OrderedDict[_Shape, list[_Workspace]] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        names = ("program", "name", "precision", "for_second_derivatives")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def refusal(self, tensors: Sequence[Tensor]) -> str | None:
        """Returns why tensors cannot be run, or None if they can."""
        first = tensors[0]
        if self.name == "cuda" and not first.is_cuda:
            return f"expected tensors on a GPU, got one on {first.device}"
        if first.dtype not in _TYPES:
            return f"expected float32 or float64, got {first.dtype}"
        for tensor in tensors:
            if (tensor.dtype, tensor.device) != (first.dtype, first.device):
                return (
                    f"expected tensors of one type on one device, got {first.dtype} on {first.device} and "
                    f"{tensor.dtype} on {tensor.device}"
                )
        return None

    def __call__(
        self, x: Tensor, states: tuple[Tensor, ...], parameters: Mapping[str, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Unrolls the cell over a sequence; see `Unroll`.

        Raises:
            EngineError: A tensor has another type or device than this engine runs.
            ShapeError: A weight has another shape than the layer was built with.
        """
        transform = active_transform()
        if transform is not None:
            raise EngineError(
                f"engine {self.name}: it cannot run inside {transform}, which would see none of its operations. Use "
                "engine=interpreter, or engine=auto."
            )
        tensors = (x, *states, *parameters.values())
        refusal = self.refusal(tensors)
        if refusal is not None:
            raise EngineError(f"engine {self.name}: {refusal}. Convert with .to(), or use engine=interpreter.")
        keys = tuple(parameters)
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            output, *after = _Unroll.apply(self, keys, *tensors)  # type: ignore[no-untyped-call]
        else:
            output, after, _ = self.run_forward(keys, tensors)
        return output, tuple(after)

    def run_forward(self, keys: Sequence[str], tensors: Sequence[Tensor]) -> tuple[Tensor, list[Tensor], _Lease]:
        """Runs the forward pass on `x`, the states and the weights.

        Returns:
            `[T, B, H]` outputs, the states after the last step, and the workspace that the backward pass needs.

        Raises:
            ShapeError: A weight is not as wide or as high as `x` and the states want it.
        """
        x, names = tensors[0], self.program.states
        num_steps, batch_size, input_size = x.shape
        shape = _Shape(
            num_steps,
            batch_size,
            input_size,
            tensors[1].shape[2],
            "input_projection.weight" in keys,
            x.dtype,
            x.device,
            _stream_on(x.device),
        )
        with _on(x.device):
            lease = self._lease(shape, x)
        layer = lease.workspace.layer
        with torch.no_grad(), _on(x.device):
            layer.inputs[0].copy_(x)
            for name, state in zip(names, tensors[1:], strict=False):
                if name in layer.before:
                    layer.before[name].copy_(state)
            for key, weight in zip(keys, tensors[1 + len(names) :], strict=True):
                place = lease.workspace.weights[key][0]
                check_weight(f"engine {self.name}", key, weight, place.shape)
                place.copy_(weight)
            lease.workspace.forward()
            return layer.outputs[0].clone(), [layer.after[name].clone() for name in names], lease

    def run_backward(
        self, keys: Sequence[str], lease: _Lease, given: Sequence[Tensor | None]
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Runs the backward pass on what the forward pass left.

        Returns:
            The gradients of `x`, of the states and of the weights.
        """
        workspace, layer = lease.workspace, lease.workspace.layer
        with torch.no_grad(), _on(layer.outputs.device):
            _put(layer.d_outputs[0], given[0])
            for name, gradient in zip(self.program.states, given[1:], strict=True):
                _put(layer.d_after[name], gradient)
            workspace.backward()
            before = [
                sum(layer.d_before.get(name, ()), torch.zeros_like(layer.outputs[:, 0])) for name in self.program.states
            ]
            weights = [workspace.gradients[key][0].clone() for key in keys]
            return layer.d_inputs[0].clone(), before, weights

    def _lease(self, shape: _Shape, like: Tensor) -> _Lease:
        free = self._free.setdefault(shape, [])
        self._free.move_to_end(shape)
        while len(self._free) > MAX_SHAPES:
            self._free.popitem(last=False)
        kernels = fastest_kernels(like.device) if self.name == "cuda" else "torch"

        def make() -> _Workspace:
            with torch.inference_mode(False):  # what is made in it is refused by later calls outside of it
                return _Workspace(self.program, shape, like.detach(), kernels, self.precision)

        return _Lease(free, make)


class _Unroll(torch.autograd.Function):
    """The passes as one node of autograd's graph."""

    @staticmethod
    def forward(ctx: Any, engine: VectorizedEngine, keys: tuple[str, ...], *tensors: Tensor) -> tuple[Tensor, ...]:
        """Runs the forward pass and keeps its workspace."""
        output, after, ctx.lease = engine.run_forward(keys, tensors)
        ctx.engine, ctx.keys = engine, keys
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        return (output, *after)

    @staticmethod
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Any, ...]:
        """Runs the backward pass on what the forward pass left."""
        engine: VectorizedEngine = ctx.engine
        tensors: tuple[Tensor, ...] = ctx.saved_tensors
        if torch.is_grad_enabled() or has_batched_gradients(given) or active_transform() is not None:
            return (None, None, *differentiable_gradients(engine.name, engine, ctx.keys, tensors, given))
        lease, ctx.lease = ctx.lease, None
        if lease is None:  # used up by the first pass over a retained graph
            _, _, lease = engine.run_forward(ctx.keys, tensors)
        x, states, weights = engine.run_backward(ctx.keys, lease, given)
        wanted = ctx.needs_input_grad[2:]
        gradients = (x, *states, *weights)
        return (None, None, *(found if want else None for found, want in zip(gradients, wanted, strict=True)))


def _on(device: torch.device) -> AbstractContextManager[object]:
    """Makes a GPU the current one, to which kernels and recordings go."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def _stream_on(device: torch.device) -> int:
    """Returns the stream to which work goes now: another one would not wait until the memory is free."""
    return int(torch.cuda.current_stream(device).cuda_stream) if device.type == "cuda" else 0


def _put(target: Tensor, gradient: Tensor | None) -> None:
    if gradient is None:
        target.zero_()
    else:
        target.copy_(gradient)
