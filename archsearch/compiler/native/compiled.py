"""The compiled functions of a cell, and how the tensors of a layer are handed to them."""

import ctypes
from collections.abc import Sequence
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

PROJECTION = f"{INPUT_PROJECTION}.weight"


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
            "since Cooper Lake) that the compiler knows, which is not what is here. Leave it out."
        ) from None


# Sizes of calls that a program's functions have met are kept; beyond so many they are worked out anew.
MAX_SHAPES = 256


@dataclass(frozen=True, slots=True)
class Shape:
    """What calls of one shape have in common.

    Attributes:
        numbers: The sizes that the functions take.
        arena_numbers: The length of the arena.
        weights: The shapes of the weights, in the order of `Places.keys`.
        table: A call table with the addresses of the runtime and of `numbers`, and nothing else.
    """

    numbers: Any
    arena_numbers: int
    weights: list[tuple[int, ...]]
    table: Any


class Code:
    """The compiled functions of one program for one type of number."""

    def __init__(self, program: CellProgram, table: CallTable, real: str, with_after: bool, precision: str) -> None:
        self._table = table
        self.with_after = with_after
        self._runtime_address = runtime_address(real, precision)
        self._library = build(cell_source(program, with_after), real)
        functions = self._library.functions
        self._arena_numbers = functions.arena_numbers
        self._arena_numbers.restype = ctypes.c_long
        self._row_length = functions.row_length
        self._row_length.restype, self._row_length.argtypes = ctypes.c_long, [ctypes.c_long]
        self.forward = functions.forward
        self.backward = functions.backward
        self.forward.restype = self.backward.restype = None
        self._call_type = ctypes.c_void_p * len(table.entries)
        self._shapes: dict[tuple[int, ...], Shape] = {}

    def shape(self, *sizes: int) -> Shape:
        """Returns what calls of one shape have in common.

        Args:
            sizes: As `SIZES` lists them.
        """
        found = self._shapes.get(sizes)
        if found is None:
            numbers = (ctypes.c_long * len(SIZES))(*sizes)
            table = self._call_type(self._runtime_address, ctypes.addressof(numbers))
            named = dict(zip(SIZES, sizes, strict=True))
            weights = self._table.weight_shapes(named["I"], named["H"])
            found = Shape(numbers, int(self._arena_numbers(numbers)), weights, table)
            if len(self._shapes) < MAX_SHAPES:
                self._shapes[sizes] = found
        return found

    def row_length(self, hidden_size: int) -> int:
        """Returns the distance between rows in the arena: `hidden_size` filled up to whole vectors."""
        return int(self._row_length(hidden_size))

    def call(self, shape: Shape, lease: Lease) -> Any:
        """Returns a call table with nothing but what every call needs; the shape must live as long as the table."""
        table = self._call_type.from_buffer_copy(shape.table)
        table[2] = lease.address
        return table


@dataclass(frozen=True)
class Places:
    """Where the tensors of a layer stand in the call table, in the order `x`, states, weights.

    Attributes:
        keys: Of the weights among a layer's parameters.
        inputs: Of `x`, the states before the first step and the weights.
        gradients: Of their gradients.
        forward: Of the inputs, then the output and the states after the last step.
        backward: Of the inputs, then the gradients of the output and of those states, then those of the inputs.
    """

    keys: tuple[str, ...]
    inputs: tuple[int, ...]
    gradients: tuple[int, ...]
    forward: tuple[int, ...]
    backward: tuple[int, ...]

    @classmethod
    def of(cls, table: CallTable, has_projection: bool) -> "Places":
        """Returns the places in a table."""
        weights = {}
        for spec in table.program.parameters:
            number = table.parameters[spec.name]
            weights[f"{spec.name}.weight"] = f"weight.{number}"
            if spec.bias:
                weights[f"{spec.name}.bias"] = f"bias.{number}"
        if has_projection:
            weights[PROJECTION] = "weight.projection"
        states = range(len(table.program.states))
        inputs = ("x", *(f"before.{number}" for number in states), *weights.values())
        outputs = ("out", *(f"after.{number}" for number in states))
        gradients = ("dx", *(f"d_before.{number}" for number in states), *(f"d_{name}" for name in weights.values()))
        d_outputs = ("d_out", *(f"d_after.{number}" for number in states))

        def places(*names: str) -> tuple[int, ...]:
            return tuple([table.index[name] for name in names])

        return cls(
            keys=tuple(weights),
            inputs=places(*inputs),
            gradients=places(*gradients),
            forward=places(*inputs, *outputs),
            backward=places(*inputs, *d_outputs, *gradients),
        )


@dataclass(slots=True)  # not frozen, which makes it slow to build
class Tape:
    """What a forward pass leaves for one backward pass of the same code.

    Attributes:
        code: The functions.
        shape: Of the call.
        lease: The arena.
        call: The table of the forward pass.
    """

    code: Code
    shape: Shape
    lease: Lease
    call: Any


def point(call: Any, places: Sequence[int], tensors: Sequence[Tensor | None]) -> list[Tensor]:
    """Writes the addresses of tensors into a call table, where there are any.

    Returns:
        Copies of the tensors that are not contiguous, to be held until the call is over.
    """
    copies = []
    for number, tensor in enumerate(tensors):
        if tensor is not None:
            if not tensor.is_contiguous():
                tensor = tensor.contiguous()
                copies.append(tensor)
            call[places[number]] = tensor.data_ptr()
    return copies
