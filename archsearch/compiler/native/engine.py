"""The engine that runs a cell as C generated for it: one thread of a CPU, float32 or float64."""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from archsearch.compiler.lower import INPUT_PROJECTION
from archsearch.compiler.native.arena import Lease
from archsearch.compiler.native.build import Library, build
from archsearch.compiler.native.call_table import SIZES, CallTable
from archsearch.compiler.native.source import cell_source, runtime_source
from archsearch.compiler.program import CellProgram
from archsearch.errors import EngineError

REALS = {torch.float32: "float", torch.float64: "double"}

# What multiplies the large matrices, by precision; see runtime.h.
RUNTIMES = {"full": "runtime", "bfloat16": "runtime_bfloat16"}

# Beyond it the compiler takes minutes.
MAX_INSTRUCTIONS = 1000

Entries = dict[str, int]
Run = Callable[[Tensor, tuple[Tensor, ...], Mapping[str, Tensor]], tuple[Tensor, tuple[Tensor, ...]]]


@cache
def runtime(real: str) -> Library:
    """Returns the products that all cells share, compiled once per machine.

    Args:
        real: `float` or `double`.

    Raises:
        EngineError: There is no compiler that works.
    """
    return build(runtime_source(), real)


def check_native(precision: str = "full") -> None:
    """Checks that native code can be built here, by building what all cells need.

    Args:
        precision: `full`, or `bfloat16`.

    Raises:
        EngineError: There is no compiler that works, or the processor lacks the instructions for the precision.
    """
    runtime_address("float", precision)


def runtime_address(real: str, precision: str) -> int:
    """Returns the address of the table of products.

    Raises:
        EngineError: As for `check_native`.
    """
    library = runtime(real)
    try:
        return ctypes.addressof(ctypes.c_char.in_dll(library.functions, RUNTIMES[precision]))
    except ValueError:
        raise EngineError(
            f"precision {precision}: expected float32 weights and a processor with AVX512-BF16 (AMD since Zen 4, Intel "
            "since Cooper Lake) that the compiler knows, which is not what is here. Use precision=float32."
        ) from None


