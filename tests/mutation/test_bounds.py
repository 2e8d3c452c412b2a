import pytest

from archsearch.errors import ConfigError
from archsearch.graph.structure import Node, Structure
from archsearch.mutation.bounds import Bounds

# tanh RNN: at 128 units 2 x 128 x 128 + 128 parameters; the sum, the bias and tanh add 128 operations each
TANH = Structure(
    ("h",),
    {
        "a": Node("linear", ("x",)),
        "b": Node("linear", ("h",), bias=False),
        "sum": Node("add", ("a", "b")),
        "new": Node("tanh", ("sum",)),
    },
    {"h": "new"},
)
EXACT = {"max_nodes": 4, "max_parameters": 32_896, "max_multiply_adds": 33_152}


def test_a_cell_exactly_at_its_bounds_is_allowed():
    assert Bounds(**EXACT).violation(TANH) is None


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("max_nodes", "4 nodes, at most 3 are allowed"),
        ("max_parameters", "32896 parameters, at most 32895 are allowed"),
        ("max_multiply_adds", "33152 multiply-adds, at most 33151 are allowed"),
    ],
)
def test_one_more_is_not(field, message):
    assert Bounds(**{**EXACT, field: EXACT[field] - 1}).violation(TANH) == message


def test_a_bound_of_zero_is_refused():
    with pytest.raises(ConfigError, match="bounds: max_nodes must be at least 1, got 0"):
        Bounds(0, 1, 1)
