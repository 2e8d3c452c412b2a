"""T2: another elementwise primitive."""

import random
from dataclasses import dataclass
from typing import ClassVar, final

from archsearch.graph.primitives import PRIMITIVES
from archsearch.graph.structure import Node, Structure
from archsearch.mutation.dataflow import with_node
from archsearch.mutation.draws import ElementwiseTransformation


@final
@dataclass(frozen=True, kw_only=True)
class SwapElementwise(ElementwiseTransformation):
    """Replaces an elementwise node by a different one of the same operands.

    The operands of a sum or product have no order, so a difference in its place draws one.

    Source: Jozefowicz 2015, sec. 3.2; R14.
    """

    name: ClassVar[str] = "swap_elementwise"

    def applies(self, structure: Structure, node: str) -> bool:
        """Tells whether the node is elementwise and a different primitive can be drawn."""
        old = structure.nodes[node].primitive
        return PRIMITIVES[old].kind == "elementwise" and bool(self._different(old))

    def apply(self, structure: Structure, node: str, rng: random.Random) -> Structure:
        """Draws a different primitive."""
        old = structure.nodes[node]
        primitive = rng.choice(self._different(old.primitive))
        operands = old.operands
        if PRIMITIVES[old.primitive].commutative and not PRIMITIVES[primitive].commutative and rng.random() < 0.5:
            operands = operands[::-1]
        return with_node(structure, node, Node(primitive, operands))

    def _different(self, old: str) -> tuple[str, ...]:
        return tuple(primitive for primitive in self.primitives if primitive != old)
