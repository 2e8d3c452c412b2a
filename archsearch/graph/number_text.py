"""Numbers, and `scale * a + shift`, as a person writes them: in equations, in source code, at a drawing's nodes."""

from collections.abc import Callable

SUM, PRODUCT, ATOM = 1, 2, 3  # how tightly an expression holds together


def number_text(value: float) -> str:
    """Returns the shortest text that reads back as the same number: `1`, `0.5`, `0.3333333333333333`."""
    return repr(float(value)).removesuffix(".0")


def affine_text(scale: float, shift: float, operand: Callable[[int], str]) -> tuple[str, int]:
    """Writes `scale * a + shift`: `1 - a`, `-a`, `2 * a - 1`.

    Args:
        scale: The factor.
        shift: What is added.
        operand: Returns the text of `a`, in parentheses where it holds together less tightly than it is asked to.

    Returns:
        The text and how tightly it holds together.
    """
    size = f"{number_text(abs(scale))} * " if abs(scale) != 1.0 else ""
    if scale < 0 < shift:
        return f"{number_text(shift)} - {size}{operand(ATOM if size else PRODUCT)}", SUM
    sign = "-" if scale < 0 else ""
    if shift:
        scaled = f"{sign}{size}{operand(ATOM)}" if sign or size else operand(SUM)
        return f"{scaled} {'-' if shift < 0 else '+'} {number_text(abs(shift))}", SUM
    # a sign in front needs parentheses wherever a sum does
    return f"{sign}{size}{operand(ATOM if sign or size else PRODUCT)}", SUM if sign else PRODUCT
