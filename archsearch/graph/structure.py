"""The plain content of a cell graph: named nodes with operands, and its two-way map to networkx.

A structure may break rules (a cycle, a missing operand): `checks` says which. `CellGraph` is the checked form.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx

from archsearch.graph.primitives import PRIMITIVES

INPUT = "x"
OUTPUT_STATE = "h"

_KINDS: dict[str, Callable[[Any], Any]] = {
    "diagonal": float,
    "bias": bool,
    "bias_init": float,
    "weights": str,
    "scale": float,
    "shift": float,
}


@dataclass(frozen=True, slots=True)
class Node:
    """One computed value.

    Attributes:
        primitive: A name in `PRIMITIVES`.
        operands: Names of `x`, states or nodes, in the order of their slots. A name may stand twice.
        diagonal: For `linear` and `peephole`: what is added to the main diagonal of the freshly drawn matrix, of which
            a `peephole` has the diagonal alone (R13).
        bias: For `linear`: whether a bias is added.
        bias_init: For `linear`: the bias before training.
        weights: For `linear` and `peephole`: a name for loading weights; no part of the cell's identity. Empty for
            none.
        scale: For `affine`: the factor of the operand.
        shift: For `affine`: what is added to the product.
    """

    primitive: str
    operands: tuple[str, ...]
    diagonal: float = 0.0
    bias: bool = True
    bias_init: float = 0.0
    weights: str = ""
    scale: float = 1.0
    shift: float = 0.0

    def attributes(self) -> dict[str, float | int | str]:
        """Returns what the row of its primitive lists, as numbers and text."""
        row = PRIMITIVES.get(self.primitive)  # a structure may break rules
        values = ((key, getattr(self, key)) for key in (row.attributes if row else ()))
        return {key: int(value) if key == "bias" else _KINDS[key](value) for key, value in values}


@dataclass(frozen=True)
class Structure:
    """A cell as names.

    Attributes:
        states: The states carried between steps, in the order the layer takes and returns them.
        nodes: Every computed value by name, in any order.
        new_states: For each state, the name of the value (node, state or `x`) that is its next value.
    """

    states: tuple[str, ...]
    nodes: Mapping[str, Node]
    new_states: Mapping[str, str]

    def sources_of(self, value: str) -> frozenset[str]:
        """Returns those of `x` and the old states that a value depends on."""
        seen = {value}
        stack = [value]
        while stack:
            node = self.nodes.get(stack.pop())
            for operand in node.operands if node else ():
                if operand not in seen:
                    seen.add(operand)
                    stack.append(operand)
        return frozenset(seen.intersection((INPUT, *self.states)))

    def to_networkx(self) -> "nx.MultiDiGraph[str]":
        """Returns a graph whose edges run from operand to user, the edge key being the operand's slot.

        Node attributes: `kind` (`input`, `state`, `primitive`, `new_state`), `index` on states (their order), and on
        primitives `primitive` with what its row in `PRIMITIVES` lists: `diagonal`, `bias` (0 or 1), `bias_init`,
        `weights`, `scale`, `shift`.
        A new state is a sink named `h'` with one operand.
        """
        graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        graph.add_node(INPUT, kind="input")
        for index, state in enumerate(self.states):
            graph.add_node(state, kind="state", index=index)
        for name, node in self.nodes.items():
            graph.add_node(name, kind="primitive", primitive=node.primitive, **node.attributes())
        for name, node in self.nodes.items():
            for slot, operand in enumerate(node.operands):
                graph.add_edge(operand, name, key=slot)
        for state, value in self.new_states.items():
            graph.add_node(state + "'", kind="new_state")
            graph.add_edge(value, state + "'", key=0)
        return graph

    @classmethod
    def from_networkx(cls, graph: "nx.MultiDiGraph[str]") -> "Structure":
        """Reads a graph that `checks.find_violations` finds nothing wrong with."""
        states = sorted(
            (name for name, attributes in graph.nodes(data=True) if attributes["kind"] == "state"),
            key=lambda name: int(graph.nodes[name]["index"]),
        )
        operands = {
            name: tuple(
                operand for operand, _, _ in sorted(graph.in_edges(name, keys=True), key=lambda edge: int(edge[2]))
            )
            for name in graph
        }
        nodes = {}
        for name, attributes in graph.nodes(data=True):
            if attributes["kind"] != "primitive":
                continue
            primitive = PRIMITIVES[attributes["primitive"]]
            own = {key: _KINDS[key](attributes[key]) for key in primitive.attributes}
            nodes[name] = Node(primitive.name, operands[name], **own)
        return cls(tuple(states), nodes, {state: operands[state + "'"][0] for state in states})
