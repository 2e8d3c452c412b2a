"""How precisely a GPU multiplies matrices of float32 numbers.

`full`: as float32 does; within kernels in three products of TF32 numbers, whose sum has float32's precision.
`tf32`: factors rounded to 10 bits after the point. `bfloat16`: in the products of all time steps at once and in the
gradients of the weights, factors rounded to 7 bits; the products of single time steps are `full`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

IN_KERNELS = {"full": "tf32x3", "tf32": "tf32", "bfloat16": "tf32x3"}


@contextmanager
def products_in(precision: str) -> Iterator[None]:
    """Lets torch multiply so; to be used around launches, and around the capture of a CUDA graph."""
    before, wanted, put = _setting(precision)
    if before != wanted:
        put(wanted)
    try:
        yield
    finally:
        if before != wanted:
            put(before)


def _setting(precision: str) -> tuple[str, str, Callable[[str], None]]:
    """Returns what is set, what is wanted and what sets it.

    Torch has an older and a newer way and refuses to answer in the older one what was set in the newer one (torch 2.9).
    Either is kept to where it was used: torch also refuses, in its profiler, where the two contradict each other.
    """
    is_tf32 = precision == "tf32"
    try:
        before = torch.get_float32_matmul_precision()
    except RuntimeError:
        matmul = torch.backends.cuda.matmul
        return matmul.fp32_precision, "tf32" if is_tf32 else "ieee", partial(setattr, matmul, "fp32_precision")
    return before, "high" if is_tf32 else "highest", torch.set_float32_matmul_precision


def multiplication(
    result: Tensor, first: Tensor, second: Tensor, *, accumulates: bool, precision: str
) -> Callable[[], object]:
    """Returns what multiplies `[P, N, K]` with `[P, K, M]` into `[P, N, M]`.

    Args:
        result: Where the products go.
        first: See there.
        second: See there.
        accumulates: Whether they are added to what is there.
        precision: See the module.
    """
    if precision == "bfloat16" and result.dtype == torch.float32:
        put = result.add_ if accumulates else result.copy_

        def multiply_rounded() -> None:
            put(torch.bmm(first.bfloat16(), second.bfloat16(), out_dtype=torch.float32))

        return multiply_rounded
    if accumulates:
        return lambda: torch.baddbmm(result, first, second, out=result)
    return lambda: torch.bmm(first, second, out=result)
