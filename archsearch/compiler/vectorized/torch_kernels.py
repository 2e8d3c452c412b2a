"""Kernels by torch's operations: on any device, one operation after the other."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from archsearch.compiler.interpreter import LEAKY_SLOPE
from archsearch.compiler.vectorized.work import Kernel

MAX_FUNCTIONS = 1024
"""Kernels that are kept for cells to come, those used last; a long search meets new ones all the time."""

Run = Callable[[Sequence[Tensor], Sequence[Tensor]], None]


def _where_positive(result: Tensor, gradient: Tensor) -> Tensor:
    return torch.where(result <= 0, 0.0, gradient)  # as torch derives relu: not for NaN


def _leaky_where_positive(result: Tensor, gradient: Tensor) -> Tensor:
    return torch.where(result > 0, gradient, gradient * LEAKY_SLOPE)


FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "tanh_": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "leaky_relu": lambda value: torch.nn.functional.leaky_relu(value, LEAKY_SLOPE),
    "where_positive": _where_positive,
    "leaky_where_positive": _leaky_where_positive,
}


def torch_kernel(kernel: Kernel) -> Run:
    """Returns a function that runs a kernel on views: of what it loads, and of where it stores."""
    return _compile(len(kernel.loads), kernel.lines, tuple(name for _, name in kernel.stores))


@lru_cache(MAX_FUNCTIONS)
def _compile(num_loads: int, lines: tuple[str, ...], stored: tuple[str, ...]) -> Run:
    text = ["def run(loads, stores):"]
    if num_loads:
        text.append(f"    {', '.join(f'a{number}' for number in range(num_loads))}, = loads")
    text += [f"    {line}" for line in lines]
    text += [f"    put(stores[{number}], {name})" for number, name in enumerate(stored)]
    namespace: dict[str, object] = {**FUNCTIONS, "put": _put}
    exec("\n".join(text), namespace)  # noqa: S102 - of our own formulas; names of cells are no part of it
    run: Run = namespace["run"]  # type: ignore[assignment]
    return run


def _put(target: Tensor, value: Tensor | float) -> None:
    if isinstance(value, Tensor):
        target.copy_(value)
    else:
        target.fill_(value)
