"""What the elementwise primitives are in C, with their derivatives."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Formula:
    """One primitive on vectors.

    Attributes:
        value: C for the result, of `{a}` and `{b}`, the operands.
        gradients: C for the gradient of each operand, of `{g}`, the result's gradient, of `{y}`, the result, and of
            `{a}` and `{b}`. Written as torch computes it, so that infinities become NaN in the same places.
    """

    value: str
    gradients: tuple[str, ...]

    @property
    def read_backward(self) -> frozenset[str]:
        """Which of `a`, `b` and `y` the gradients need."""
        return frozenset(name for text in self.gradients for name in re.findall(r"{([aby])}", text))


FORMULAS: dict[str, Formula] = {
    "tanh": Formula("tanh_({a})", ("{g} * (1 - {y} * {y})",)),
    "sigmoid": Formula("sigmoid({a})", ("{g} * (1 - {y}) * {y}",)),
    "relu": Formula("relu({a})", ("where_positive({y}, {g})",)),
    "add": Formula("{a} + {b}", ("{g}", "{g}")),
    "sub": Formula("{a} - {b}", ("{g}", "-{g}")),
    "mul": Formula("{a} * {b}", ("{g} * {b}", "{g} * {a}")),
}
