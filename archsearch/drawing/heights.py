"""The heights of the places of a layout: wires as straight as the order in each column allows."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from archsearch.drawing.layers import Layers, Place

NUM_ROUNDS = 60
NUM_STRAIGHTENINGS = 3
MAX_MOVES = 1_000_000  # rounds times places; a cell of some 250 nodes has all rounds
# How much more a wire that passes two layers resists being bent than one between two nodes.
WIRE_STIFFNESS = 6.0


def find_heights(layers: Layers, sizes: Mapping[Place, float], gap: float) -> dict[Place, float]:
    """Returns the height of the middle of each place, downwards from 0.

    The sum of squared rises of all links is lowered one column after another; within a column the exact optimum is
    found by pooling neighbours that want to stand closer than they may.

    Args:
        layers: The order in each column, which is kept.
        sizes: For each place the height that it takes.
        gap: Between neighbours in a column.
    """
    pulls: dict[Place, list[tuple[Place, float]]] = {place: [] for column in layers.columns for place in column}
    for link in layers.links:
        passing = layers.is_bend(link.source) + layers.is_bend(link.target)
        stiffness = WIRE_STIFFNESS**passing
        pulls[link.source].append((link.target, stiffness))
        pulls[link.target].append((link.source, stiffness))
    heights: dict[Place, float] = {}
    for column in layers.columns:
        offsets = _offsets(column, sizes, gap)
        heights |= {place: offset - offsets[-1] / 2 for place, offset in zip(column, offsets, strict=True)}
    columns = [(column, _offsets(column, sizes, gap)) for column in layers.columns]
    num_rounds = min(NUM_ROUNDS, MAX_MOVES // len(pulls))
    for _ in range(num_rounds):
        for column, offsets in (*columns, *reversed(columns)):
            wishes = [_wish(place, pulls[place], heights) for place in column]
            heights |= zip(column, _spread(wishes, offsets), strict=True)
    for _ in range(min(NUM_STRAIGHTENINGS, num_rounds)):
        _straighten(layers, columns, heights)
    top = min(heights[place] - sizes[place] / 2 for place in heights)
    return {place: height - top for place, height in heights.items()}


def _straighten(
    layers: Layers, columns: Sequence[tuple[Sequence[Place], Sequence[float]]], heights: dict[Place, float]
) -> None:
    """Puts all bends of a wire at one height, and what it ends at too, as far as their neighbours leave room."""
    ranks = {place: rank for column, _ in columns for rank, place in enumerate(column)}
    for run in _runs(layers):
        level: list[Place] = []
        room = -math.inf, math.inf
        for place in run:
            least, most = _room(ranks[place], *columns[place[1]], heights)
            if level and max(room[0], least) > min(room[1], most):
                heights |= _levelled(level, room, heights)
                level, room = [], (-math.inf, math.inf)
            level.append(place)
            room = max(room[0], least), min(room[1], most)
        heights |= _levelled(level, room, heights)


def _levelled(places: Sequence[Place], room: tuple[float, float], heights: Mapping[Place, float]) -> dict[Place, float]:
    """Returns one height for all of some places: their mean, or what is nearest to it in the room they have."""
    mean = sum(heights[place] for place in places) / len(places)
    return dict.fromkeys(places, min(max(mean, room[0]), room[1]))


def _runs(layers: Layers) -> list[list[Place]]:
    """Returns places that should stand at one height: the bends of each wire, and nodes with nothing between them."""
    targets: dict[Place, list[Place]] = {}
    sources: dict[Place, list[Place]] = {}
    for link in layers.links:
        targets.setdefault(link.source, []).append(link.target)
        sources.setdefault(link.target, []).append(link.source)
    runs: dict[Place, list[Place]] = {}
    for column in layers.columns:
        for place in column:
            before = sources.get(place, [])
            straight = len(before) == 1 and (layers.is_bend(place) or targets[before[0]] == [place])
            both_bend = bool(before) and layers.is_bend(place) == layers.is_bend(before[0])
            runs[place] = runs[before[0]] if straight and both_bend else []
            runs[place].append(place)
    return [run for place, run in runs.items() if run[0] == place and len(run) > 1]


def _room(
    index: int, column: Sequence[Place], offsets: Sequence[float], heights: Mapping[Place, float]
) -> tuple[float, float]:
    """Returns the least and the greatest height that the neighbours of a place in a column leave to it."""
    least = heights[column[index - 1]] + offsets[index] - offsets[index - 1] if index else -math.inf
    if index + 1 == len(column):
        return least, math.inf
    return least, heights[column[index + 1]] - offsets[index + 1] + offsets[index]


def _offsets(column: Sequence[Place], sizes: Mapping[Place, float], gap: float) -> list[float]:
    """Returns how far below the first place each one stands at least."""
    offsets = [0.0]
    for upper, lower in pairwise(column):
        offsets.append(offsets[-1] + (sizes[upper] + sizes[lower]) / 2 + gap)
    return offsets


def _wish(place: Place, pulls: Sequence[tuple[Place, float]], heights: Mapping[Place, float]) -> tuple[float, float]:
    """Returns the height that a place would like, and how much."""
    total = sum(stiffness for _, stiffness in pulls)
    if not total:
        return heights[place], 1e-3  # a state that nothing reads stands wherever there is room
    return sum(heights[other] * stiffness for other, stiffness in pulls) / total, total


def _spread(wishes: Sequence[tuple[float, float]], offsets: Sequence[float]) -> list[float]:
    """Returns the heights nearest to what is wished that keep the distances (pool adjacent violators)."""
    pools: list[list[float]] = []  # height of the first place, weight, number of places
    for (height, weight), offset in zip(wishes, offsets, strict=True):
        pools.append([height - offset, weight, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            lower = pools.pop()
            upper = pools[-1]
            weights = upper[1] + lower[1]
            pools[-1] = [(upper[0] * upper[1] + lower[0] * lower[1]) / weights, weights, upper[2] + lower[2]]
    bases = [pool[0] for pool in pools for _ in range(int(pool[2]))]
    return [base + offset for base, offset in zip(bases, offsets, strict=True)]
