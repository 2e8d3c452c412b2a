"""Cells as pictures."""

import random
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_cells import random_structure

from archsearch.drawing import shapes
from archsearch.drawing.svg import to_svg
from archsearch.graph.catalog import zoo_cell, zoo_names
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.structure import Node, Structure

GOLDEN = Path(__file__).parent / "golden" / "mut1.svg"
NAMESPACE = "{http://www.w3.org/2000/svg}"


def parsed(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)  # noqa: S314 - our own text


def outlines(picture: str) -> list[ElementTree.Element]:
    return [element for element in parsed(picture).iter() if "node" in element.get("class", "").split()]


def box(element: ElementTree.Element) -> tuple[float, float, float, float]:
    """Returns the left, right, top and bottom of an outline."""
    if element.tag == f"{NAMESPACE}circle":
        x, y, r = (float(element.get(key, "")) for key in ("cx", "cy", "r"))
        return x - r, x + r, y - r, y + r
    if element.tag == f"{NAMESPACE}polygon":
        corners = [tuple(map(float, corner.split(","))) for corner in element.get("points", "").split()]
        return (*(f(x for x, _ in corners) for f in (min, max)), *(f(y for _, y in corners) for f in (min, max)))
    x, y, width, height = (float(element.get(key, "")) for key in ("x", "y", "width", "height"))
    return x, x + width, y, y + height


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in parsed(picture).iter(f"{NAMESPACE}text")]


def test_golden():
    assert to_svg(zoo_cell("mut1"), ["z", "h'"]) == GOLDEN.read_text(encoding="utf-8")


def assert_is_sane(cell: CellGraph) -> None:
    picture = to_svg(cell)
    found = outlines(picture)
    assert len(found) == 1 + 2 * len(cell.states) + len(cell.nodes)
    left, top, width, height = map(float, parsed(picture).get("viewBox", "").split())
    assert (left, top) == (0, 0)
    boxes = [box(element) for element in found]
    for index, one in enumerate(boxes):
        assert 0 < one[0] < one[1] < width
        assert 0 < one[2] < one[3] < height
        for two in boxes[:index]:
            assert one[1] <= two[0] or two[1] <= one[0] or one[3] <= two[2] or two[3] <= one[2], "two nodes overlap"


@pytest.mark.parametrize("name", zoo_names())
def test_cells_of_the_zoo(name):
    assert_is_sane(zoo_cell(name))


@given(st.integers(0, 10**9), st.integers(1, 40), st.integers(1, 4))
def test_random_cells(seed, num_nodes, num_states):
    assert_is_sane(CellGraph.from_structure(random_structure(random.Random(seed), num_nodes, num_states)))


def ends_of_wires(picture: str) -> list[tuple[float, float]]:
    """Returns where pieces of wire end."""
    ends = []
    for path in parsed(picture).iter(f"{NAMESPACE}path"):
        if "wire" in path.get("class", "").split() and "dot" not in path.get("class", ""):
            for piece in path.get("d", "").split("M")[1:]:
                numbers = [float(number) for number in re.findall(r"-?[\d.]+", piece)]
                is_level = "H" in piece.rpartition("C")[2]  # at its end, or as a whole
                ends.append((numbers[-1], numbers[-2]) if is_level else (numbers[-2], numbers[-1]))
    return ends


@given(st.integers(0, 10**9), st.integers(1, 30))
def test_each_operand_comes_in_at_its_own_place(seed, num_nodes):
    cell = CellGraph.from_structure(random_structure(random.Random(seed), num_nodes, 2))
    picture = to_svg(cell)
    ends = ends_of_wires(picture)
    for element in outlines(picture):
        x_least, x_most, y_least, y_most = box(element)
        entered = {
            end for end in ends if x_least - 0.2 <= end[0] < (x_least + x_most) / 2 and y_least <= end[1] <= y_most
        }
        title = next(group[0].text or "" for group in parsed(picture).iter(f"{NAMESPACE}g") if _holds(group, element))
        expected = len(title.partition("(")[2].split(", ")) if "(" in title else int(title.startswith("next"))
        assert len(entered) == expected, title


def _holds(group: ElementTree.Element, outline: ElementTree.Element) -> bool:
    return ElementTree.tostring(group[1]) == ElementTree.tostring(outline)


def test_nothing_is_loaded_and_nothing_runs():
    picture = to_svg(zoo_cell("lstm"))
    for word in ("<script", "href", "url(", "@import", "@font-face", "<image", "onload"):
        assert word not in picture
    assert re.findall(r"https?://[^\"]*", picture) == ["http://www.w3.org/2000/svg"]


