"""What the elementwise primitives are in C, and mostly in Python too, with their derivatives."""

import re
from dataclasses import dataclass

from archsearch.compiler.program import AFFINE, Instruction


@dataclass(frozen=True, slots=True)
class Formula:
    """One primitive on vectors.

    Attributes:
        value: C for the result, of `{a}` and `{b}`, the operands; of a peephole `{b}` is its vector.
        gradients: C for the gradient of each operand, of `{g}`, the result's gradient, of `{y}`, the result, and of
            `{a}` and `{b}`. Written as torch computes it, so that infinities become NaN in the same places.
    """

    value: str
    gradients: tuple[str, ...]

    @property
    def read_backward(self) -> frozenset[str]:
        """Which of `a`, `b` and `y` the gradients need."""
        return frozenset(name for text in self.gradients for name in re.findall(r"{([aby])}", text))


_FORMULAS: dict[str, Formula] = {
    "tanh": Formula("tanh_({a})", ("{g} * (1 - {y} * {y})",)),
    "sigmoid": Formula("sigmoid({a})", ("{g} * (1 - {y}) * {y}",)),
    "relu": Formula("relu({a})", ("where_positive({y}, {g})",)),
    "leaky_relu": Formula("leaky_relu({a})", ("leaky_where_positive({y}, {g})",)),
    "peephole": Formula("{a} * {b}", ("{g} * {b}", "{g} * {a}")),
    "add": Formula("{a} + {b}", ("{g}", "{g}")),
    "sub": Formula("{a} - {b}", ("{g}", "-{g}")),
    "mul": Formula("{a} * {b}", ("{g} * {b}", "{g} * {a}")),
}


def formula_of(instruction: Instruction, constant: str = "(REAL){}") -> Formula:
    """Returns the formula of an elementwise instruction, its constants written into it as `constant` says."""
    if instruction.operation != AFFINE:
        return _FORMULAS[instruction.operation]
    scale, shift = (constant.format(repr(number)) for number in instruction.constants)
    return Formula(f"{{a}} * {scale} + {shift}", (f"{{g}} * {scale}",))
