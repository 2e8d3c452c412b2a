"""T1: another activation."""

import random
from dataclasses import dataclass
from typing import ClassVar, final

from archsearch.graph.primitives import PRIMITIVES
from archsearch.graph.structure import Node, Structure
from archsearch.mutation.dataflow import with_node
from archsearch.mutation.draws import ActivationTransformation


@final
@dataclass(frozen=True, kw_only=True)
class SwapActivation(ActivationTransformation):
    """Replaces an activation by a different one.

    `linear` counts as an activation, and two of them with different diagonals as different. A `linear` put in the
    place of another keeps its bias but is a new matrix: it loses the name for loading weights. One put in the place
    of any other activation has a bias that starts at 0. A node with constants, `affine`, is no activation.

    Source: Jozefowicz 2015, sec. 3.2; R12.
    """

    name: ClassVar[str] = "swap_activation"

    def applies(self, structure: Structure, node: str) -> bool:
        """Tells whether the node is an activation and a different one can be drawn."""
        old = structure.nodes[node]
        return PRIMITIVES[old.primitive].kind == "activation" and bool(self._different(old))

    def apply(self, structure: Structure, node: str, rng: random.Random) -> Structure:
        """Draws a different activation of the same operand."""
        return with_node(structure, node, rng.choice(self._different(structure.nodes[node])))

    def _different(self, old: Node) -> tuple[Node, ...]:
        bias, bias_init = (old.bias, old.bias_init) if old.primitive == "linear" else (True, 0.0)
        return tuple(
            new
            for new in self.choices(old.operands[0], bias=bias, bias_init=bias_init)
            if (new.primitive, new.diagonal) != (old.primitive, old.diagonal)
        )
