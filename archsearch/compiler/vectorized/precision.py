"""How precisely a GPU multiplies matrices of float32 numbers.

`full`: as float32 does; within kernels in three products of TF32 numbers, whose sum has float32's precision.
`tf32`: factors rounded to 10 bits after the point. `bfloat16`: in the products of all time steps at once and in the
gradients of the weights, factors rounded to 7 bits; the products of single time steps are `full`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

IN_KERNELS = {"full": "tf32x3", "tf32": "tf32", "bfloat16": "tf32x3"}


@contextmanager
def products_in(precision: str) -> Iterator[None]:
    """Lets torch multiply so; to be used around launches, and around the capture of a CUDA graph."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


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
