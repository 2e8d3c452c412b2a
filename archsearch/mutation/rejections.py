"""Children that need no training to be turned down: what can be proved of a cell whatever its weights.

All is read off the graph, over time: a state's next value, what that reads, and so on. A child whose `h'` is not
computed from `x` and an old state within the step never gets here (R19, `mutate`).
"""

from collections.abc import Callable, Mapping

import networkx as nx

from archsearch.graph.measures import unread_states
from archsearch.graph.structure import INPUT, OUTPUT_STATE, Structure
from archsearch.mutation.intervals import constant_values

CONSTANT = "constant output"
FORGETS = "no memory"
EXPLODES = "state must explode"
IDLE = "state beside h that nobody reads"
UNREAD = "state nobody reads"


def rejection(structure: Structure, names: tuple[str, ...]) -> str | None:
    """Returns the first reason to turn a canonical structure down, None if there is none.

    Args:
        structure: The child.
        names: Of the tests to make, out of `TESTS`.
    """
    return next((reason for name in names for reason in [TESTS[name]] if _PROOFS[name](structure)), None)


def has_constant_output(structure: Structure) -> bool:
    """Tells whether no input ever reaches the output.

    Provable: values between bounds that leave nothing, such as `relu` of what is never above zero, and all that is
    computed from such values alone.
    """
    live = _live_sources(structure)
    return not any(INPUT in live[state] for state in _reached(live))


def has_no_memory(structure: Structure) -> bool:
    """Tells whether the output depends on the last few inputs only: no state that it reads feeds back into itself.

    Provable: always, but for dependence that only particular weights take away.
    """
    live = _live_sources(structure)
    reached = _reached(live)
    graph = nx.DiGraph((source, state) for state in reached for source in live[state] & reached)
    return nx.is_directed_acyclic_graph(graph)


def has_state_that_explodes(structure: Structure) -> bool:
    """Tells whether a state that the output reads grows beyond all numbers for almost all weights and inputs.

    Provable: `s' = k s + g` with a constant `|k| > 1` and `g` of inputs and states that `s` has no influence on, so
    that nothing can hold it back, such as `h' = h + h + tanh(linear(x))`. Growth that a gate, an activation or a
    matrix could hold back is not.
    """
    live = _live_sources(structure)
    for state in _reached(live):
        influenced = _influenced(live, state)
        if INPUT in set().union(*(live[source] for source in _reached(live, state))):
            factor = _factor(structure, state, influenced)
            if factor is not None and abs(factor) > 1:
                return True
    return False


def has_idle_state(structure: Structure) -> bool:
    """Tells whether a state other than `h` is carried over for nothing: no value reads it in the next time step.

    Provable: always. The output `h` may be unread: it is of use outside the cell.
    """
    return not set(unread_states(structure)) <= {OUTPUT_STATE}


TESTS = {
    "constant_output": CONSTANT,
    "no_memory": FORGETS,
    "exploding_state": EXPLODES,
    "idle_state": IDLE,
    "unread_state": UNREAD,
}
"""What each test is called in a configuration, and the reason it gives.

`unread_state` is kept for runs that began with it. It turns sound cells down whose `h` is computed from other states
and is not carried over itself, such as the zoo's `scrn`; `idle_state` does not.
"""

_PROOFS: Mapping[str, Callable[[Structure], bool]] = {
    "constant_output": has_constant_output,
    "no_memory": has_no_memory,
    "exploding_state": has_state_that_explodes,
    "idle_state": has_idle_state,
    "unread_state": lambda structure: bool(unread_states(structure)),
}


def _live_sources(structure: Structure) -> dict[str, frozenset[str]]:
    """Returns, for each state, those of `x` and the old states that its next value depends on; constants cut paths."""
    constant = constant_values(structure)

    def sources(value: str) -> frozenset[str]:
        found, stack = set(), [value]
        while stack:
            name = stack.pop()
            if name in found or name in constant:
                continue
            found.add(name)
            stack.extend(structure.nodes[name].operands if name in structure.nodes else ())
        return frozenset(found.intersection((INPUT, *structure.states)))

    return {state: sources(value) for state, value in structure.new_states.items()}


def _reached(live: Mapping[str, frozenset[str]], first: str = OUTPUT_STATE) -> set[str]:
    """Returns the states that a state depends on over time, itself included."""
    found, stack = {first}, [first]
    while stack:
        new = {source for source in live[stack.pop()] if source != INPUT} - found
        found |= new
        stack.extend(new)
    return found


def _influenced(live: Mapping[str, frozenset[str]], state: str) -> set[str]:
    """Returns the states whose later values depend on a state, itself included."""
    return {other for other in live if state in _reached(live, other)}


def _factor(structure: Structure, state: str, influenced: set[str]) -> float | None:
    """Returns `k` where the next value is `k` times the old one plus what the state has no influence on, else None."""
    factors: dict[str, float | None] = {INPUT: 0.0}
    factors |= {other: None if other in influenced else 0.0 for other in structure.states}
    factors[state] = 1.0

    def factor(name: str) -> float | None:
        if name not in factors:
            node = structure.nodes[name]
            operands = [factor(operand) for operand in node.operands]
            factors[name] = _combined(node.primitive, node.scale, operands)
        return factors[name]

    return factor(structure.new_states[state])


def _combined(primitive: str, scale: float, operands: list[float | None]) -> float | None:
    if all(operand == 0 for operand in operands):
        return 0.0
    if None in operands:
        return None
    known = [operand for operand in operands if operand is not None]
    if primitive == "add":
        return known[0] + known[1]
    if primitive == "sub":
        return known[0] - known[1]
    return scale * known[0] if primitive == "affine" else None
