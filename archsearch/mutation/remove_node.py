"""T4: one node less."""

import random
from dataclasses import dataclass
from typing import ClassVar, final

from archsearch.graph.structure import Structure
from archsearch.mutation.dataflow import count_uses, with_users_moved
from archsearch.mutation.transformation import Transformation


@final
@dataclass(frozen=True, kw_only=True)
class RemoveNode(Transformation):
    """Removes a node that has one input and one output; its user takes its operand.

    Our reading: one operand, that is, an activation or `affine`; and one use, that is, one operand slot of one node or
    one new state. `t` in `t * t` has two uses and stays.

    Source: Jozefowicz 2015, sec. 3.2; R16.
    """

    name: ClassVar[str] = "remove_node"

    def applies(self, structure: Structure, node: str) -> bool:
        """Tells whether the node has one operand and one use."""
        return len(structure.nodes[node].operands) == 1 and count_uses(structure, node) == 1

    def apply(self, structure: Structure, node: str, rng: random.Random) -> Structure:  # noqa: ARG002 - nothing to draw
        """Moves the one user to the one operand."""
        return with_users_moved(structure, node, structure.nodes[node].operands[0])
