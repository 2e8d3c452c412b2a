"""What transformations draw new nodes from: the activations and the elementwise primitives, both configurable."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from archsearch.errors import ConfigError
from archsearch.graph.checks import MAX_CONSTANT
from archsearch.graph.primitives import PRIMITIVES
from archsearch.graph.structure import Node
from archsearch.mutation.transformation import Transformation


@dataclass(frozen=True, kw_only=True)
class ActivationTransformation(Transformation):
    """A transformation that draws activations, each as likely as the others.

    `linear` and `peephole` count once for each of their diagonals. Source: Jozefowicz 2015, sec. 3.2; R12, R13.

    Attributes:
        activations: Primitives with one operand; besides the paper's, `leaky_relu` and `peephole` may be named.
        diagonals: What a drawn `linear` or `peephole` may have added to the diagonal of its fresh weights.

    Raises:
        ConfigError: An activation is unknown or named twice, there is none, or one with weights has no diagonal; a
            diagonal is no number that a node may have.
    """

    activations: tuple[str, ...] = ("tanh", "sigmoid", "relu", "linear")
    diagonals: tuple[float, ...] = (0.0, 1.0, 0.9, 1.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        # a configuration file holds lists
        object.__setattr__(self, "activations", _known_primitives(self.name, self.activations, "activation"))
        object.__setattr__(self, "diagonals", _node_numbers(self.name, self.diagonals))
        weighted = [activation for activation in self.activations if PRIMITIVES[activation].has_weights]
        if weighted and not self.diagonals:
            raise ConfigError(
                f"transformation {self.name}: diagonals must list at least one finite number for "
                f"{' and '.join(weighted)}, got none. Add 0.0, or take {' and '.join(weighted)} out of activations."
            )

    def choices(self, operand: str, *, bias: bool = True, bias_init: float = 0.0) -> tuple[Node, ...]:
        """Returns every activation of an operand that may be drawn; a `linear` gets the bias given."""
        nodes: list[Node] = []
        for activation in self.activations:
            if activation == "linear":
                nodes += (Node("linear", (operand,), diagonal, bias, bias_init) for diagonal in self.diagonals)
            elif activation == "peephole":
                nodes += (Node("peephole", (operand,), diagonal) for diagonal in self.diagonals)
            else:
                nodes.append(Node(activation, (operand,)))
        return tuple(nodes)


@dataclass(frozen=True, kw_only=True)
class ElementwiseTransformation(Transformation):
    """A transformation that draws elementwise primitives, each as likely as the others.

    Source: Jozefowicz 2015, sec. 3.2; R14, R18.

    Attributes:
        primitives: Primitives with two operands.

    Raises:
        ConfigError: A primitive is unknown or named twice, or there is none.
    """

    primitives: tuple[str, ...] = ("add", "sub", "mul")

    def __post_init__(self) -> None:
        super().__post_init__()
        # a configuration file holds lists
        object.__setattr__(self, "primitives", _known_primitives(self.name, self.primitives, "elementwise"))


def _known_primitives(transformation: str, names: Iterable[str], kind: str) -> tuple[str, ...]:
    known = tuple(name for name, primitive in PRIMITIVES.items() if primitive.kind == kind)
    listed = tuple(names)
    if not listed or len(set(listed)) < len(listed) or not set(listed) <= set(known):
        raise ConfigError(
            f"transformation {transformation}: expected a list of different {kind} primitives out of "
            f"{', '.join(known)}, got {list(listed)}. Correct the list; weight=0 switches the transformation off."
        )
    return listed


def _node_numbers(transformation: str, values: Iterable[float] | str) -> tuple[float, ...]:
    try:
        numbers = tuple(map(float, values))
    except (TypeError, ValueError):
        numbers = (math.nan,)
    if isinstance(values, str) or not all(abs(number) <= MAX_CONSTANT for number in numbers):  # NaN is none, either
        raise ConfigError(
            f"transformation {transformation}: diagonals must list finite numbers, such as [0.0, 1.0], of at most "
            f"{MAX_CONSTANT:,.0f} in size, got {values!r}."
        )
    return numbers
