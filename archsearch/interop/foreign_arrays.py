"""The arrays of one foreign layer, picked out of a state dict that may hold more."""

import re
from collections.abc import Collection, Mapping

from numpy.typing import ArrayLike

from archsearch.errors import ConfigError


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
        ConfigError: Two arrays are given for one place, or none.
    """
    found: dict[str, tuple[str, ArrayLike]] = {}
    for key, array in arrays.items():
        match = pattern.fullmatch(key)
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
