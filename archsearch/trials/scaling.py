"""Numbers in standard deviations from a mean, as networks read them.

Shapes: `N` rows, `F` numbers in each.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ConfigError

MAX_DEVIATIONS = 1e6  # no measurement lies so far away; float32 cannot hold the squares of what lies beyond 1e19

Numbers = NDArray[np.float64]


def scaled(numbers: Numbers, means: Numbers, scales: Numbers, place: Callable[[int, int], str]) -> NDArray[np.float32]:
    """Returns numbers less their means, in standard deviations.

    Args:
        numbers: `[N, F]`, without missing ones.
        means: `[F]`, of the training part.
        scales: `[F]` standard deviations, likewise; 1 where all numbers are the same.
        place: Says where the number of a row and a column stands, for messages.

    Raises:
        ConfigError: A number lies too far away for a network to read it.
    """
    deviations = (numbers - means) / scales
    is_far = np.abs(deviations) > MAX_DEVIATIONS
    if is_far.any():
        row, column = (int(index) for index in np.argwhere(is_far)[0])
        raise ConfigError(
            f"{place(row, column)}: expected a number within {MAX_DEVIATIONS:,.0f} standard deviations of the training "
            f"part's mean, got {numbers[row, column]:g}. Is it a fill value for a missing one? Leave it out, or write "
            "what was measured."
        )
    return deviations.astype(np.float32)
