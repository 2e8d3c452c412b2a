"""Between which numbers a cell's values lie, whatever the weights; states begin at zero."""

import math
from collections.abc import Callable, Mapping

from archsearch.graph.structure import INPUT, Node, Structure

Interval = tuple[float, float]

ANYTHING: Interval = (-math.inf, math.inf)
ZERO: Interval = (0.0, 0.0)
ROUNDS = 4
"""After so many steps of time a bound that still moves is taken for infinite."""


def constant_values(structure: Structure) -> frozenset[str]:
    """Returns the states and nodes that have one value for all inputs and all times, whatever it is."""
    bounds = value_bounds(structure)
    constant = {name for name, (low, high) in bounds.items() if low == high}
    for name in _in_order(structure):
        if name in structure.nodes and all(operand in constant for operand in structure.nodes[name].operands):
            constant.add(name)
    return frozenset(constant)


def value_bounds(structure: Structure) -> Mapping[str, Interval]:
    """Returns the bounds of `x`, all states and all nodes. They hold always, and may be wider than they need be."""
    states = dict.fromkeys(structure.states, ZERO)
    for number in range(2 * ROUNDS + 2):
        bounds = _bounds_of_step(structure, states)
        reached = {state: _hull(states[state], bounds[value]) for state, value in structure.new_states.items()}
        if reached == states:
            return bounds
        states = reached if number < ROUNDS else {state: _widened(states[state], reached[state]) for state in reached}
    return _bounds_of_step(structure, dict.fromkeys(structure.states, ANYTHING))


def _bounds_of_step(structure: Structure, states: Mapping[str, Interval]) -> dict[str, Interval]:
    bounds: dict[str, Interval] = {INPUT: ANYTHING, **states}
    for name in _in_order(structure):
        if name in structure.nodes:
            node = structure.nodes[name]
            bounds[name] = _bounds_of_node(node, [bounds[operand] for operand in node.operands])
    return bounds


def _bounds_of_node(node: Node, operands: list[Interval]) -> Interval:
    first = operands[0]
    if node.primitive in _MONOTONE:
        function = _MONOTONE[node.primitive]
        return function(first[0]), function(first[1])
    if node.primitive in ("linear", "peephole"):
        has_bias = node.primitive == "linear" and node.bias
        return ZERO if first == ZERO and not has_bias else ANYTHING
    if node.primitive == "affine":
        ends = [_times(node.scale, end) + node.shift for end in first]
        return min(ends), max(ends)
    second = operands[1]
    is_same = node.operands[0] == node.operands[1]
    if node.primitive == "add":
        return first[0] + second[0], first[1] + second[1]
    if node.primitive == "sub":
        return ZERO if is_same else (first[0] - second[1], first[1] - second[0])
    products = [_times(a, b) for a in first for b in second]
    if not is_same:
        return min(products), max(products)
    squares = [_times(end, end) for end in first]
    return (0.0 if first[0] <= 0 <= first[1] else min(squares)), max(squares)


def _sigmoid(value: float) -> float:
    return (1 + math.tanh(value / 2)) / 2


_MONOTONE: Mapping[str, Callable[[float], float]] = {
    "tanh": math.tanh,
    "sigmoid": _sigmoid,
    "relu": lambda value: max(value, 0.0),
    "leaky_relu": lambda value: max(value, 0.01 * value),
}


def _times(left: float, right: float) -> float:
    return 0.0 if 0 in (left, right) else left * right  # what is zero stays zero, however large the other may get


def _hull(left: Interval, right: Interval) -> Interval:
    return min(left[0], right[0]), max(left[1], right[1])


def _widened(before: Interval, after: Interval) -> Interval:
    return (-math.inf if after[0] < before[0] else after[0]), (math.inf if after[1] > before[1] else after[1])


def _in_order(structure: Structure) -> tuple[str, ...]:
    """Returns `x`, the states and the nodes, operands before users."""
    done = dict.fromkeys((INPUT, *structure.states))
    waiting = list(structure.nodes)
    while waiting:
        ready = [name for name in waiting if all(operand in done for operand in structure.nodes[name].operands)]
        done.update(dict.fromkeys(ready))
        waiting = [name for name in waiting if name not in done]
    return tuple(done)
