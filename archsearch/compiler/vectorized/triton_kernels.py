"""Kernels as Triton programs: each on a tile of rows and columns of one member.

A program may also compute the products that its kernel reads, in the same tile. What Triton compiles depends on the
text alone, so that cells which share a piece share its kernel.
"""

import linecache
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any

from torch import Tensor

from archsearch.compiler.vectorized.work import Kernel, Vector

# Rows and columns of a tile, and how far a product goes at once.
TILE_ROWS, TILE_COLUMNS, TILE_DEPTH = 32, 32, 32
WARPS = 4


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
        self.function[self.grid](*self.arguments, num_warps=WARPS)


def launch_of(
    kernel: Kernel,
    loads: Sequence[Tensor | None],
    stores: Sequence[Tensor],
    factors: Sequence[tuple[Factor, Tensor, Tensor]] = (),
    precision: str = "ieee",
) -> Callable[[], object]:
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


@cache
def _function(text: str) -> Any:
    import triton
    import triton.language as tl

    from archsearch.compiler.vectorized import triton_functions

    name = f"<archsearch kernel {sha256(text.encode()).hexdigest()[:16]}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)  # Triton reads the source
    namespace: dict[str, Any] = {**vars(triton_functions), "triton": triton, "tl": tl, "__name__": __name__}
    exec(compile(text, name, "exec"), namespace)  # noqa: S102 - of our own formulas; names of cells are no part of it
    return namespace["kernel"]


def _text(kernel: Kernel, factors: tuple[Factor, ...], precision: str) -> str:
    given = {number for factor in factors for number in factor.results}
    parameters: list[str] = []
    body: list[str] = [
        "member = tl.program_id(1).to(tl.int64)",
        f"num_tiles = tl.cdiv(H, {TILE_COLUMNS})",
        "row = (tl.program_id(0) // num_tiles) * ROWS + tl.arange(0, ROWS)[:, None]",
        f"column = (tl.program_id(0) % num_tiles) * {TILE_COLUMNS} + tl.arange(0, {TILE_COLUMNS})[None, :]",
        "inside = (row < num_rows) & (column < H)",
    ]
    for number, source in enumerate(kernel.loads):
        if number in given:
            continue
        if isinstance(source, Vector):
            parameters += [f"p{number}", f"s{number}"]
            body.append(f"a{number} = tl.load(p{number} + member * s{number} + column, mask=column < H, other=0.0)")
        else:
            parameters += [f"p{number}", f"s{number}", f"l{number}"]
            body.append(
                f"a{number} = tl.load(p{number} + member * s{number} + row * l{number} + column, mask=inside, other=0.0)"
            )
    targets: list[str] = []
    for number in range(len(kernel.stores)):
        parameters += [f"q{number}", f"t{number}", f"m{number}"]
        targets.append(f"q{number} + member * t{number} + row * m{number} + column")
    for number, factor in enumerate(factors):
        parameters += [f"x{number}", f"u{number}", f"v{number}", f"k{number}: tl.constexpr", f"w{number}", f"z{number}"]
        body += _product(number, factor, precision)
    parameters += ["num_rows", "H: tl.constexpr", "ROWS: tl.constexpr"]
    body += kernel.lines
    for (_, name), target in zip(kernel.stores, targets, strict=True):
        value = name if name.isidentifier() else f"tl.zeros([ROWS, {TILE_COLUMNS}], tl.float32)"
        body.append(f"tl.store({target}, {value}, mask=inside)")
    lines = ["@triton.jit", f"def kernel({', '.join(parameters)}):", *(f"    {line}" for line in body), ""]
    return "\n".join(lines)


def _product(number: int, factor: Factor, precision: str) -> list[str]:
    """Returns the lines of one product: the operand's tile comes once for all its matrices."""
    depth = f"k{number}"
    lines = [f"depth{number} = tl.arange(0, {TILE_DEPTH})"]
    if factor.begins:
        lines += [f"a{result} = tl.zeros([ROWS, {TILE_COLUMNS}], dtype=tl.float32)" for result in factor.results]
    lines += [
        f"for start in range(0, {depth}, {TILE_DEPTH}):",
        f"    at = start + depth{number}",
        f"    operand = tl.load(x{number} + member * u{number} + row * v{number} + at[None, :],"
        f" mask=(row < num_rows) & (at[None, :] < {depth}), other=0.0)",
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
