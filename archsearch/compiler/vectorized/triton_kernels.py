"""Kernels as Triton programs: each on a tile of rows and columns of one member.

A program may also compute the products that its kernel reads, in the same tile. What Triton compiles depends on the
text alone, so that cells which share a piece share its kernel.
"""

import importlib
import linecache
import os
import re
import weakref
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from itertools import count
from typing import Any

import torch
from torch import Tensor

from archsearch.compiler.interpreter import LEAKY_SLOPE
from archsearch.compiler.vectorized.work import Kernel, Vector

# Rows and columns of a tile, and how far a product goes at once: measured on an H200 with 20 members of 192 units.
TILE_ROWS, TILE_COLUMNS, TILE_DEPTH = 32, 16, 32
NUM_WARPS = 2

MAX_COMPILERS = 8

MAX_FUNCTIONS = 1024
"""Kernels that are kept for cells to come, those used last; a long search meets new ones all the time."""

_numbers = count()

# What formulas call. Not for NaN is `relu` zero, as torch has it.
_FUNCTIONS = {
    "tanh_": ("value", "libdevice.tanh(value)"),
    "sigmoid": ("value", "1 / (1 + tl.exp(-value))"),
    "relu": ("value", "tl.where(value <= 0, 0.0, value)"),
    "leaky_relu": ("value", f"tl.where(value > 0, value, value * {LEAKY_SLOPE})"),
    "where_positive": ("result, gradient", "tl.where(result <= 0, 0.0, gradient)"),
    "leaky_where_positive": ("result, gradient", f"tl.where(result > 0, gradient, gradient * {LEAKY_SLOPE})"),
}
# Triton's interpreter lacks the device's library of functions; of small numbers this has fewer digits.
_INTERPRETED_TANH = "tl.where(value < 0, -1.0, 1.0) * (2 / (1 + tl.exp(-2 * tl.abs(value))) - 1)"


@dataclass(frozen=True, slots=True)
class Factor:
    """A product within a kernel.

    Attributes:
        results: For each member matrix the number of the load that is its result; of a backward product one.
        is_backward: See `Product`.
        begins: Whether the sums begin at zero, rather than with what an earlier product of this kernel gave.
    """

    results: tuple[int, ...]
    is_backward: bool
    begins: bool


@dataclass(frozen=True, slots=True)
class Launch:
    """One kernel with the memory it works on.

    Attributes:
        function: What Triton compiled.
        grid: How many programs.
        arguments: Addresses, strides and sizes.
    """

    function: Any
    grid: tuple[int, int]
    arguments: tuple[Any, ...]

    def __call__(self) -> None:
        """Starts the programs on the current stream."""
        self.function[self.grid](*self.arguments, num_warps=NUM_WARPS)

    def compile(self) -> None:
        """Compiles the kernel for arguments like these, without starting it."""
        self.function.warmup(*self.arguments, grid=self.grid, num_warps=NUM_WARPS)


@cache
def _has_triton() -> bool:
    try:
        importlib.import_module("triton")
    except ImportError:
        return False
    return True


def _is_interpreted() -> bool:
    return os.environ.get("TRITON_INTERPRET") == "1"


def fastest_kernels(device: torch.device) -> str:
    """Returns the fastest kind of kernels on a device: `triton`, or `torch` on CPUs and where Triton is missing.

    Triton's interpreter, which its variable `TRITON_INTERPRET=1` switches on, runs on CPUs too, for tests.
    """
    can_run = device.type == "cuda" or _is_interpreted()
    return "triton" if can_run and _has_triton() else "torch"


def compile_together(launches: Iterable[Launch]) -> None:
    """Compiles the kernels of launches at once, each for the first of the arguments that it has."""
    first = {launch.function: launch for launch in reversed(list(launches))}
    if len(first) > 1 and not _is_interpreted():
        device, num_threads = torch.cuda.current_device(), min(MAX_COMPILERS, len(first))
        with ThreadPoolExecutor(num_threads, initializer=torch.cuda.set_device, initargs=(device,)) as pool:
            list(pool.map(Launch.compile, first.values()))


