"""What a node computes, as an expression of torch."""

from dataclasses import dataclass

from archsearch.compiler.program import AFFINE, PEEPHOLE

SUM, PRODUCT, ATOM = 1, 2, 3  # how tightly an expression holds together

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
        return _affine(operands[0], *constants)
    if operation == PEEPHOLE:
        value, weight = operands
        return Expression(f"{weight.text} * {value.within(ATOM)}", PRODUCT)
    symbol, binding = _SYMBOLS[operation]
    first, second = operands
    # reading goes from left to right, so a right operand that binds no tighter needs its brackets
    return Expression(f"{first.within(binding)} {symbol} {second.within(binding + 1)}", binding)


def _affine(value: Expression, scale: float, shift: float) -> Expression:
    """Writes `1 - z`, `0.5 * a`, `2 * a + 1`, `-a`, as a person would."""
    size = value.within(PRODUCT) if abs(scale) == 1 else f"{_number(abs(scale))} * {value.within(ATOM)}"
    if scale < 0 and shift:
        return Expression(f"{_number(shift)} - {size}", SUM)
    if scale < 0:
        size = f"-{value.within(ATOM)}" if scale == -1 else f"-{size}"
    if not shift:
        return Expression(size, PRODUCT)
    return Expression(f"{size} {'+' if shift > 0 else '-'} {_number(abs(shift))}", SUM)


def _number(value: float) -> str:
    return repr(float(value)).removesuffix(".0")
