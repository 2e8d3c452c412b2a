"""The one place that draws among the transformations."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from archsearch.errors import ConfigError, InvalidGraphError
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.structure import Structure
from archsearch.mutation.dataflow import output_uses_input_and_state
from archsearch.mutation.transformation import Transformation

MAX_TRANSFORMATIONS = 3
MAX_DRAWS = 1000


class NoChildError(ConfigError):
    """A cell has no child by the transformations allowed, or none was drawn."""


@dataclass(frozen=True)
class Child:
    """A mutated cell.

    Attributes:
        graph: The child, canonical.
        transformations: Names of what was applied, in order.
    """

    graph: CellGraph
    transformations: tuple[str, ...]


def mutate(parent: CellGraph, transformations: Sequence[Transformation], rng: random.Random) -> Child:
    """Draws a child of a cell.

    The parent's canonical graph is transformed at 1 to 3 nodes (R11). A child is rejected and drawn anew if its `h'`
    is not computed from `x` and from at least one old state, both within the step (R19), or if it breaks a rule of
    graphs, such as the most nodes that a canonical form may have. It may equal its parent.
    The draw depends on the parent's digest, the transformations and the generator only.

    Source: Jozefowicz 2015, sec. 3.2; R11, R19.

    Raises:
        NoChildError: No transformation of a weight above 0 is applicable to the cell, or all children were rejected.
    """
    structure = parent.canonical_form.structure
    drawable = [transformation for transformation in transformations if transformation.weight > 0]
    nodes = [
        node for node in structure.nodes if any(transformation.applies(structure, node) for transformation in drawable)
    ]
    for _ in range(MAX_DRAWS if nodes else 0):
        drawn = _transform(structure, draw_nodes(nodes, rng), drawable, rng)
        if drawn is None or not output_uses_input_and_state(drawn[0]):
            continue
        try:
            graph = CellGraph.from_structure(drawn[0]).canonical()
        except InvalidGraphError:  # products that grow beyond all nodes a cell may have, or a number too large
            continue
        # the canonical graph knows what cancels out
        if output_uses_input_and_state(graph.structure):
            return Child(graph, drawn[1])
    names = ", ".join(transformation.name for transformation in drawable) or "none"
    raise NoChildError(
        f"cell {parent.digest}: expected a child by the transformations with a weight above 0 ({names}), got none in "
        f"{MAX_DRAWS} draws. Give more transformations a weight."
    )


def draw_nodes(nodes: Sequence[str], rng: random.Random) -> list[str]:
    """Draws 1, 2 or 3 of the nodes, in their own order.

    As the paper says, a chance p is drawn from U[0, 1] and each node is hit with it; we read "1 to 3" as: p and the
    hits are drawn again until 1 to 3 are hit. Each count then is equally likely, whatever the number of nodes.

    Source: Jozefowicz 2015, sec. 3.2; R11.
    """
    assert nodes, "without a node to hit the draw would never end"
    while True:
        chance = rng.random()
        hit = [node for node in nodes if rng.random() < chance]
        if 1 <= len(hit) <= MAX_TRANSFORMATIONS:
            return hit


def _transform(
    structure: Structure, nodes: Sequence[str], transformations: Sequence[Transformation], rng: random.Random
) -> tuple[Structure, tuple[str, ...]] | None:
    """Transforms each node by one of the transformations applicable to it at its turn.

    Returns:
        The new structure and the names of what was applied; None if a node disappeared, or nothing applied to it,
        after the transformation of an earlier one. (In canonical order, operands before users, this is rare.)
    """
    names = []
    for node in nodes:
        if node not in structure.nodes:
            return None
        applicable = [transformation for transformation in transformations if transformation.applies(structure, node)]
        if not applicable:
            return None
        weights = [transformation.weight for transformation in applicable]
        transformation = rng.choices(applicable, weights)[0]
        structure = transformation.apply(structure, node, rng)
        names.append(transformation.name)
    return structure, tuple(names)
