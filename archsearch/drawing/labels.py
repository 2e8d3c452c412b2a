"""What a drawing writes at a node."""

from archsearch.graph.structure import Node

SYMBOLS = {"add": "+", "sub": "-", "mul": "*"}
_TYPESET = str.maketrans({"-": "\N{MINUS SIGN}", "*": "\N{MIDDLE DOT}"})


def typeset(text: str) -> str:
    """Returns a short formula with the signs that print has for minus and times."""
    return text.translate(_TYPESET)


def affine_text(node: Node, operand: str) -> str:
    """Returns the value of an `affine` in terms of its operand: `1 - z`, `0.5 * z`, `-z`."""
    scale, shift = node.scale, node.shift
    size = operand if abs(scale) == 1 else f"{abs(scale):g} * {operand}"
    if not shift:
        return f"-{size}" if scale < 0 else size
    return f"{shift:g} - {size}" if scale < 0 else f"{size} {'-' if shift < 0 else '+'} {abs(shift):g}"


def start_texts(node: Node) -> list[str]:
    """Returns what is known of a node's weights before training: a bias, a diagonal."""
    texts = [f"diagonal {node.diagonal:g}"] if node.diagonal else []
    if node.primitive == "linear" and node.bias:
        texts.append(f"bias {node.bias_init:g}" if node.bias_init else "bias")
    return texts
