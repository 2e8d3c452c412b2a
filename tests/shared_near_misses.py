"""Cells one small step away from a cell: `from shared_near_misses import near_misses`."""

import random
from collections.abc import Iterator
from dataclasses import replace

from archsearch.graph.structure import Node, Structure


def near_misses(structure: Structure, rng: random.Random) -> Iterator[tuple[str, Structure]]:
    """Yields one variant of each kind that the cell allows, with what was done.

    A variant may by chance be another spelling of the same cell: `shared_evaluation.surely_differ` knows some that
    are not.
    """
    for change in CHANGES:
        names = [name for name, node in structure.nodes.items() if change(node) is not None]
        if names:
            name = rng.choice(names)
            node = change(structure.nodes[name])
            assert node is not None
            yield change.__name__, replace(structure, nodes={**structure.nodes, name: node})
    yield from _shared_matrix_made_two(structure, rng)
    yield from _two_matrices_made_one(structure, rng)
    yield from _operand_replaced(structure, rng)
    if len(structure.states) > 1:
        first, second = rng.sample(structure.states, 2)
        new_states = dict(structure.new_states)
        new_states[first], new_states[second] = new_states[second], new_states[first]
        yield "new states exchanged", replace(structure, new_states=new_states)


def _exchange_slots(node: Node) -> Node | None:
    is_other = node.primitive == "sub" and node.operands[0] != node.operands[1]
    return replace(node, operands=node.operands[::-1]) if is_other else None


def _turn_sign(node: Node) -> Node | None:
    other = {"add": "sub", "sub": "add"}.get(node.primitive)
    return replace(node, primitive=other) if other else None


def _change_diagonal(node: Node) -> Node | None:
    return replace(node, diagonal=node.diagonal + 0.5) if node.primitive == "linear" else None


def _change_peephole(node: Node) -> Node | None:
    return replace(node, diagonal=node.diagonal + 0.5) if node.primitive == "peephole" else None


def _peephole_made_a_matrix(node: Node) -> Node | None:
    return replace(node, primitive="linear", bias=False) if node.primitive == "peephole" else None


def _change_scale(node: Node) -> Node | None:
    return replace(node, scale=node.scale + 0.5) if node.primitive == "affine" else None


def _turn_scale(node: Node) -> Node | None:
    return replace(node, scale=-node.scale) if node.primitive == "affine" else None


def _change_shift(node: Node) -> Node | None:
    return replace(node, shift=node.shift + 0.5) if node.primitive == "affine" else None


def _change_bias(node: Node) -> Node | None:
    return replace(node, bias=not node.bias, bias_init=0.0) if node.primitive == "linear" else None


def _change_bias_init(node: Node) -> Node | None:
    return replace(node, bias_init=node.bias_init + 2.5) if node.primitive == "linear" and node.bias else None


def _change_activation(node: Node) -> Node | None:
    other = {"tanh": "sigmoid", "sigmoid": "relu", "relu": "tanh", "leaky_relu": "relu"}.get(node.primitive)
    return replace(node, primitive=other) if other else None


CHANGES = (
    _exchange_slots,
    _turn_sign,
    _change_diagonal,
    _change_bias,
    _change_bias_init,
    _change_activation,
    _change_peephole,
    _peephole_made_a_matrix,
    _change_scale,
    _turn_scale,
    _change_shift,
)


def _shared_matrix_made_two(structure: Structure, rng: random.Random) -> Iterator[tuple[str, Structure]]:
    slots: dict[str, list[tuple[str, int]]] = {}
    for user, node in structure.nodes.items():
        for slot, operand in enumerate(node.operands):
            slots.setdefault(operand, []).append((user, slot))
    shared = [name for name in slots if len(slots[name]) > 1 and _is_linear(structure, name)]
    if shared:
        name = rng.choice(shared)
        user, slot = rng.choice(slots[name])
        yield (
            "shared matrix made two",
            _with_operand(
                replace(structure, nodes={**structure.nodes, "twin": structure.nodes[name]}), user, slot, "twin"
            ),
        )


def _two_matrices_made_one(structure: Structure, rng: random.Random) -> Iterator[tuple[str, Structure]]:
    linears = [name for name in structure.nodes if _is_linear(structure, name)]
    pairs = [(a, b) for a in linears for b in linears if a < b and structure.nodes[a] == structure.nodes[b]]
    if pairs:
        kept, gone = rng.choice(pairs)

        def merged(value: str) -> str:
            return kept if value == gone else value

        nodes = {
            name: replace(node, operands=tuple(merged(operand) for operand in node.operands))
            for name, node in structure.nodes.items()
            if name != gone
        }
        new_states = {state: merged(value) for state, value in structure.new_states.items()}
        yield "two matrices made one", replace(structure, nodes=nodes, new_states=new_states)


def _operand_replaced(structure: Structure, rng: random.Random) -> Iterator[tuple[str, Structure]]:
    name = rng.choice(list(structure.nodes))
    slot = rng.randrange(len(structure.nodes[name].operands))
    others = [source for source in ("x", *structure.states) if source != structure.nodes[name].operands[slot]]
    yield "operand replaced", _with_operand(structure, name, slot, rng.choice(others))


def _is_linear(structure: Structure, name: str) -> bool:
    return name in structure.nodes and structure.nodes[name].primitive == "linear"


def _with_operand(structure: Structure, user: str, slot: int, operand: str) -> Structure:
    node = structure.nodes[user]
    operands = (*node.operands[:slot], operand, *node.operands[slot + 1 :])
    return replace(structure, nodes={**structure.nodes, user: replace(node, operands=operands)})
