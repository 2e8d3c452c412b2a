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
    """

    def __init__(self, num_numbers: int, dtype: torch.dtype) -> None:
        num_bytes = num_numbers * dtype.itemsize
        self._pool: list[Tensor] = _local.__dict__.setdefault("free", [])
        fitting = [piece for piece in self._pool if num_bytes <= piece.numel() <= 4 * num_bytes]
        piece = min(fitting, key=Tensor.numel) if fitting else None
        if piece is None or not self._remove(piece):
            piece = torch.empty(-(-num_bytes // 4096) * 4096, dtype=torch.uint8)
        self.memory = piece

    def _remove(self, piece: Tensor) -> bool:
        """Takes a piece out of the pool; False if it is not there any more.

        Another thread that drops its lease meanwhile shifts the pool, so that the piece may be missed.
        """
        for index, other in enumerate(self._pool):
            if other is piece:
                return self._pool.pop(index) is piece
        return False

    @property
    def address(self) -> int:
        """Where the memory begins."""
        return int(self.memory.data_ptr())

    def __del__(self) -> None:
        """Gives the memory back; of too many free pieces the one that lay there longest goes."""
        if hasattr(self, "memory"):
            self._pool.append(self.memory)
            del self._pool[:-MAX_FREE]