@dataclass(frozen=True)
class Sizes:
    """Shapes of one call: `T` steps, `B` sequences, `H` units, `I` features."""

    T: int
    B: int
    H: int
    I: int  # noqa: E741 - the field's letter


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
        self._code: dict[str, _Code] = {}

    def __getstate__(self) -> dict[str, Any]:
        names = ("program", "precision", "for_second_derivatives")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def refusal(self, x: Tensor, tensors: Sequence[Tensor]) -> str | None:
        """Returns why tensors cannot be run, or None if they can."""
        if x.dtype not in REALS:
            return f"expected float32 or float64, got {x.dtype}"
        for tensor in (x, *tensors):
            if tensor.device.type != "cpu":
                return f"expected tensors on the CPU, got one on {tensor.device}"
            if tensor.dtype != x.dtype:
                return f"expected tensors of one type, got {x.dtype} and {tensor.dtype}"
        return None

    def __call__(
        self, x: Tensor, states: tuple[Tensor, ...], parameters: Mapping[str, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Unrolls the cell over a sequence; see `Unroll`.

        Raises:
            EngineError: A tensor has another type or device than this engine runs, or the compiler fails.
        """
        names, weights = self.weights_of(parameters)
        refusal = self.refusal(x, (*states, *weights))
        if refusal is not None:
            raise EngineError(f"engine native: {refusal}. Convert with .to(), or use engine=interpreter.")
        tensors = (x, *states, *weights)
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            output, *after = _Unroll.apply(self, names, *tensors)  # type: ignore[no-untyped-call]
        else:
            output, after, _ = self.run_forward(names, tensors, is_training=False)
        return output, tuple(after)

    def weights_of(self, parameters: Mapping[str, Tensor]) -> tuple[tuple[str, ...], tuple[Tensor, ...]]:
        """Returns the entries of the call table that stand for weights, and the tensors that belong there."""
        pairs = []
        for spec in self.program.parameters:
            number = self.table.parameters[spec.name]
            pairs.append((f"weight.{number}", parameters[f"{spec.name}.weight"]))
            if spec.bias:
                pairs.append((f"bias.{number}", parameters[f"{spec.name}.bias"]))
        projection = parameters.get(f"{INPUT_PROJECTION}.weight")
        if projection is not None:
            pairs.append(("weight.projection", projection))
        names, tensors = zip(*pairs, strict=True) if pairs else ((), ())
        return names, tensors

    def run_forward(
        self, names: tuple[str, ...], tensors: tuple[Tensor, ...], is_training: bool
    ) -> tuple[Tensor, list[Tensor], Lease]:
        """Runs the forward pass on `x`, the states and the weights.

        Returns:
            `[T, B, H]` outputs, the states after the last step, and the arena that the backward pass needs.
        """
        num_states = len(self.program.states)
        x, *others = (tensor.detach().contiguous() for tensor in tensors)
        sizes = Sizes(x.shape[0], x.shape[1], others[0].shape[1], x.shape[2])
        code = self.code(x.dtype)
        numbers = code.sizes(sizes, is_training)
        lease = Lease(code.arena_numbers(numbers), x.dtype)
        output = x.new_empty(sizes.T, sizes.B, sizes.H)
        after = [x.new_empty(sizes.B, sizes.H) for _ in range(num_states)]
        entries = {"arena": lease.address, "x": x.data_ptr(), "out": output.data_ptr()}
        for index in range(num_states):
            entries[f"before.{index}"] = others[index].data_ptr()
            entries[f"after.{index}"] = after[index].data_ptr()
        entries |= {name: tensor.data_ptr() for name, tensor in zip(names, others[num_states:], strict=True)}
        code.forward(code.call(entries, numbers))
        return output, after, lease

    def code(self, dtype: torch.dtype) -> "_Code":
        """Returns the compiled functions for a type of number.

        Raises:
            EngineError: The compiler fails.
        """
        real = REALS[dtype]
        if real not in self._code:
            self._code[real] = _Code(self.program, self.table, real, self.precision)
        return self._code[real]


class _Code:
    """The compiled functions of one program for one type of number."""

    def __init__(self, program: CellProgram, table: CallTable, real: str, precision: str) -> None:
        self._table = table
        self._runtime_address = runtime_address(real, precision)
        self._library = build(cell_source(program), real)
        functions = self._library.functions
        self._arena_numbers = functions.arena_numbers
        self._arena_numbers.restype = ctypes.c_long
        self._row_length = functions.row_length
        self._row_length.restype, self._row_length.argtypes = ctypes.c_long, [ctypes.c_long]
        self.forward = functions.forward
        self.backward = functions.backward
        self.forward.restype = self.backward.restype = None
        self._call_type = ctypes.c_void_p * len(table.entries)

    def sizes(self, sizes: Sizes, is_training: bool, x_ld: int | None = None, d_out_ld: int | None = None) -> Any:
        """Returns the numbers that the functions take."""
        numbers = (sizes.T, sizes.B, sizes.H, sizes.I, int(is_training), x_ld or sizes.I, d_out_ld or sizes.H)
        return (ctypes.c_long * len(SIZES))(*numbers)

    def arena_numbers(self, numbers: Any) -> int:
        """Returns the length of the arena."""
        return int(self._arena_numbers(numbers))

    def row_length(self, hidden_size: int) -> int:
        """Returns the distance between rows in the arena: `hidden_size` filled up to whole vectors."""
        return int(self._row_length(hidden_size))

    def call(self, entries: Entries, numbers: Any) -> Any:
        """Returns a call table."""
        table = self._call_type()
        table[0] = self._runtime_address
        table[1] = ctypes.addressof(numbers)
        index = self._table.index
        for name, address in entries.items():
            table[index[name]] = address
        return table


class _Unroll(torch.autograd.Function):
    """The generated passes as one node of autograd's graph."""

    @staticmethod
    def forward(ctx: Any, engine: NativeEngine, names: tuple[str, ...], *tensors: Tensor) -> tuple[Tensor, ...]:
        """Runs the forward pass and keeps its arena."""
        output, after, ctx.lease = engine.run_forward(names, tensors, is_training=True)
        ctx.engine, ctx.names = engine, names
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        return (output, *after)

    @staticmethod
    def backward(ctx: Any, d_output: Tensor | None, *d_after: Tensor | None) -> tuple[Any, ...]:
        """Runs the backward pass on what the forward pass left in the arena."""
        engine: NativeEngine = ctx.engine
        tensors: tuple[Tensor, ...] = ctx.saved_tensors
        if torch.is_grad_enabled():
            return (None, None, *_differentiable_gradients(engine, ctx.names, tensors, (d_output, *d_after)))
        if ctx.lease is None:  # a second pass over a retained graph: the first one has used the arena up
            _, _, ctx.lease = engine.run_forward(ctx.names, tensors, is_training=True)
        lease, ctx.lease = ctx.lease, None
        num_states = len(engine.program.states)
        x, *others = (tensor.detach().contiguous() for tensor in tensors)
        sizes = Sizes(x.shape[0], x.shape[1], others[0].shape[1], x.shape[2])
        code = engine.code(x.dtype)
        given = [None if gradient is None else gradient.contiguous() for gradient in (d_output, *d_after)]
        wanted = ctx.needs_input_grad[2:]
        gradients = [
            torch.empty_like(tensor) if is_wanted else None
            for tensor, is_wanted in zip((x, *others), wanted, strict=True)
        ]
        entries = {"arena": lease.address, "x": x.data_ptr()}
        _enter(entries, "dx", gradients[0])
        _enter(entries, "d_out", given[0])
        for index in range(num_states):
            entries[f"before.{index}"] = others[index].data_ptr()
            _enter(entries, f"d_before.{index}", gradients[1 + index])
            _enter(entries, f"d_after.{index}", given[1 + index])
        for name, tensor, gradient in zip(ctx.names, others[num_states:], gradients[1 + num_states :], strict=True):
            entries[name] = tensor.data_ptr()
            _enter(entries, f"d_{name}", gradient)
        numbers = code.sizes(sizes, is_training=True)
        code.backward(code.call(entries, numbers))
        return (None, None, *gradients)


def _enter(entries: Entries, name: str, tensor: Tensor | None) -> None:
    if tensor is not None:
        entries[name] = tensor.data_ptr()


def _differentiable_gradients(
    engine: NativeEngine, names: tuple[str, ...], tensors: tuple[Tensor, ...], given: tuple[Tensor | None, ...]
) -> tuple[Tensor | None, ...]:
    """Returns gradients that can be derived again, by another engine's forward pass and autograd."""
    if engine.for_second_derivatives is None:
        raise EngineError(
            "engine native: it has no derivatives of derivatives (create_graph=True). Use engine=auto or interpreter."
        )
    num_states = len(engine.program.states)
    x, *others = tensors
    entries = dict(zip(names, others[num_states:], strict=True))
    parameters = {
        f"{name}.{kind}": entries[f"{kind}.{number}"]
        for name, number in engine.table.parameters.items()
        for kind in ("weight", "bias")
        if f"{kind}.{number}" in entries
    }
    output, after = engine.for_second_derivatives(x, tuple(others[:num_states]), parameters)
    pairs = [(value, gradient) for value, gradient in zip((output, *after), given, strict=True) if gradient is not None]
    wanted = [tensor for tensor in tensors if tensor.requires_grad]
    found = torch.autograd.grad(
        [value for value, _ in pairs],
        wanted,
        [gradient for _, gradient in pairs],
        create_graph=True,
        allow_unused=True,
    )
    gradients = iter(found)
    return tuple(next(gradients) if tensor.requires_grad else None for tensor in tensors)
