"""Numbers among the operands of an equation: what a value is scaled by and shifted to before it is a node."""

import math
from dataclasses import dataclass, replace

from archsearch.graph.checks import MAX_CONSTANT
from archsearch.graph.source_text import MistakeError, Token
from archsearch.graph.structure import Node


@dataclass(frozen=True, slots=True)
class Operand:
    """A part of an expression: `scale * value + shift`.

    Attributes:
        value: The name of a value; None for a number alone, which is `shift`.
        scale: The factor; 0 without a value, never 0 with one.
        shift: What is added.
        column: Where a number alone begins; means nothing with a value.
    """

    value: str | None
    scale: float
    shift: float
    column: int

    @property
    def node(self) -> Node | None:
        """The node that computes it, None where that is the value itself."""
        assert self.value is not None, "a number alone is no value of a cell"
        if (self.scale, self.shift) == (1.0, 0.0):
            return None
        return Node("affine", (self.value,), scale=self.scale, shift=self.shift)

    def negated(self) -> "Operand":
        """Returns it with the sign turned."""
        # + 0.0 makes a zero of a minus zero
        return Operand(self.value, -self.scale + 0.0, -self.shift + 0.0, self.column)

    def plus(self, other: "Operand", sign: int) -> "Operand | None":
        """Returns `self + sign * other`, None where both have values.

        Raises:
            MistakeError: The number would be too large.
        """
        if self.value is not None and other.value is not None:
            return None
        if self.value is None and other.value is not None:
            return (other if sign > 0 else other.negated())._shifted(self.shift, self.column)
        return self._shifted(sign * other.shift, other.column)

    def times(self, other: "Operand") -> "Operand | None":
        """Returns `self * other`, None where both have values.

        Raises:
            MistakeError: The number would be too large, or 0, so that the value no longer counts.
        """
        if self.value is not None and other.value is not None:
            return None
        number, scaled = (self, other) if self.value is None else (other, self)
        scale = checked_constant(scaled.scale * number.shift, number.column)
        if scaled.value is not None and not scale:
            message = "a value belongs here: times 0, the other factor no longer counts. Remove the product."
            raise MistakeError(number.column, message)
        shift = checked_constant(scaled.shift * number.shift, number.column)
        return Operand(scaled.value, scale, shift + 0.0, self.column)

    def _shifted(self, shift: float, column: int) -> "Operand":
        return replace(self, shift=checked_constant(self.shift + shift, column))


def operand_of_value(value: str) -> Operand:
    """Returns a value as it is."""
    return Operand(value, 1.0, 0.0, 0)


def operand_of_number(token: Token) -> Operand:
    """Returns a number alone.

    Raises:
        MistakeError: It is too large.
    """
    return Operand(None, 0.0, checked_constant(float(token.text), token.column, token.text), token.column)


def checked_constant(value: float, column: int, text: str = "") -> float:
    """Returns a number that a node may have.

    Raises:
        MistakeError: It is too large.
    """
    if not math.isfinite(value) or abs(value) > MAX_CONSTANT:
        shown = text[:30] or f"{value:.10g}"
        raise MistakeError(column, f"expected a number of at most {MAX_CONSTANT:g} in size, got {shown}.")
    return value
