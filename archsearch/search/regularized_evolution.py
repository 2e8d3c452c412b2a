"""Regularized evolution: the winner of a small tournament is mutated, and the oldest dies, however good.

Source: Real, Aggarwal, Huang & Le 2019, Regularized Evolution for Image Classifier Architecture Search, Algorithm 1;
arxiv.org/abs/1802.01548.
"""

import random
from collections.abc import Collection
from dataclasses import dataclass

from archsearch.errors import ConfigError
from archsearch.graph.cell_graph import CellGraph
from archsearch.search.knowledge import Knowledge
from archsearch.search.strategy import Strategy


@dataclass(frozen=True, kw_only=True)
class RegularizedEvolution(Strategy):
    """Every step proposes; the leaderboard is kept beside the population and does not steer.

    Ours, where the source has no such thing: the population begins with the founders and grows by the cells that pass
    every gate; a cell that falls does not enter it, and none dies for it. No cell is re-evaluated.

    Attributes:
        population: Cells alive; beyond it the oldest is removed.
        sample: Cells drawn for a tournament, with replacement as in the source.

    Raises:
        ConfigError: A number is below 1.
    """

    population: int = 100
    sample: int = 25

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("population", "sample"):
            value = getattr(self, field)
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"strategy.{field}: expected a whole number of at least 1, got {value!r}.")

    @property
    def population_size(self) -> int:
        """Cells alive."""
        return self.population

    def draw_parent(
        self, knowledge: Knowledge, childless: Collection[str], rng: random.Random
    ) -> tuple[str, CellGraph] | None:
        """Returns the best of a random sample of the population, ties by digest."""
        alive = [member for member in knowledge.population if member[0] not in childless]
        if not alive:
            return None
        drawn = rng.choices(alive, k=self.sample)
        return min(drawn, key=lambda member: (-knowledge.standing(knowledge.cells[member[0]]), member[0]))
