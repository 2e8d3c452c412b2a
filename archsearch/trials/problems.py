"""Generated problems, and the split that each belongs to."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from archsearch.errors import ConfigError

Split = Literal["training", "validation", "test"]

MAX_MISSES = 20_000  # at 1 problem in 10, so many draws miss a split by chance once in 10^915


@dataclass(frozen=True, slots=True)
class Problem:
    """A generated piece of data, such as one sum or one document. All sequences have its length.

    Attributes:
        symbols: Numbers of the symbols.
        scored: 1 where predicting the symbol counts, else 0.
        guesses: For each symbol what the generator itself, knowing all before it, would have guessed.
        identity: What is hashed to tell the split; equal problems have equal identities.
    """

    symbols: Sequence[int]
    scored: Sequence[int]
    guesses: Sequence[int]
    identity: bytes


class HasIdentity(Protocol):
    """A piece of data that belongs to one split."""

    @property
    def identity(self) -> bytes:
        """What is hashed to tell the split; equal pieces have equal identities."""


P = TypeVar("P", bound=HasIdentity)


def split_of(identity: bytes) -> Split:
    """Returns the only split that a problem may appear in: 8 of 10 are for training, 1 each is held out."""
    tenth = int.from_bytes(hashlib.blake2b(identity, digest_size=4).digest(), "big") % 10
    if tenth < 8:
        return "training"
    return "validation" if tenth == 8 else "test"


def of_split(problems: Iterator[P], split: Split, task: str) -> Iterator[P]:
    """Passes on the problems that belong to a split.

    Raises:
        ConfigError: The task has so few different problems that none belongs to the split.
    """
    misses = 0
    for problem in problems:
        if split_of(problem.identity) == split:
            misses = 0
            yield problem
            continue
        misses += 1
        if misses > MAX_MISSES:
            raise ConfigError(
                f"task {task}: expected enough different problems for three disjoint splits, "
                f"got none for {split} in {MAX_MISSES:,} draws. Make the task harder."
            )
