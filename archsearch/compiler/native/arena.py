"""Work memory that is used again: allocating it anew for every sequence costs more than small layers compute."""

import threading

import torch
from torch import Tensor

MAX_FREE = 4

_local = threading.local()


class Lease:
    """A piece of memory for as long as the lease lives.

    Args:
        num_numbers: At least so many numbers.
        dtype: Of what type.

    Attributes:
        memory: One-dimensional, not initialized, aligned for vectors.
        address: Where it begins.
    """

    __slots__ = ("_pool", "address", "memory")

    def __init__(self, num_numbers: int, dtype: torch.dtype) -> None:
        self._pool = _pool()
        self.memory = self._find(num_numbers * dtype.itemsize)
        self.address: int = self.memory.data_ptr()

    def _find(self, num_bytes: int) -> Tensor:
        """Takes the piece that fits and lay there the shortest time, which caches may still hold; or makes one.

        Other threads may drop their leases meanwhile, so that each piece is taken out before it is looked at.
        """
        unfit = []
        piece = None
        while piece is None:
            try:
                taken = self._pool.pop()
            except IndexError:
                piece = torch.empty(-(-num_bytes // 4096) * 4096, dtype=torch.uint8, device="cpu")
            else:
                if num_bytes <= taken.numel() <= 4 * num_bytes:
                    piece = taken
                else:
                    unfit.append(taken)
        if unfit:
            self._pool.extend(reversed(unfit))
        return piece

    def __del__(self) -> None:
        """Gives the memory back; of too many free pieces the one that lay there longest goes."""
        if hasattr(self, "memory"):
            self._pool.append(self.memory)
            if len(self._pool) > MAX_FREE:
                del self._pool[:-MAX_FREE]


def _pool() -> list[Tensor]:
    try:
        pool: list[Tensor] = _local.pool
    except AttributeError:
        pool = _local.pool = []
    return pool
