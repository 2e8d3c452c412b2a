"""What drawings write at nodes."""

import pytest

from archsearch.drawing.labels import affine_label, start_texts, typeset
from archsearch.graph.structure import Node


@pytest.mark.parametrize(
    ("scale", "shift", "text"),
    [
        (-1.0, 1.0, "1 - z"),
        (0.5, 0.0, "0.5 * z"),
        (-1.0, 0.0, "-z"),
        (-2.0, 0.0, "-2 * z"),
        (1.0, 1.0, "z + 1"),
        (1.0, -1.0, "z - 1"),
        (2.0, -0.5, "2 * z - 0.5"),
        (-2.0, -1.0, "-2 * z - 1"),
        (1 / 3, 0.0, "0.3333333333333333 * z"),
        (0.0, 1.0, "0 * z + 1"),
        (1.0, 0.0, "z"),
    ],
)
def test_affine(scale, shift, text):
    node = Node("affine", ("z",), scale=scale, shift=shift)
    assert affine_label(node, "z") == text
    value = 0.375
    assert eval(text, {"z": value}) == scale * value + shift  # noqa: S307 - the texts above


def test_print_has_signs_of_its_own():
    assert typeset("-1 - 2 * z") == "\N{MINUS SIGN}1 \N{MINUS SIGN} 2 \N{MIDDLE DOT} z"


def test_start():
    assert start_texts(Node("linear", ("x",), 0.9, True, 1.0)) == ["diagonal 0.9", "bias 1"]
    assert start_texts(Node("linear", ("x",))) == ["bias"]
    assert start_texts(Node("linear", ("x",), bias=False)) == []
    assert start_texts(Node("peephole", ("x",), 1.0)) == ["diagonal 1"]
    assert start_texts(Node("peephole", ("x",), 1 / 3)) == ["diagonal 0.3333333333333333"]
