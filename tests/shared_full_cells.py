"""Random cells of an exact size: `from shared_full_cells import full_structure`."""

import random

from archsearch.graph.structure import Node, Structure

ACTIVATIONS = ("tanh", "sigmoid", "relu", "linear", "linear", "linear")
ELEMENTWISE = ("add", "add", "sub", "mul")


def full_structure(rng: random.Random, num_nodes: int, num_states: int = 1) -> Structure:
    """Draws a cell of `num_nodes` nodes, each of which reaches a new state; at least as many nodes as states.

    Operands are drawn among values nobody uses yet rather than among all, and the last nodes gather what is left.
    """
    states = ("h", "c", "d", "e", "f")[:num_states]
    values = ["x", *states]
    unused: list[str] = []
    nodes: dict[str, Node] = {}
    for index in range(num_nodes):
        must_gather = len(unused) - num_states >= num_nodes - index - 1
        if must_gather and len(unused) > 1:
            primitive, operands = rng.choice(ELEMENTWISE), tuple(rng.sample(unused, 2))
        elif rng.random() < 0.5 or must_gather:
            primitive, operands = rng.choice(ACTIVATIONS), (rng.choice(unused or values),)
        else:
            pool = [unused or values, values]
            primitive, operands = rng.choice(ELEMENTWISE), tuple(rng.choice(rng.choice(pool)) for _ in range(2))
        name = f"n{index}"
        if primitive == "linear":
            bias = rng.random() < 0.6
            nodes[name] = Node(
                "linear", operands, rng.choice((0.0, 0.0, 1.0)), bias, bias * rng.choice((0.0, 0.0, 1.0))
            )
        else:
            nodes[name] = Node(primitive, operands)
        unused = [value for value in unused if value not in operands] + [name]
        values.append(name)
    targets = unused + rng.sample(list(nodes), num_states - len(unused))
    rng.shuffle(targets)
    return Structure(states, nodes, dict(zip(states, targets, strict=True)))
