"""T3: one activation more."""

import random
from dataclasses import dataclass, replace
from typing import ClassVar, final

from archsearch.graph.structure import Structure
from archsearch.mutation.dataflow import unused_name, with_node
from archsearch.mutation.draws import ActivationTransformation


@final
@dataclass(frozen=True, kw_only=True)
class InsertActivation(ActivationTransformation):
    """Puts a random activation between a node and one of its operands.

    `u -> v` becomes `u -> a -> v`, in one operand slot of `v` drawn at random; other users of `u`, and the other slot
    of `u * u`, still read `u`. Depth grows by at most one; a `linear` adds a matrix, with a bias that starts at 0.

    Source: Jozefowicz 2015, sec. 3.2; R15.
    """

    name: ClassVar[str] = "insert_activation"

    def applies(self, structure: Structure, node: str) -> bool:
        """Tells whether the node has an operand."""
        return bool(structure.nodes[node].operands)

    def apply(self, structure: Structure, node: str, rng: random.Random) -> Structure:
        """Draws a slot and the activation to stand there."""
        old = structure.nodes[node]
        slot = rng.randrange(len(old.operands))
        inserted = rng.choice(self.choices(old.operands[slot]))
        name = unused_name(structure, inserted.primitive)
        operands = (*old.operands[:slot], name, *old.operands[slot + 1 :])
        with_inserted = replace(structure, nodes={**structure.nodes, name: inserted})
        return with_node(with_inserted, node, replace(old, operands=operands))
