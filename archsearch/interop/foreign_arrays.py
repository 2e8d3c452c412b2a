"""The arrays of one foreign layer, picked out of a state dict that may hold more."""

import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archsearch.errors import ConfigError, ShapeError


def pick_arrays(
    where: str, arrays: Mapping[str, ArrayLike], pattern: re.Pattern[str], places: Collection[str]
) -> dict[str, tuple[str, ArrayLike]]:
    """Returns for each place in a cell the key and the array that are given for it.

    Args:
        where: Who asks, for messages.
        arrays: By keys that may have anything before a place. Those of no place are passed over.
        pattern: Matches a whole key; its group `place` is what the key means.
        places: Where the cell needs an array, by the names that the foreign cell itself has for them.

    Raises:
        ConfigError: Two arrays are given for one place, or none; or no arrays by key.
    """
    if not hasattr(arrays, "items"):
        raise ConfigError(f"{where}: expected arrays by key, such as a state dict, got {type(arrays).__name__}.")
    found: dict[str, tuple[str, ArrayLike]] = {}
    for key, array in arrays.items():
        match = pattern.fullmatch(key) if isinstance(key, str) else None
        place = match["place"] if match else ""
        if place not in places:
            continue
        if place in found:
            both = f"expected one array for {place!a}, got two, {found[place][0]!a} and {key!a}"
            raise ConfigError(f"{where}: {both}. Give the arrays of one layer.")
        found[place] = key, array
    missing = [ascii(place) for place in places if place not in found]
    if missing:
        got = ", ".join(map(ascii, list(arrays)[:5])) + (", …" if len(arrays) > 5 else "")
        expected = f"expected an array for each matrix and bias of the cell, got none for {', '.join(missing)}"
        raise ConfigError(f"{where}: {expected}. Give all arrays of one layer; the keys begin {got or 'with none'}.")
    return found


def array_of_numbers(where: str, array: Any) -> NDArray[np.generic]:
    """Returns foreign numbers as numpy has them.

    A tensor of torch may need gradients, be on a GPU or have a type that numpy lacks, such as bfloat16, which becomes
    float32. It is known by its methods, as torch is not imported here.

    Args:
        where: Who asks, and for what key, for messages.
        array: An array, a tensor, or lists of numbers.

    Raises:
        ShapeError: It cannot be read, or has something else than numbers.
    """
    try:
        found = array.detach().cpu() if hasattr(array, "detach") else array
        try:
            numbers = np.asarray(found)
        except TypeError:
            if not hasattr(found, "float"):
                raise
            numbers = np.asarray(found.float())
    except Exception as error:  # whatever a foreign object raises
        got = f"{type(array).__name__} that cannot be read ({type(error).__name__}: {str(error)[:80]})"
        raise ShapeError(f"{where}: expected an array of numbers, got {got}. Give a numpy array.") from error
    if numbers.dtype.kind not in "fiu":
        raise ShapeError(f"{where}: expected an array of real numbers, got {numbers.dtype}. Is it another array?")
    return numbers
