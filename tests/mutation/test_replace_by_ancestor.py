import collections
import random

from archsearch.graph.structure import Node, Structure
from archsearch.mutation.replace_by_ancestor import ReplaceByAncestor

CELL = Structure(
    ("h", "c"),
    {
        "matrix": Node("linear", ("x",), 0.9, False, 0.0, "W"),
        "gate": Node("sigmoid", ("matrix",)),
        "gated": Node("mul", ("gate", "h")),
        "kept": Node("tanh", ("c",)),
        "new": Node("add", ("gated", "kept")),
    },
    {"h": "new", "c": "gated"},
)


def test_users_read_a_random_one_of_all_ancestors():
    """R17: replace the node by a random one of its ancestors, all nodes it depends on."""
    rng = random.Random(4)
    children = [ReplaceByAncestor().apply(CELL, "gated", rng) for _ in range(4000)]
    # read by both users of the node: another node, and the new state c
    assert all(child.new_states["c"] == child.nodes["new"].operands[0] for child in children)
    assert all("gated" not in child.nodes for child in children)
    counts = collections.Counter(child.new_states["c"] for child in children)
    assert set(counts) == {"x", "h", "matrix", "gate"}
    assert all(900 < count < 1100 for count in counts.values())


def test_the_graph_shrinks_to_what_is_still_reached():
    """R17: what nothing needs any more is dropped; a matrix carried over is the same matrix."""
    rng = random.Random(5)
    sizes = {}
    for _ in range(100):
        child = ReplaceByAncestor().apply(CELL, "gated", rng)
        sizes[child.new_states["c"]] = set(child.nodes)
        assert all(child.nodes[name] == CELL.nodes[name] for name in child.nodes if name != "new")
    assert sizes == {
        "x": {"kept", "new"},
        "h": {"kept", "new"},
        "matrix": {"matrix", "kept", "new"},
        "gate": {"matrix", "gate", "kept", "new"},
    }
