"""Cells in which engines went wrong, or could: `from shared_corners import CORNERS_AS_GRAPHS`."""

from shared_unrolling import AWKWARD_CELLS

from archsearch.graph.equations import parse_equations
from archsearch.graph.structure import Node, Structure

CORNERS = {
    "squares of the state and of x": "h' = tanh(linear(h * h) + x * x)",
    "x bare and in a matrix": "h' = tanh(linear(x) + x * h)",
    "x less x": "h' = tanh(x - x + h)",
    "a value less itself in the step": "a = linear(h)\nh' = tanh(a - a + x) + a * a",
    "a product is the new state": "h' = linear(h)",
    "a product of x is the output": "c' = linear(x)\nh' = c'",
    "a sum of products is the new state": "c' = linear(x, c)\nh' = c' + linear(h)",
    "no matrix at all": "g = sigmoid(h + x)\nh' = g * h + x - g * x",
    "two states of one value": "t = tanh(linear(x, h) + linear(c))\nc' = t\nh' = t",
    "three states of one value, two unread": "t = tanh(linear(x, h))\nc' = t\nd' = t\nh' = t",
    "one matrix with two users": "m = linear(h)\nh' = tanh(m) * sigmoid(m) + m * x",
    "one matrix of x with two users": "m = linear(x)\nh' = tanh(m + h) * sigmoid(m) + m",
    "states exchanged through a matrix": "c' = h\nh' = tanh(linear(c) + x)",
    "four terms in one sum": "h' = tanh(linear(x, h) + linear(c) + x + h)\nc' = linear(x) + linear(h) + linear(c) + h",
    "a product added to a product of itself": "a = linear(h)\nh' = tanh(linear(a) + a + x)",
    "a matrix of a matrix": "h' = tanh(linear(linear(linear(x, h))))",
    "biases only where asked": "h' = tanh(linear(x, bias=no) + linear(h, bias=no) + linear(h, bias_init=1))",
    "a delayed step value in the epilogue": "c' = tanh(linear(x, c))\nd' = c'\nh' = linear(d) + d * c'",
    "a delay of a delay, read twice": "c' = tanh(linear(x))\nd' = c\ne' = d\nh' = linear(e) * e + linear(c) * e",
    "a delay in front of a recurrence": "c' = tanh(linear(x))\nh' = tanh(linear(c) + linear(h)) + c",
    "the output is read by the epilogue": "c' = tanh(linear(x, c))\nh' = relu(linear(c')) * c'",
    "an old state is the output": "c' = tanh(linear(x, c))\nh' = c",
    "a state called as a gradient could be": "d_h' = tanh(linear(x, h)) + 0.9 * d_h\nh' = h + d_h'",
    "rectified": "h' = relu(linear(x, h)) - relu(linear(h))",
}
CORNERS_AS_GRAPHS = {name: parse_equations(equations) for name, equations in CORNERS.items()} | AWKWARD_CELLS
CORNERS_AS_GRAPHS["a matrix that nothing reads"] = Structure(
    ("h",),
    {"t": Node("tanh", ("x",)), "dead": Node("linear", ("h",)), "deader": Node("linear", ("x",), 0.9, False)},
    {"h": "t"},
)
CORNERS_AS_GRAPHS["one of three packed matrices is dead"] = Structure(
    ("h",),
    {
        "a": Node("linear", ("h",)),
        "dead": Node("linear", ("h",)),
        "b": Node("linear", ("h",)),
        "p": Node("mul", ("a", "b")),
        "s": Node("add", ("p", "x")),
        "t": Node("tanh", ("s",)),
    },
    {"h": "t"},
)
