"""The closed table of what a node of a cell can compute.

A new primitive is a new row here, its formula in the compiler, and nothing else.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Primitive:
    """One kind of node computation.

    Attributes:
        name: As written in equations and files.
        arity: How many operands it takes.
        kind: `activation` (one operand), `elementwise` (two operands of equal width) or `affine` (one operand and two
            constants).
        commutative: Whether the operands may be exchanged.
        has_weights: Whether each node carries parameters of its own.
        formula: The value in terms of the operands `a` and `b`, for people.
        attributes: The fields of `Node` that mean something for it.
    """

    name: str
    arity: int
    kind: str
    commutative: bool
    has_weights: bool
    formula: str
    attributes: tuple[str, ...] = ()


_ROWS = (
    Primitive("tanh", 1, "activation", False, False, "tanh(a)"),
    Primitive("sigmoid", 1, "activation", False, False, "1 / (1 + exp(-a))"),
    Primitive("relu", 1, "activation", False, False, "max(a, 0)"),
    Primitive("leaky_relu", 1, "activation", False, False, "max(a, 0.01 a)"),
    Primitive("linear", 1, "activation", False, True, "W a + b", ("diagonal", "bias", "bias_init", "weights")),
    Primitive("peephole", 1, "activation", False, True, "w a, unit by unit", ("diagonal", "weights")),
    Primitive("affine", 1, "affine", False, False, "scale a + shift", ("scale", "shift")),
    Primitive("add", 2, "elementwise", True, False, "a + b"),
    Primitive("sub", 2, "elementwise", False, False, "a - b"),
    Primitive("mul", 2, "elementwise", True, False, "a * b"),
)

PRIMITIVES: dict[str, Primitive] = {row.name: row for row in _ROWS}
