import collections
import random

import pytest

from archsearch.errors import ConfigError
from archsearch.graph.structure import Node, Structure
from archsearch.mutation.swap_elementwise import SwapElementwise


def drawn_from(primitive: str, num_draws: int) -> collections.Counter[Node]:
    cell = Structure(("h",), {"new": Node(primitive, ("x", "h"))}, {"h": "new"})
    rng = random.Random(2)
    return collections.Counter(SwapElementwise().apply(cell, "new", rng).nodes["new"] for _ in range(num_draws))


def test_a_difference_becomes_a_sum_or_a_product():
    """R14: an elementwise node becomes a different one of multiply, add, subtract."""
    drawn = drawn_from("sub", 1000)
    assert set(drawn) == {Node("add", ("x", "h")), Node("mul", ("x", "h"))}
    assert all(430 < count < 570 for count in drawn.values())


@pytest.mark.parametrize(("old", "other"), [("add", "mul"), ("mul", "add")])
def test_a_sum_or_product_becomes_a_difference_either_way_round(old, other):
    """R14: the operands of a sum have no order, so the difference draws one."""
    drawn = drawn_from(old, 2000)
    assert set(drawn) == {Node(other, ("x", "h")), Node("sub", ("x", "h")), Node("sub", ("h", "x"))}
    assert 900 < drawn[Node(other, ("x", "h"))] < 1100
    assert 430 < drawn[Node("sub", ("x", "h"))] < 570


def test_applies_to_elementwise_nodes_only():
    nodes = {"matrix": Node("linear", ("x",)), "sum": Node("add", ("matrix", "h")), "new": Node("tanh", ("sum",))}
    cell = Structure(("h",), nodes, {"h": "new"})
    assert [node for node in cell.nodes if SwapElementwise().applies(cell, node)] == ["sum"]
    assert not SwapElementwise(primitives=("add",)).applies(cell, "sum")


def test_an_unknown_primitive_is_refused():
    with pytest.raises(ConfigError, match=r"elementwise primitives out of add, sub, mul, got \['tanh'\]"):
        SwapElementwise(primitives=("tanh",))
