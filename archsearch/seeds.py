"""Seeds derived from names, never from a worker, a clock or an order of arrival."""

import hashlib
import json
import random

import numpy as np


def derive(*names: str | int) -> int:
    """Returns a seed of 63 bits that depends on the names alone.

    Equal names give equal seeds on every machine; `1` and `"1"` are different names.
    """
    text = json.dumps(names, separators=(",", ":"), ensure_ascii=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def scalar_generator(*names: str | int) -> random.Random:
    """Returns a generator for choices one at a time (mutation, search)."""
    return random.Random(derive(*names))


def array_generator(*names: str | int) -> np.random.Generator:
    """Returns a generator for whole arrays (weights, training data)."""
    return np.random.Generator(np.random.PCG64(derive(*names)))


def digest(*parts: str | int) -> str:
    """Returns 16 hexadecimal digits that identify the parts."""
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
