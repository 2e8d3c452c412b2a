"""T5: a node gives way to one that it depends on."""

import random
from dataclasses import dataclass
from typing import ClassVar, final

from archsearch.graph.structure import Structure
from archsearch.mutation.dataflow import ancestors, with_users_moved
from archsearch.mutation.transformation import Transformation


@final
@dataclass(frozen=True, kw_only=True)
class ReplaceByAncestor(Transformation):
    """Replaces a node by one of its ancestors: its users read the ancestor instead.

    Ancestors are all values that the node depends on, `x` and old states included, each as likely as the others. The
    graph shrinks.

    Source: Jozefowicz 2015, sec. 3.2; R17.
    """

    name: ClassVar[str] = "replace_by_ancestor"

    def applies(self, structure: Structure, node: str) -> bool:
        """Tells whether the node depends on anything."""
        return bool(structure.nodes[node].operands)

    def apply(self, structure: Structure, node: str, rng: random.Random) -> Structure:
        """Draws the ancestor."""
        return with_users_moved(structure, node, rng.choice(ancestors(structure, node)))
