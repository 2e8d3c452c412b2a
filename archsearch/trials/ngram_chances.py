"""What an n-gram of a text says of the symbol that comes next."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class NgramChances:
    """The n-grams of a text, counted when they are asked for: a sample wants but a few of them.

    They are mixed as in `ngram_nll`: what followed a context `c` times, `d` different symbols, gives its own counts the
    share c / (c + d), the shorter context the rest.

    Source: Witten & Bell 1991, The zero-frequency problem; doi.org/10.1109/18.87000.

    Attributes:
        text: `[N]` numbers of its symbols.
        num_symbols: `S`, the vocabulary.
        max_order: The largest n.
    """

    text: NDArray[np.integer]
    num_symbols: int
    max_order: int

    def after(self, read: Sequence[int]) -> NDArray[np.float64]:
        """Returns the `[S]` chances of each symbol after those read."""
        chances = np.full(self.num_symbols, 1 / self.num_symbols)
        followers = np.arange(1, len(self.text))  # places in the text of what came after the context
        for length in range(self.max_order):
            if length:
                if length > len(read):
                    break
                followers = followers[followers >= length]
                followers = followers[self.text[followers - length] == read[-length]]
            if not followers.size:
                break
            counts = np.bincount(self.text[followers], minlength=self.num_symbols)
            num_different = np.count_nonzero(counts)
            chances = (counts + num_different * chances) / (followers.size + num_different)
        return chances
