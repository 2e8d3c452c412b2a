import itertools
import random

import networkx as nx
from shared_cells import random_structure

from archsearch.graph.structure import Node, Structure
from archsearch.mutation.combine_ancestors import CombineAncestors

CELL = Structure(
    ("h", "c"),
    {
        "inner": Node("tanh", ("x",)),
        "current": Node("add", ("inner", "h")),
        "later": Node("relu", ("current",)),
        "aside": Node("sigmoid", ("c",)),
        "asides": Node("mul", ("aside", "x")),
        "last": Node("sub", ("later", "asides")),
    },
    {"h": "last", "c": "asides"},
)


def test_every_combination_of_the_rule_and_no_other_is_drawn():
    """R18: sum, product or difference of an ancestor of the node and an ancestor of a random node A."""
    rng = random.Random(6)
    drawn = {CombineAncestors().apply(CELL, "current", rng).nodes["current"] for _ in range(5000)}
    own = ("inner", "x", "h")
    # "last" depends on all, of which "current" and "later" would close a cycle
    of_others = ("x", "h", "c", "inner", "aside", "asides")
    assert drawn == {
        Node(primitive, pair) for primitive in ("add", "sub", "mul") for pair in itertools.product(own, of_others)
    }


def test_users_follow_and_the_rest_stays():
    """R18: the node is replaced; its users take the new value."""
    rng = random.Random(7)
    for _ in range(50):
        child = CombineAncestors().apply(CELL, "current", rng)
        assert child.nodes["later"] == Node("relu", ("current",))
        kept = {name: node for name, node in child.nodes.items() if name != "current"}
        assert kept.items() <= CELL.nodes.items()
        assert ("inner" in child.nodes) == ("inner" in child.nodes["current"].operands)


def test_never_makes_a_cycle():
    """R18: guard against cycles."""
    rng = random.Random(8)
    num_draws = 0
    while num_draws < 2000:
        parent = random_structure(rng, rng.randint(2, 30), rng.randint(1, 3))
        for node in parent.nodes:
            child = CombineAncestors().apply(parent, node, rng)
            assert nx.is_directed_acyclic_graph(child.to_networkx())
            num_draws += 1


def test_kinds_of_combination_are_configurable():
    rng = random.Random(9)
    sums = CombineAncestors(primitives=("add",))
    assert {sums.apply(CELL, "current", rng).nodes["current"].primitive for _ in range(50)} == {"add"}