def launch_of(
    kernel: Kernel,
    loads: Sequence[Tensor | None],
    stores: Sequence[Tensor],
    factors: Sequence[tuple[Factor, Tensor, Tensor]] = (),
    precision: str = "ieee",
) -> Launch:
    """Prepares a kernel.

    Args:
        kernel: What to compute.
        loads: `[P, rows, H]` tensors, or `[P, H]` of vectors, one per load; None where a product gives it.
        stores: `[P, rows, H]`, one per store.
        factors: Products, each with its `[P, rows, width]` operand and its `[P, members * H, width]` matrices.
        precision: Of the products: `ieee`, `tf32x3` or `tf32`.
    """
    num_members, num_rows, num_columns = stores[0].shape
    text = _text(kernel, tuple(factor for factor, _, _ in factors), precision)
    arguments: list[Any] = []
    for source, tensor in zip(kernel.loads, loads, strict=True):
        if tensor is not None:
            arguments += [tensor, tensor.stride(0), *([] if isinstance(source, Vector) else [tensor.stride(1)])]
    for tensor in stores:
        arguments += [tensor, tensor.stride(0), tensor.stride(1)]
    for _, operand, matrices in factors:
        arguments += [operand, operand.stride(0), operand.stride(1), operand.shape[2], matrices, matrices.stride(0)]
    rows = 16 if num_rows <= 16 else TILE_ROWS
    arguments += [num_rows, num_columns, rows]
    tiles = -(-num_rows // rows) * -(-num_columns // TILE_COLUMNS)
    return Launch(_function(text), (tiles, num_members), tuple(arguments))


@lru_cache(MAX_FUNCTIONS)
def _function(text: str) -> Any:
    # counted: one dropped but still in use, and made again, must not take the other's source with it
    name = f"<archsearch kernel {next(_numbers)}, {sha256(text.encode()).hexdigest()[:16]}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)  # Triton reads the source
    modules = {"triton": "triton", "tl": "triton.language", "libdevice": "triton.language.extra.libdevice"}
    namespace: dict[str, Any] = {short: importlib.import_module(module) for short, module in modules.items()}
    namespace["__name__"] = __name__
    exec(compile(text, name, "exec"), namespace)  # noqa: S102 - of our own formulas; names of cells are no part of it
    weakref.finalize(namespace["kernel"], linecache.cache.pop, name, None)
    return namespace["kernel"]


def _text(kernel: Kernel, factors: tuple[Factor, ...], precision: str) -> str:
    given = {number for factor in factors for number in factor.results}
    parameters: list[str] = []
    body: list[str] = [
        "member = tl.program_id(1).to(tl.int64)",
        f"num_tiles = tl.cdiv(H, {TILE_COLUMNS})",
        "first = (tl.program_id(0) // num_tiles).to(tl.int64) * ROWS",  # beyond 32 bits once times a stride
        "row = tl.arange(0, ROWS)[:, None]",
        "given = first + row < num_rows",
        f"column = (tl.program_id(0) % num_tiles) * {TILE_COLUMNS} + tl.arange(0, {TILE_COLUMNS})[None, :]",
        "inside = given & (column < H)",
    ]
    for number, source in enumerate(kernel.loads):
        if number in given:
            continue
        if isinstance(source, Vector):
            parameters += [f"p{number}", f"s{number}"]
            body.append(f"a{number} = tl.load(p{number} + member * s{number} + column, mask=column < H, other=0.0)")
        else:
            parameters += [f"p{number}", f"s{number}", f"l{number}"]
            address = f"p{number} + member * s{number} + first * l{number} + row * l{number} + column"
            body.append(f"a{number} = tl.load({address}, mask=inside, other=0.0)")
    targets: list[str] = []
    for number in range(len(kernel.stores)):
        parameters += [f"q{number}", f"t{number}", f"m{number}"]
        targets.append(f"q{number} + member * t{number} + first * m{number} + row * m{number} + column")
    depth_kind = ": tl.constexpr" if _is_interpreted() else ""  # there loops do not go as far as an argument says
    for number, factor in enumerate(factors):
        depth = f"k{number}{depth_kind}"
        parameters += [f"x{number}", f"u{number}", f"v{number}", depth, f"w{number}", f"z{number}"]
        body += _product(number, factor, precision)
    parameters += ["num_rows", "H", "ROWS: tl.constexpr"]
    body += kernel.lines
    for (_, name), target in zip(kernel.stores, targets, strict=True):
        value = name if name.isidentifier() else f"tl.zeros([ROWS, {TILE_COLUMNS}], tl.float32)"
        body.append(f"tl.store({target}, {value}, mask=inside)")
    lines = [*_functions_for(kernel), *_definition("kernel", ", ".join(parameters), body)]
    return "\n".join(lines) + "\n"


def _functions_for(kernel: Kernel) -> list[str]:
    """Returns the functions that a kernel's lines call."""
    called = set(re.findall(r"\w+(?=\()", " ".join(kernel.lines)))
    lines: list[str] = []
    for name in sorted(called & _FUNCTIONS.keys()):
        parameters, result = _FUNCTIONS[name]
        if name == "tanh_" and _is_interpreted():
            result = _INTERPRETED_TANH
        lines += _definition(name, parameters, [f"return {result}"])
    return lines


def _definition(name: str, parameters: str, body: Sequence[str]) -> list[str]:
    return ["@triton.jit", f"def {name}({parameters}):", *(f"    {line}" for line in body), "", ""]


def _product(number: int, factor: Factor, precision: str) -> list[str]:
    """Returns the lines of one product: the operand's tile comes once for all its matrices."""
    depth = f"k{number}"
    lines = [f"depth{number} = tl.arange(0, {TILE_DEPTH})"]
    if factor.begins:
        lines += [f"a{result} = tl.zeros([ROWS, {TILE_COLUMNS}], dtype=tl.float32)" for result in factor.results]
    lines += [
        f"for start in range(0, {depth}, {TILE_DEPTH}):",
        f"    at = start + depth{number}",
        f"    rows = x{number} + member * u{number} + first * v{number} + row * v{number}",
        f"    operand = tl.load(rows + at[None, :], mask=given & (at[None, :] < {depth}), other=0.0)",
    ]
    for place, result in enumerate(factor.results):
        if factor.is_backward:  # gradients of all members, side by side, times the matrices below one another
            address = f"w{number} + member * z{number} + at[:, None] * H + column"
        else:
            address = f"w{number} + member * z{number} + ({place} * H + column) * {depth} + at[:, None]"
        lines += [
            f"    matrix = tl.load({address}, mask=(at[:, None] < {depth}) & (column < H), other=0.0)",
            f'    a{result} = tl.dot(operand, matrix, a{result}, input_precision="{precision}")',
        ]
    return lines
