"""Which products are computed by the kernel that reads them, at which time steps."""

from collections.abc import Iterable
from dataclasses import dataclass

from archsearch.compiler.vectorized.work import Kernel, Place, Product, Work


@dataclass(frozen=True, slots=True)
class Fused:
    """A kernel with the products of one time step before it.

    Attributes:
        products: In order; their results are loads of the kernel.
        product_steps: The time step of each.
        kernel: What reads them.
    """

    products: tuple[Product, ...]
    product_steps: tuple[int, ...]
    kernel: Kernel


Timed = tuple[Work | Fused, int]


def fuse(works: Iterable[tuple[Work, int]]) -> list[Timed]:
    """Joins each kernel on one time step with the products before it whose results it reads.

    A product waits for the kernel that reads it: there is one, as every value's gradient is summed in one place and
    every product finished in one. Products that no kernel reads come last.

    Args:
        works: With their time steps, in order. Of a backward pass, the products of one time step stand before the
            kernels of the step before it, which read their results one row later.
    """
    fused: list[Timed] = []
    waiting: list[tuple[Product, int]] = []
    for work, step in works:
        if isinstance(work, Product):
            waiting.append((work, step))
            continue
        loaded = {row_of(source, step) for source in work.loads if isinstance(source, Place)}
        read = [pair for pair in waiting if loaded.issuperset(results_of(*pair))]
        waiting = [pair for pair in waiting if pair not in read]
        if read:
            products, steps = zip(*read, strict=True)
            fused.append((Fused(products, steps, work), step))
        else:
            fused.append((work, step))
    return [*fused, *waiting]


def row_of(place: Place, step: int) -> tuple[str, int, int]:
    """Returns the buffer, the column and the row in which a value of a time step lies."""
    return place.buffer.name, place.column, place.offset + step


def results_of(product: Product, step: int) -> list[tuple[str, int, int]]:
    """Returns where the results of a product lie, see `row_of`."""
    buffer, column, row = row_of(product.result, step)
    count = 1 if product.is_backward else len(product.parameters)
    return [(buffer, column + place, row) for place in range(count)]
