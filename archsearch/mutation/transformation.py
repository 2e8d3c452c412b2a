"""What all transformations of a cell have in common."""

import abc
import math
import random
from dataclasses import dataclass
from typing import ClassVar

from archsearch.errors import ConfigError
from archsearch.graph.structure import Structure


@dataclass(frozen=True, kw_only=True)
class Transformation(abc.ABC):
    """One way to change a cell at one node.

    A subclass is final, a frozen dataclass, and keeps three promises: the structure it is given stays as it is, the
    one it returns is valid (no cycle, the same states, every node reached by a new state), and all chance comes from
    the generator.

    Attributes:
        name: As shown in the leaderboard's column `transformations`.
        weight: Chance of being drawn, relative to the other transformations applicable at a node; 0 switches it off.

    Raises:
        ConfigError: The weight is negative or not finite.
    """

    name: ClassVar[str]
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise ConfigError(
                f"transformation {self.name}: weight must be a finite number of at least 0, got {self.weight!r}. "
                "Use 0 to switch the transformation off."
            )

    @abc.abstractmethod
    def applies(self, structure: Structure, node: str) -> bool:
        """Tells whether `apply` can change the structure at a computed node."""

    @abc.abstractmethod
    def apply(self, structure: Structure, node: str, rng: random.Random) -> Structure:
        """Returns a changed structure without nodes that reach no new state. Call it where `applies` holds."""
