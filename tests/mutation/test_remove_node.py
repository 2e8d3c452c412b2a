import random

from archsearch.graph.structure import Node, Structure
from archsearch.mutation.remove_node import RemoveNode

CELL = Structure(
    ("h", "c"),
    {
        "once": Node("linear", ("x",)),
        "twice": Node("tanh", ("h",)),
        "square": Node("sigmoid", ("c",)),
        "squared": Node("mul", ("square", "square")),
        "sum": Node("add", ("once", "twice")),
        "difference": Node("sub", ("squared", "twice")),
        "output": Node("relu", ("sum",)),
        "shared": Node("relu", ("difference",)),
        "last": Node("add", ("output", "shared")),
    },
    {"h": "last", "c": "shared"},
)


def test_only_activations_used_once_can_be_removed():
    """R16: a node that has one input and one output; two slots of one user are two outputs, so is a new state."""
    assert [node for node in CELL.nodes if RemoveNode().applies(CELL, node)] == ["once", "output"]


def test_the_user_takes_the_operand():
    """R16: remove the node."""
    child = RemoveNode().apply(CELL, "once", random.Random(0))
    assert child.nodes == {name: node for name, node in CELL.nodes.items() if name != "once"} | {
        "sum": Node("add", ("x", "twice"))
    }
    assert child.new_states == CELL.new_states


def test_a_new_state_takes_the_operand():
    """R16: the one user may be a new state."""
    cell = Structure(("h",), {"sum": Node("add", ("x", "h")), "new": Node("tanh", ("sum",))}, {"h": "new"})
    child = RemoveNode().apply(cell, "new", random.Random(0))
    assert child == Structure(("h",), {"sum": Node("add", ("x", "h"))}, {"h": "sum"})
