"""What a drawing writes at a node."""

from archsearch.graph.number_text import affine_text, number_text
from archsearch.graph.structure import Node

SYMBOLS = {"add": "+", "sub": "-", "mul": "*"}
_TYPESET = str.maketrans({"-": "\N{MINUS SIGN}", "*": "\N{MIDDLE DOT}"})


def typeset(text: str) -> str:
    """Returns a short formula with the signs that print has for minus and times."""
    return text.translate(_TYPESET)


def affine_label(node: Node, operand: str) -> str:
    """Returns the value of an `affine` in terms of its operand: `1 - z`, `0.5 * z`, `-z`."""
    text, _ = affine_text(node.scale, node.shift, lambda _: operand)
    return text


def start_texts(node: Node) -> list[str]:
    """Returns what is known of a node's weights before training: a bias, a diagonal."""
    texts = [f"diagonal {number_text(node.diagonal)}"] if node.diagonal else []
    if node.primitive == "linear" and node.bias:
        texts.append(f"bias {number_text(node.bias_init)}" if node.bias_init else "bias")
    return texts
