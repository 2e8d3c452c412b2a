"""Which part of the program each node of a cell belongs to."""

from collections.abc import Iterable
from dataclasses import dataclass

from archsearch.graph.structure import INPUT, Structure


@dataclass(frozen=True)
class Parts:
    """The nodes of a cell, parted and ordered: operands come before their users.

    Attributes:
        recurrent: States that the step carries: the next value of one of them reads them.
        prologue: Nodes that depend on `x` alone. (What depends on `x` of earlier steps alone is not sought.)
        step: Nodes that a recurrent state's next value depends on.
        epilogue: The other nodes, and among them the states that are read without being recurrent, each after its
            next value.
    """

    recurrent: tuple[str, ...]
    prologue: tuple[str, ...]
    step: tuple[str, ...]
    epilogue: tuple[str, ...]


def part_nodes(structure: Structure) -> Parts:
    """Parts a valid cell; a node that no new state depends on goes where its operands allow."""
    recurrent = _recurrent_states(structure)
    order = _ordered(structure, recurrent)
    of_x_alone: set[str] = set()
    for name in order:
        operands = structure.nodes[name].operands if name in structure.nodes else (name,)
        if all(operand == INPUT or operand in of_x_alone for operand in operands):
            of_x_alone.add(name)
    awaited = _reached_from(structure, (structure.new_states[state] for state in recurrent))
    return Parts(
        recurrent,
        prologue=tuple(name for name in order if name in of_x_alone),
        step=tuple(name for name in order if name in awaited and name not in of_x_alone),
        epilogue=tuple(name for name in order if name not in awaited and name not in of_x_alone),
    )


def _recurrent_states(structure: Structure) -> tuple[str, ...]:
    """Drops, again and again, the states that the next values of the remaining ones do not read."""
    states = structure.states
    while True:
        read = _reached_from(structure, (structure.new_states[state] for state in states))
        kept = tuple(state for state in states if state in read)
        if kept == states:
            return kept
        states = kept


def _reached_from(structure: Structure, names: Iterable[str]) -> set[str]:
    reached: set[str] = set()
    stack = list(names)
    while stack:
        name = stack.pop()
        if name not in reached:
            reached.add(name)
            if name in structure.nodes:
                stack.extend(structure.nodes[name].operands)
    return reached


def _ordered(structure: Structure, recurrent: tuple[str, ...]) -> tuple[str, ...]:
    """Returns nodes, and non-recurrent states that are read, each after what it waits for.

    Without recursion, as cells may be deep.
    """
    delayed = [state for state in structure.states if state not in recurrent]
    waits_for = {name: node.operands for name, node in structure.nodes.items()}
    waits_for |= {state: (structure.new_states[state],) for state in delayed}
    done: dict[str, None] = {}
    for root in (*structure.nodes, *(structure.new_states[state] for state in delayed)):
        if root not in waits_for:
            continue
        stack = [root]
        while stack:
            name = stack[-1]
            missing = [other for other in waits_for[name] if other in waits_for and other not in done]
            if name in done or not missing:
                done[stack.pop()] = None
            else:
                stack.extend(reversed(missing))
    return tuple(done)
