"""The engine that runs a cell as C generated for it: one thread of a CPU, float32 or float64."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor

from archsearch.compiler.native.arena import Lease
from archsearch.compiler.native.call_table import CallTable
from archsearch.compiler.native.compiled import PROJECTION, REALS, Code, Places, Tape, check_native, point
from archsearch.compiler.program import CellProgram
from archsearch.compiler.second_derivatives import Run, differentiable_gradients
from archsearch.compiler.shapes import check_weight
from archsearch.compiler.transforms import active_transform, has_batched_gradients, is_wrapped
from archsearch.errors import EngineError

# Beyond it the compiler takes minutes.
MAX_INSTRUCTIONS = 1000


class NativeEngine:
    """A program, compiled when it first meets a type of number. Can be pickled and copied, and holds no weights.

    Args:
        program: What to run.
        precision: `full`, or `bfloat16`: of what is multiplied for all time steps at once and of the gradients of the
            weights, where weights are float32; sums and all else stay float32.
        for_second_derivatives: What computes derivatives of derivatives, which are not generated; None to refuse.

    Raises:
        EngineError: There is no compiler that works, or the program is too large.
    """

    def __init__(
        self, program: CellProgram, precision: str = "full", for_second_derivatives: Run | None = None
    ) -> None:
        check_native(precision)
        size = len(program.prologue) + len(program.step) + len(program.epilogue)
        if size > MAX_INSTRUCTIONS:
            raise EngineError(
                f"engine native: the cell has {size} instructions, expected at most {MAX_INSTRUCTIONS}. Use "
                "engine=interpreter."
            )
        self.program = program
        self.precision = precision
        self.for_second_derivatives = for_second_derivatives
        self.table = CallTable(program)
        self._code: dict[tuple[str, bool], Code] = {}
        self._failures: dict[tuple[str, bool], EngineError] = {}
        self._with_after = False
        self._places: dict[bool, Places] = {}

    def __getstate__(self) -> dict[str, Any]:
        names = ("program", "precision", "for_second_derivatives")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def refusal(self, tensors: Sequence[Tensor]) -> str | None:
        """Returns why tensors cannot be run, or None if they can."""
        dtype = tensors[0].dtype
        if dtype not in REALS:
            return f"expected float32 or float64, got {dtype}"
        for tensor in tensors:
            if not tensor.is_cpu:
                return f"expected tensors on the CPU, got one on {tensor.device}"
            if tensor.dtype is not dtype:
                return f"expected tensors of one type, got {dtype} and {tensor.dtype}"
            if is_wrapped(tensor):
                return "expected a tensor of numbers, got one that escaped from a transform of torch.func"
        return None

    def __call__(
        self, x: Tensor, states: tuple[Tensor, ...], parameters: Mapping[str, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Unrolls the cell over a sequence; see `Unroll`.

        Raises:
            EngineError: A tensor has another type or device than this engine runs, or the compiler fails.
            ShapeError: A weight has another shape than the layer was built with.
        """
        transform = active_transform()
        if transform is not None:
            raise EngineError(
                f"engine native: it cannot run inside {transform}, which would see none of its operations. Use "
                "engine=interpreter, or engine=auto."
            )
        places = self.places(parameters)
        tensors = (x, *states, *[parameters[key] for key in places.keys])
        refusal = self.refusal(tensors)
        if refusal is not None:
            raise EngineError(f"engine native: {refusal}. Convert with .to(), or use engine=interpreter.")
        if torch.is_grad_enabled():
            outputs = _apply_unroll(self, places, *tensors)
        else:
            outputs, _ = self.run_forward(places, tensors, is_training=False)
        return outputs[0], outputs[1:]

    def places(self, parameters: Mapping[str, Tensor]) -> "Places":
        """Returns where a layer's tensors stand in the call table; an input projection may be there or not."""
        has_projection = PROJECTION in parameters
        places = self._places.get(has_projection)
        if places is None:
            places = self._places[has_projection] = Places.of(self.table, has_projection)
        return places

    def run_forward(
        self, places: "Places", tensors: tuple[Tensor, ...], is_training: bool
    ) -> tuple[tuple[Tensor, ...], "Tape"]:
        """Runs the forward pass on `x`, the states and the weights.

        Returns:
            `[T, B, H]` outputs and the states after the last step, and what the backward pass needs.

        Raises:
            ShapeError: A weight is not as wide or as high as `x` and the states want it.
        """
        x = tensors[0]
        dtype, (T, B, num_features), H = x.dtype, x.shape, tensors[1].shape[2]
        code = self.code(dtype, self._with_after and is_training)
        shape = code.shape(T, B, H, num_features, is_training, num_features, H)
        if places.keys:
            weights = tensors[1 + len(self.program.states) :]
            if list(map(_shape_of, weights)) != shape.weights:
                for key, weight, expected in zip(places.keys, weights, shape.weights, strict=True):
                    check_weight("engine native", key, weight, expected)
        lease = Lease(shape.arena_numbers, dtype)
        call = code.call(shape, lease)
        outputs = (x.new_empty(T, B, H), *[_empty_like(state) for state in tensors[1 : 1 + len(self.program.states)]])
        copies = point(call, places.forward, (*tensors, *outputs))
        code.forward(call)
        del copies  # not before
        return outputs, Tape(code, shape, lease, call)

    def code(self, dtype: torch.dtype, with_after: bool = False) -> "Code":
        """Returns the compiled functions for a type of number.

        Args:
            dtype: See there.
            with_after: Whether the backward pass takes gradients of the states after the last step.

        Raises:
            EngineError: The compiler fails.
        """
        key = (REALS[dtype], with_after)
        code = self._code.get(key)
        if code is None:
            if key in self._failures:
                failure = self._failures[key]
                raise type(failure)(str(failure))
            try:
                code = self._code[key] = Code(self.program, self.table, *key, self.precision)
            except EngineError as error:
                self._failures[key] = error  # a compiler that hangs does so once
                raise
        return code

    def expect_after(self) -> None:
        """Remembers that states after the last step have gradients here, so that the next pass is ready for them."""
        self._with_after = True


