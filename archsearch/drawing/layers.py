"""Layout of a cell in layers: each value gets a column behind its operands, wires run from column to column.

Source: Sugiyama, Tagawa and Toda 1981, "Methods for visual understanding of hierarchical system structures";
https://doi.org/10.1109/TSMC.1981.4308636
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx

from archsearch.graph.structure import INPUT, Structure

NUM_SWEEPS = 24
MAX_PULLS = 8
MAX_EXCHANGES = 10_000_000  # sweeps times squares of lengths of columns; some 250 nodes are swept in full

# A value and a layer: where the value is made, or, in a later layer, where its wire passes.
Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Link:
    """A piece of a wire, from one layer to the next; `slot` says which operand it ends as, None where it goes on."""

    source: Place
    target: Place
    slot: int | None


@dataclass(frozen=True)
class Layers:
    """A cell in columns.

    Attributes:
        made: For each value, the new states among them, the layer it is made in; `x` and the old states are in layer 0.
        columns: The places of each layer from top to bottom.
        links: All pieces of wires. A value has one wire, however many read it.
    """

    made: Mapping[str, int]
    columns: tuple[tuple[Place, ...], ...]
    links: tuple[Link, ...]

    def is_bend(self, place: Place) -> bool:
        """Tells whether a wire only passes here."""
        return self.made[place[0]] != place[1]


def arrange(structure: Structure) -> Layers:
    """Arranges a cell: columns by the longest path, short wires, then few crossings. The same cell, the same layout."""
    operands = _operands(structure)
    made = _shorten_wires(_assign_layers(structure, operands), operands)
    links = tuple(_link(made, operands))
    places = dict.fromkeys((*made.items(), *(place for link in links for place in (link.source, link.target))))
    columns: list[list[Place]] = [[] for _ in range(1 + max(made.values()))]
    for place in places:
        columns[place[1]].append(place)
    return Layers(made, _order(columns, links), links)


def sink(state: str) -> str:
    """Returns the name of a new state."""
    return f"{state}'"


def _operands(structure: Structure) -> dict[str, tuple[str, ...]]:
    """Returns what each node and each new state reads."""
    operands = {name: node.operands for name, node in structure.nodes.items()}
    return operands | {sink(state): (structure.new_states[state],) for state in structure.states}


def _assign_layers(structure: Structure, operands: Mapping[str, Sequence[str]]) -> dict[str, int]:
    layers = dict.fromkeys((INPUT, *structure.states), 0)
    for name in nx.topological_sort(structure.to_networkx()):
        if name in operands:
            layers[name] = 1 + max(layers[operand] for operand in operands[name])
    last = max(layers.values())
    return layers | {sink(state): last for state in structure.states}


def _shorten_wires(layers: dict[str, int], operands: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Moves nodes to the right where that makes the wires, all together, shorter.

    A step to the right shortens a node's own wire, and lengthens that of each operand which nothing else reads further
    right: the best layer is the nearest at which an operand's other wires end.
    """
    users: dict[str, list[str]] = {name: [] for name in layers}
    for name, read in operands.items():
        for operand in dict.fromkeys(read):
            users[operand].append(name)
    ends = {name: sorted(layers[user] for user in found) for name, found in users.items()}
    inner = [name for name in sorted(layers, key=lambda name: -layers[name]) if name in operands and users[name]]
    for _ in range(MAX_PULLS):
        before = dict(layers)
        for name in inner:
            shared = [ends[operand] for operand in dict.fromkeys(operands[name])]
            for others in shared:
                del others[bisect_left(others, layers[name])]
            first, last = 1 + max(layers[operand] for operand in operands[name]), ends[name][0] - 1
            nearest = min(others[-1] if others else first for others in shared)
            layers[name] = min(max(nearest, first), last)
            for others in shared:
                insort(others, layers[name])
        if layers == before:
            break
    return layers


def _link(layers: Mapping[str, int], operands: Mapping[str, Sequence[str]]) -> Iterable[Link]:
    reached = dict(layers)
    for name, read in operands.items():
        for slot, operand in enumerate(read):
            for layer in range(reached[operand], layers[name] - 1):
                yield Link((operand, layer), (operand, layer + 1), None)
            reached[operand] = max(reached[operand], layers[name] - 1)
            yield Link((operand, layers[name] - 1), (name, layers[name]), slot)


def _order(columns: list[list[Place]], links: Sequence[Link]) -> tuple[tuple[Place, ...], ...]:
    """Sweeps to and fro, sorting each column by the middle of its neighbours; keeps the order with fewest crossings.

    A huge cell is swept less often, or not at all: nobody can follow its wires anyway.
    """
    num_sweeps = min(NUM_SWEEPS, MAX_EXCHANGES // sum(len(column) ** 2 for column in columns))
    if not num_sweeps:
        return tuple(tuple(column) for column in columns)
    left: dict[Place, list[Place]] = {}
    right: dict[Place, list[Place]] = {}
    for link in links:
        left.setdefault(link.target, []).append(link.source)
        right.setdefault(link.source, []).append(link.target)
    best, least = [list(column) for column in columns], _num_crossings(columns, right)
    for sweep in range(num_sweeps):
        forth = sweep % 2 == 0
        for index in range(1, len(columns)) if forth else range(len(columns) - 2, -1, -1):
            neighbours, beside = (left, columns[index - 1]) if forth else (right, columns[index + 1])
            _sort_by_neighbours(columns[index], neighbours, beside)
        _swap_neighbours(columns, left, right)
        crossings = _num_crossings(columns, right)
        if crossings < least:
            best, least = [list(column) for column in columns], crossings
    return tuple(tuple(column) for column in best)


def _sort_by_neighbours(
    column: list[Place], neighbours: Mapping[Place, Sequence[Place]], beside: Sequence[Place]
) -> None:
    ranks = {place: rank for rank, place in enumerate(beside)}
    middles = {}
    for rank, place in enumerate(column):
        found = [ranks[neighbour] for neighbour in neighbours.get(place, ())]
        # a place without neighbours on this side keeps its height
        middles[place] = sum(found) / len(found) if found else rank * len(beside) / len(column)
    column.sort(key=middles.__getitem__)


def _swap_neighbours(
    columns: list[list[Place]], left: Mapping[Place, Sequence[Place]], right: Mapping[Place, Sequence[Place]]
) -> None:
    """Exchanges neighbours in a column where their wires then cross less."""
    for index, column in enumerate(columns):
        sides = [(left, columns[index - 1])] if index else []
        sides += [(right, columns[index + 1])] if index + 1 < len(columns) else []
        ranked = [(ends, {place: rank for rank, place in enumerate(beside)}) for ends, beside in sides]
        for _ in range(len(column)):
            swapped = False
            for upper in range(len(column) - 1):
                one, two = column[upper], column[upper + 1]
                gain = 0
                for ends, ranks in ranked:
                    above = [ranks[place] for place in ends.get(one, ())]
                    below = [ranks[place] for place in ends.get(two, ())]
                    gain += sum((a > b) - (a < b) for a in above for b in below)
                if gain > 0:
                    column[upper : upper + 2] = [two, one]
                    swapped = True
            if not swapped:
                break


def _num_crossings(columns: Sequence[Sequence[Place]], right: Mapping[Place, Sequence[Place]]) -> int:
    crossings = 0
    for column, beside in pairwise(columns):
        ranks = {place: rank for rank, place in enumerate(beside)}
        above: list[int] = []
        for place in column:
            ends = [ranks[target] for target in right.get(place, ())]
            crossings += sum(len(above) - bisect_right(above, end) for end in ends)
            for end in ends:
                insort(above, end)
    return crossings
