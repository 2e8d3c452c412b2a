"""The paper's strategy: random cells of the list are mutated or looked at again.

Source: Jozefowicz 2015, sec. 3.1; R4, R5.
"""

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from archsearch.graph.cell_graph import CellGraph
from archsearch.search.knowledge import Knowledge
from archsearch.search.strategy import Strategy


@dataclass(frozen=True, kw_only=True)
class Jozefowicz2015(Strategy):
    """A step either gives a random cell of the list fresh settings (R4) or mutates one (R5)."""

    reevaluates: ClassVar[bool] = True

    def draw_reevaluated(
        self, listed: Callable[[], Sequence[str]], probability: float, rng: random.Random
    ) -> str | None:
        """Draws among the cells that may be re-evaluated, with the plan's probability (R4)."""
        if rng.random() >= probability:
            return None
        candidates = listed()
        return rng.choice(candidates) if candidates else None

    def draw_parent(
        self, knowledge: Knowledge, childless: Collection[str], rng: random.Random
    ) -> tuple[str, CellGraph] | None:
        """Draws any cell of the list, each as likely as the others (R5)."""
        parents = [digest for _, digest in knowledge.listed if digest not in childless]
        if not parents:
            return None
        parent = rng.choice(parents)
        return parent, knowledge.graphs[parent]
