"""Mutation without selection: the control that tells what evolution itself adds."""

import random
from collections.abc import Collection
from dataclasses import dataclass

from archsearch.errors import ConfigError
from archsearch.graph.cell_graph import CellGraph
from archsearch.mutation.mutate import Child, NoChildError
from archsearch.search.knowledge import Knowledge
from archsearch.search.strategy import Mutation, Strategy


@dataclass(frozen=True, kw_only=True)
class RandomMutation(Strategy):
    """Each candidate is the end of a random walk from a random founder: some mutations, one after the other.

    What is proposed depends on no result at all, but that a known cell is drawn again. Screen, gates, settings and
    list are those of the other strategies. The number of mutations is drawn evenly from 1 to `depth`, so that cells
    near the founders and cells as far away as an evolution of some generations gets are both met. Our choice: the
    paper has no such control.

    Attributes:
        depth: Mutations at the most.

    Raises:
        ConfigError: It is below 1.
    """

    depth: int = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.depth, int) or self.depth < 1:
            raise ConfigError(f"strategy.depth: expected a whole number of at least 1, got {self.depth!r}.")

    def draw_parent(
        self, knowledge: Knowledge, childless: Collection[str], rng: random.Random
    ) -> tuple[str, CellGraph] | None:
        """Returns a random founder."""
        founders = [pair for pair in knowledge.founder_graphs if pair[0] not in childless]
        return rng.choice(founders) if founders else None

    def draw_child(self, parent: CellGraph, mutation: Mutation, rng: random.Random) -> Child:
        """Returns where a walk of up to `depth` mutations ends; one that cannot go on ends where it is.

        Raises:
            NoChildError: It cannot take its first step.
        """
        child = mutation(parent, rng)
        for _ in range(rng.randint(1, self.depth) - 1):
            try:
                step = mutation(child.graph, rng)
            except NoChildError:
                break
            child = Child(step.graph, (*child.transformations, *step.transformations))
        return child
