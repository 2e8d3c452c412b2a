"""T6: a node becomes a combination of what it and another node depend on."""

import random
from dataclasses import dataclass
from typing import ClassVar, final

from archsearch.graph.structure import Node, Structure
from archsearch.mutation.dataflow import ancestors, depends_on, with_node
from archsearch.mutation.draws import ElementwiseTransformation


@final
@dataclass(frozen=True, kw_only=True)
class CombineAncestors(ElementwiseTransformation):
    """Replaces a node by the sum, product or difference of an ancestor of its own and an ancestor of another node.

    The other node is any computed node, the current one included. Its ancestors may depend on the current node: one
    that does would close a cycle and is not drawn. `x` and the old states never do, so something always remains. The
    current node's own ancestor is the first operand, which counts for the difference.

    Source: Jozefowicz 2015, sec. 3.2; R18.
    """

    name: ClassVar[str] = "combine_ancestors"

    def applies(self, structure: Structure, node: str) -> bool:
        """Tells whether the node depends on anything."""
        return bool(structure.nodes[node].operands)

    def apply(self, structure: Structure, node: str, rng: random.Random) -> Structure:
        """Draws the other node, both ancestors and what combines them."""
        other = rng.choice(tuple(structure.nodes))
        first = rng.choice(ancestors(structure, node))
        second = rng.choice([value for value in ancestors(structure, other) if not depends_on(structure, value, node)])
        return with_node(structure, node, Node(rng.choice(self.primitives), (first, second)))
