"""The searched object: a recurrent cell as a frozen networkx graph."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType

import networkx as nx

from archsearch.errors import InvalidGraphError
from archsearch.graph.canonical import Canonical, canonicalize
from archsearch.graph.checks import MAX_NODES, find_violations
from archsearch.graph.equations import parse_equations
from archsearch.graph.files import structure_from_json, structure_to_json
from archsearch.graph.formatting import format_equations
from archsearch.graph.structure import Node, Structure


class CellGraph:
    """A recurrent cell: a frozen `networkx.MultiDiGraph` from `x` and the old states to the new states.

    The output of the cell is its new state `h`. Two cells are equal when their graphs are, node names included;
    `digest` identifies the function and its weights whatever the names and the way it is written; see `canonicalize`
    for what is seen to be equal.

    Args:
        graph: As `Structure.to_networkx` describes it. Copied, then frozen.

    Raises:
        InvalidGraphError: At least one rule is broken; all violations are listed.
    """

    def __init__(self, graph: "nx.MultiDiGraph[str]") -> None:
        violations = find_violations(graph)
        if violations:
            raise InvalidGraphError(violations)
        self._structure = Structure.from_networkx(graph)

    @classmethod
    def from_structure(cls, structure: Structure) -> "CellGraph":
        """Builds a cell from names and nodes.

        Raises:
            InvalidGraphError: At least one rule is broken.
        """
        return cls(structure.to_networkx())

    @classmethod
    def from_equations(cls, text: str) -> "CellGraph":
        """Reads a cell from its equations.

        Raises:
            InvalidGraphError: The text cannot be read (line and column are named) or breaks a rule.
        """
        return cls.from_structure(parse_equations(text))

    @classmethod
    def from_json(cls, text: str) -> "CellGraph":
        """Reads a cell from its JSON form.

        Raises:
            FileFormatError: The text is no cell file or of an unknown version.
            InvalidGraphError: It is one, and breaks a rule.
        """
        return cls.from_structure(structure_from_json(text))

    def equations(self) -> str:
        """Returns the equations, one line per named value; `from_equations` reads them back."""
        return format_equations(self._structure)

    def to_json(self) -> str:
        """Returns the versioned JSON form; `from_json` reads it back."""
        return structure_to_json(self._structure)

    @cached_property
    def graph(self) -> "nx.MultiDiGraph[str]":
        """The frozen graph: edges run from operand to user, edge keys are operand slots."""
        frozen: nx.MultiDiGraph[str] = nx.freeze(self._structure.to_networkx())
        return frozen

    @property
    def structure(self) -> Structure:
        """The same cell as names and nodes."""
        return self._structure

    @property
    def states(self) -> tuple[str, ...]:
        """The states, in the order in which a layer takes and returns them."""
        return self._structure.states

    @property
    def nodes(self) -> Mapping[str, Node]:
        """The computed values by name."""
        return MappingProxyType(dict(self._structure.nodes))

    @property
    def new_states(self) -> Mapping[str, str]:
        """For each state the name of its next value."""
        return MappingProxyType(dict(self._structure.new_states))

    @cached_property
    def canonical_form(self) -> Canonical:
        """The canonical structure with its digest and where each weight went."""
        return canonicalize(self._structure)

    @property
    def digest(self) -> str:
        """The cell's identity, `c_` and 16 hexadecimal digits."""
        return self.canonical_form.digest

    def canonical(self) -> "CellGraph":
        """Returns the canonical graph of this cell: equal for equal digests.

        Names of weights, which are no part of a cell's identity, are left out.

        Raises:
            InvalidGraphError: The graph has more nodes than a cell may have, since products are written as sums there.
        """
        canonical = self.canonical_form.structure
        if len(canonical.nodes) > MAX_NODES:
            what = f"cell {self.digest}: its canonical form has {len(canonical.nodes):,} nodes"
            advice = "Use the cell as it is written, or cut its products down"
            raise InvalidGraphError([f"{what}, expected at most {MAX_NODES:,}. {advice}."])
        nodes = {name: replace(node, weights="") for name, node in canonical.nodes.items()}
        return CellGraph.from_structure(replace(canonical, nodes=nodes))

    def __getstate__(self) -> dict[str, Structure]:
        """Keeps a pickled cell small: everything else is derived from the structure."""
        return {"_structure": self._structure}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CellGraph) and self._structure == other._structure

    def __hash__(self) -> int:
        return hash((self.states, frozenset(self._structure.nodes.items())))

    def __repr__(self) -> str:
        return f"CellGraph({self.digest}, {len(self._structure.nodes)} nodes, states {', '.join(self.states)})"
