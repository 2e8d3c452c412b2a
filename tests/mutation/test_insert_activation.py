import collections
import random

from archsearch.graph.structure import Node, Structure
from archsearch.mutation.insert_activation import InsertActivation

# h' = t * t - (t + x), t = tanh(h): t has three users, and stands twice in one of them
CELL = Structure(
    ("h",),
    {
        "t": Node("tanh", ("h",)),
        "square": Node("mul", ("t", "t")),
        "sum": Node("add", ("t", "x")),
        "new": Node("sub", ("square", "sum")),
    },
    {"h": "new"},
)


def test_one_slot_of_the_node_gets_an_activation():
    """R15: a random activation between the node and one of its parents; other uses of that parent stay."""
    rng = random.Random(3)
    slots, activations = collections.Counter(), collections.Counter()
    for _ in range(2100):
        child = InsertActivation().apply(CELL, "square", rng)
        (inserted,) = set(child.nodes) - set(CELL.nodes)
        assert child.nodes[inserted].operands == ("t",)
        assert {name: child.nodes[name] for name in ("t", "sum", "new")} == {
            name: CELL.nodes[name] for name in ("t", "sum", "new")
        }
        slots[child.nodes["square"].operands.index(inserted)] += 1
        assert child.nodes["square"].operands.count("t") == 1
        activations[child.nodes[inserted]] += 1
    assert 970 < slots[0] < 1130
    assert set(activations) == {
        *(Node(primitive, ("t",)) for primitive in ("tanh", "sigmoid", "relu")),
        *(Node("linear", ("t",), diagonal, True, 0.0) for diagonal in (0.0, 1.0, 0.9, 1.1)),
    }
    assert all(240 < count < 360 for count in activations.values())


def test_old_states_and_x_can_be_wrapped_too():
    """R15: a parent of a node may be an input of the cell."""
    child = InsertActivation(activations=("relu",)).apply(CELL, "t", random.Random(0))
    assert child.nodes["t"] == Node("tanh", ("relu_1",))
    assert child.nodes["relu_1"] == Node("relu", ("h",))


def test_the_node_keeps_what_it_carries():
    nodes = {"new": Node("affine", ("x",), scale=-1.0, shift=1.0)}
    child = InsertActivation(activations=("leaky_relu",)).apply(
        Structure(("h",), nodes, {"h": "new"}), "new", random.Random(0)
    )
    assert child.nodes == {
        "leaky_relu_1": Node("leaky_relu", ("x",)),
        "new": Node("affine", ("leaky_relu_1",), scale=-1.0, shift=1.0),
    }


def test_a_new_name_never_hides_an_old_one():
    cell = Structure(("h", "relu_2"), {"relu_1": Node("add", ("x", "h"))}, {"h": "relu_1", "relu_2": "relu_1"})
    child = InsertActivation(activations=("relu",)).apply(cell, "relu_1", random.Random(0))
    assert set(child.nodes) == {"relu_1", "relu_3"}