class _Unroll(torch.autograd.Function):
    """The generated passes as one node of autograd's graph."""

    @staticmethod
    def forward(ctx: Any, engine: NativeEngine, places: Places, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Runs the forward pass and keeps its arena."""
        is_training = True in ctx.needs_input_grad
        outputs, tape = engine.run_forward(places, tensors, is_training)
        if is_training:
            ctx.kept = (engine, places, tape)
            ctx.save_for_backward(*tensors)
            ctx.set_materialize_grads(False)
        return outputs

    @staticmethod
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Any, ...]:
        """Runs the backward pass on what the forward pass left in the arena."""
        engine: NativeEngine
        places: Places
        tape: Tape | None
        engine, places, tape = ctx.kept
        tensors: tuple[Tensor, ...] = ctx.saved_tensors
        if torch.is_grad_enabled() or active_transform() is not None or has_batched_gradients(given):
            return (None, None, *differentiable_gradients("native", engine, places.keys, tensors, given))
        ctx.kept = (engine, places, None)
        if [gradient for gradient in given[1:] if gradient is not None]:
            engine.expect_after()
            tape = tape if tape is not None and tape.code.with_after else None
        if tape is None:  # used up by the first pass over a retained graph, or of the other code
            _, tape = engine.run_forward(places, tensors, is_training=True)
        are_wanted = iter(ctx.needs_input_grad[2:])
        gradients = [_empty_like(tensor) if next(are_wanted) else None for tensor in tensors]
        # the inputs too: the forward pass may have read other copies
        copies = point(tape.call, places.backward, (*tensors, *given, *gradients))
        tape.code.backward(tape.call)
        del copies  # not before
        return (None, None, *gradients)


# mapped, two thirds of the time of looking them up in a loop
_shape_of: Callable[[Tensor], torch.Size] = attrgetter("shape")

# half the time of `new_empty`
_empty_like: Callable[[Tensor], Tensor] = partial(torch.empty_like, memory_format=torch.contiguous_format)

# `Function.apply` without what it does in each call for transforms of torch.func, which the engine has ruled out
_apply_unroll: Callable[..., tuple[Tensor, ...]] = super(torch.autograd.Function, _Unroll).apply