def test_changed_parts_are_marked():
    cell = zoo_cell("gru")
    marked = [
        element.get("class")
        for element in outlines(to_svg(cell, ["z", "linear_1", "h'"]))
        if "changed" in element.get("class", "")
    ]
    assert sorted(marked) == ["activation node gate changed", "matrix node changed", "state node changed"]
    assert not any("changed" in element.get("class", "") for element in outlines(to_svg(cell)))


def marked_as_gates(cell: CellGraph) -> list[str]:
    groups = parsed(to_svg(cell)).iter(f"{NAMESPACE}g")
    return sorted(group[2].text or "" for group in groups if "gate" in group[1].get("class", "").split())


def test_gates_and_the_products_they_rule_are_marked():
    assert marked_as_gates(zoo_cell("gru")) == [
        "sigmoid",
        "sigmoid",
        "\N{MULTIPLICATION SIGN}",
        "\N{MULTIPLICATION SIGN}",
    ]
    assert marked_as_gates(CellGraph.from_equations("z = sigmoid(linear(x))\nh' = (1 - z) * h")) == [
        "sigmoid",
        "\N{MULTIPLICATION SIGN}",
    ]
    assert marked_as_gates(CellGraph.from_equations("h' = tanh(linear(x, h)) * sigmoid(x)")) == [
        "sigmoid",
        "\N{MULTIPLICATION SIGN}",
    ]
    assert marked_as_gates(CellGraph.from_equations("h' = sigmoid(linear(x)) + tanh(x) * h")) == []


def test_inline_pictures_leave_the_style_to_the_page():
    bare = to_svg(zoo_cell("gru"), is_inline=True)
    assert re.search(r'style="--wide: ([\d.]+)px" width="\1"', bare)
    assert "<style" not in bare
    assert "http" not in bare
    assert "fill=" not in bare
    assert not re.search(r"stroke=|#[0-9a-f]{6}", bare)


def test_matrices_and_values_have_their_names():
    shown = texts(to_svg(zoo_cell("gru")))
    assert {"reset_1", "update_2", "new_1", "r", "z", "n", "h'", "bias"} <= {*shown}
    found = texts(to_svg(zoo_cell("gru").canonical()))
    assert {"linear_1", "g1", "g2", "g3"} <= {*found}, "the names are those that the equations give"


def test_a_matrix_is_not_called_after_what_stood_in_its_place():
    nodes = {"relu_1": Node("linear", ("x",)), "tanh_1": Node("tanh", ("relu_1",))}
    shown = texts(to_svg(CellGraph.from_structure(Structure(("h",), nodes, {"h": "tanh_1"}))))
    assert "linear" in shown
    assert "relu_1" not in shown


def test_the_slots_of_a_difference_are_marked():
    picture = to_svg(CellGraph.from_equations("h' = tanh(x) - h"))
    signs = {
        element.text: float(element.get("y", ""))
        for element in parsed(picture).iter(f"{NAMESPACE}text")
        if element.get("class") == "slot"
    }
    heights = {text.text: float(text.get("y", "")) for text in parsed(picture).iter(f"{NAMESPACE}text")}
    assert {*signs} == {"+", "\N{MINUS SIGN}"}
    assert (signs["+"] < signs["\N{MINUS SIGN}"]) == (heights["tanh"] < heights["h"])


def test_affine_and_peephole_have_shapes_of_their_own():
    picture = to_svg(CellGraph.from_equations("z = sigmoid(peephole(h, diagonal=0.5) + x)\nh' = (1 - z) * h"))
    assert "1 \N{MINUS SIGN} a" in texts(picture)
    assert "diagonal 0.5" in texts(picture)
    shapes = {element.get("class"): element.tag.removeprefix(NAMESPACE) for element in outlines(picture)}
    assert shapes["peephole node"] == "polygon"
    assert shapes["affine node"] == "rect"


def test_names_are_escaped(monkeypatch):
    """No checked cell has such a name; the picture does not rely on it."""
    evil = '<script>"&'
    cell = object.__new__(CellGraph)
    cell._structure = Structure(
        ("h",), {"a": Node("linear", ("h",), weights=evil), "b": Node("mul", ("a", "x"))}, {"h": "b"}
    )
    monkeypatch.setattr(shapes, "printed_names", lambda _structure: {"a": evil, "b": evil})
    picture = to_svg(cell)
    assert texts(picture).count(evil) == 2
    assert "<script" not in picture


def test_long_names_are_cut_and_stay_whole_in_the_tooltip():
    name = "a" * 50
    picture = to_svg(CellGraph.from_equations(f"{name} = tanh(x)\nh' = {name} * h"))
    assert "a" * 23 + "…" in texts(picture)
    assert any(title.text == f"{name} = tanh(x)" for title in parsed(picture).iter(f"{NAMESPACE}title"))
