"""Limits that keep one monster mutant from eating a search."""

from dataclasses import dataclass, fields

from archsearch.errors import ConfigError
from archsearch.graph.cost import count_multiply_adds, count_parameters
from archsearch.graph.structure import Structure

REFERENCE_SIZE = 128


@dataclass(frozen=True)
class Bounds:
    """The largest cell that a search may propose.

    For scale, at the reference size: the GRU has about 99 thousand parameters and as many multiply-adds, the LSTM 132
    thousand. Transformations keep the number of states, so it needs no bound.

    Attributes:
        max_nodes: Computed nodes of the canonical graph.
        max_parameters: Weights of one layer with 128 input features and 128 hidden units.
        max_multiply_adds: Operations of that layer for one time step of one sequence.

    Raises:
        ConfigError: A bound is below 1.
    """

    max_nodes: int
    max_parameters: int
    max_multiply_adds: int

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise ConfigError(
                    f"bounds: {field.name} must be at least 1, got {getattr(self, field.name)}. "
                    "Set it well above the founders' own."
                )

    def violation(self, structure: Structure) -> str | None:
        """Returns which bound a canonical structure breaks and by how much, None if it keeps all of them."""
        sizes = (
            ("nodes", len(structure.nodes), self.max_nodes),
            ("parameters", count_parameters(structure, REFERENCE_SIZE, REFERENCE_SIZE), self.max_parameters),
            ("multiply-adds", count_multiply_adds(structure, REFERENCE_SIZE, REFERENCE_SIZE), self.max_multiply_adds),
        )
        for subject, size, bound in sizes:
            if size > bound:
                return f"{size} {subject}, at most {bound} are allowed"
        return None
