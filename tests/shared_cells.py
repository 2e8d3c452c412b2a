"""Random cells for tests: `from shared_cells import random_structure`."""

import random

from archsearch.graph.structure import Node, Structure

ACTIVATIONS = ("tanh", "sigmoid", "relu", "linear")
ELEMENTWISE = ("add", "sub", "mul")
DIAGONALS = (0.0, 0.9, 1.0, 1.1)
# what no search draws unless it is told to
OTHERS = ("leaky_relu", "peephole", "affine", "affine")
CONSTANTS = (
    (-1.0, 1.0),
    (-1.0, 0.0),
    (0.5, 0.0),
    (2.0, 1.0),
    (1.0, -1.0),
    (-1.5, 0.25),
    (0.1, 0.0),
    (-0.3, -0.7),
    (3.0, 0.0),
)


def random_structure(
    rng: random.Random, num_nodes: int, num_states: int = 1, *, all_primitives: bool = False
) -> Structure:
    """Draws a valid cell: every node reaches a new state, values are shared, h' depends on x and on an old state.

    Nodes are drawn in order with operands among x, the states and earlier nodes; what no new state reaches is dropped,
    so the cell may have fewer nodes than asked for. Without `all_primitives`, of what a search draws by default.
    """
    activations = ACTIVATIONS + OTHERS if all_primitives else ACTIVATIONS
    while True:
        states = ("h", "c", "d", "e", "f")[:num_states]
        values = ["x", *states]
        nodes: dict[str, Node] = {}
        for index in range(num_nodes):
            name = f"n{index}"
            # recent values twice as likely: deep graphs rather than bushes
            pool = values + values[-4:]
            if rng.random() < 0.55:
                primitive = rng.choice(activations)
                operands = (rng.choice(pool),)
            else:
                primitive = rng.choice(ELEMENTWISE)
                operands = (rng.choice(pool), rng.choice(pool))
            if primitive == "linear":
                diagonal, bias, bias_init = rng.choice(DIAGONALS), rng.random() < 0.6, rng.choice((0.0, 0.0, 1.0))
                nodes[name] = Node("linear", operands, diagonal, bias, bias_init if bias else 0.0)
            elif primitive == "peephole":
                nodes[name] = Node("peephole", operands, rng.choice(DIAGONALS))
            elif primitive == "affine":
                scale, shift = rng.choice(CONSTANTS)
                nodes[name] = Node("affine", operands, scale=scale, shift=shift)
            else:
                nodes[name] = Node(primitive, operands)
            values.append(name)
        last = list(nodes)[-max(1, num_nodes // 3) :]
        new_states = {state: rng.choice(last) for state in states}
        new_states["h"] = last[-1]
        structure = Structure(states, _reached(nodes, new_states), new_states)
        if _depends_on_x_and_state(structure):
            return structure


def _reached(nodes: dict[str, Node], new_states: dict[str, str]) -> dict[str, Node]:
    reached: set[str] = set()
    stack = [value for value in new_states.values() if value in nodes]
    while stack:
        name = stack.pop()
        if name not in reached:
            reached.add(name)
            stack.extend(operand for operand in nodes[name].operands if operand in nodes)
    return {name: node for name, node in nodes.items() if name in reached}


def _depends_on_x_and_state(structure: Structure) -> bool:
    seen: set[str] = set()
    stack = [structure.new_states["h"]]
    while stack:
        name = stack.pop()
        if name not in seen:
            seen.add(name)
            if name in structure.nodes:
                stack.extend(structure.nodes[name].operands)
    return "x" in seen and any(state in seen for state in structure.states)
