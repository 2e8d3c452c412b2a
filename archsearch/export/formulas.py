"""What a node computes, as an expression of torch."""

from dataclasses import dataclass

from archsearch.compiler.program import AFFINE, PEEPHOLE
from archsearch.graph.number_text import ATOM, PRODUCT, SUM, affine_text

_FUNCTIONS = {
    "tanh": "torch.tanh({})",
    "sigmoid": "torch.sigmoid({})",
    "relu": "torch.relu({})",
    "leaky_relu": "nn.functional.leaky_relu({}, 0.01)",
}
_SYMBOLS = {"add": ("+", SUM), "sub": ("-", SUM), "mul": ("*", PRODUCT)}


@dataclass(frozen=True, slots=True)
class Expression:
    """A piece of Python.

    Attributes:
        text: As it stands in the source.
        binding: `SUM`, `PRODUCT` or `ATOM`.
    """

    text: str
    binding: int = ATOM

    def within(self, binding: int) -> str:
        """Returns the text, in brackets where it holds together less tightly than its surroundings ask."""
        return self.text if self.binding >= binding else f"({self.text})"


def write_formula(operation: str, operands: tuple[Expression, ...], constants: tuple[float, ...]) -> Expression:
    """Writes one instruction that has no product; the weight of a `peephole` is its second operand."""
    if operation in _FUNCTIONS:
        return Expression(_FUNCTIONS[operation].format(operands[0].text))
    if operation == AFFINE:
        scale, shift = constants
        return Expression(*affine_text(scale, shift, operands[0].within))
    if operation == PEEPHOLE:
        value, weight = operands
        return Expression(f"{weight.text} * {value.within(ATOM)}", PRODUCT)
    symbol, binding = _SYMBOLS[operation]
    first, second = operands
    # reading goes from left to right, so a right operand that binds no tighter needs its brackets
    return Expression(f"{first.within(binding)} {symbol} {second.within(binding + 1)}", binding)
