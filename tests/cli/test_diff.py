"""`archsearch diff` and what `archsearch show` says, as a person uses them."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from archsearch.drawing.markup import to_dot, to_mermaid
from archsearch.graph.catalog import zoo_cell
from archsearch.graph.difference import find_difference
from archsearch.run.reading import load_run

RENAMED = "a = sigmoid(linear(x, h))\nz = sigmoid(linear(x, h))\nn = tanh(linear(x, a * h))\nh' = n + z * (h - n)\n"


def rows(text: str) -> dict[str, str]:
    """Returns the facts at the end of what was printed."""
    pairs = (line.split("  ", 1) for line in text.splitlines() if "  " in line)
    return {pair[0]: pair[1].strip() for pair in pairs}


def test_changes_in_equations_on_the_drawing_and_in_costs(archsearch):
    outcome = archsearch("diff", "cell=gru", "other=mut1")
    assert outcome.code == 0
    for line in ("from gru to mut1", "- z = sigmoid(linear(x, h))", "+ z = sigmoid(linear(x))"):
        assert line in outcome.out.splitlines()
    starred = [line.split("* ", 1)[1] for line in outcome.out.splitlines() if "   * " in line]
    assert "z = sigmoid(v1)" in starred
    assert not any(text.startswith("r = ") for text in starred)
    facts = rows(outcome.out)
    assert facts["parameters at 128"] == "98,688 → 65,920"
    assert facts["depth in nodes"] == "10"


def test_widths_of_ones_own(archsearch):
    outcome = archsearch("diff", "cell=gru", "other=mut1", "hidden_size=2", "input_size=1")
    assert rows(outcome.out)["parameters at I = 1, H = 2"] == f"{3 * 2 + 3 * 4 + 3 * 2} → {3 * 2 + 2 * 4 + 3 * 2}"


def test_the_picture_marks_what_changed(archsearch):
    outcome = archsearch("diff", "cell=gru", "other=mut1", "out=pictures/changes.svg")
    assert outcome.code == 0
    assert "Wrote pictures/changes.svg" in outcome.out
    root = ElementTree.parse("pictures/changes.svg").getroot()  # noqa: S314 - our own file
    marked = [element.get("class") for element in root.iter() if "changed" in element.get("class", "")]
    assert "matrix node changed" in marked
    assert 0 < len(marked) < 8
    again = archsearch("diff", "cell=gru", "other=mut1", "out=pictures/changes.svg")
    assert again.code == 2
    assert "exists" in again.err


@pytest.mark.parametrize(("name", "draw"), [("changes.dot", to_dot), ("changes.mmd", to_mermaid)])
def test_drawing_programs_get_the_marks_too(name, draw, archsearch):
    assert archsearch("diff", "cell=gru", "other=mut1", f"out={name}").code == 0
    text = Path(name).read_text(encoding="utf-8")
    difference = find_difference(zoo_cell("gru"), zoo_cell("mut1"))
    assert text == draw(difference.after, difference.changed_after)
    assert text != draw(difference.after)


def test_other_names(archsearch):
    Path("mine.eq").write_text(RENAMED, encoding="utf-8")
    outcome = archsearch("diff", "cell=gru", "other=mine.eq")
    assert outcome.code == 0
    assert "only names differ: names of weights, r is a." in outcome.out


def test_another_spelling(archsearch):
    Path("mine.eq").write_text(RENAMED.replace("n + z * (h - n)", "z * h + (n - z * n)"), encoding="utf-8")
    outcome = archsearch("diff", "cell=gru", "other=mine.eq")
    assert outcome.code == 0
    assert "spelt differently" in outcome.out
    assert "  h' = z * h + (n - z * n)" in outcome.out


def test_another_order_of_lines_and_none(archsearch):
    lines = RENAMED.splitlines()
    Path("mine.eq").write_text(RENAMED, encoding="utf-8")
    Path("copy.eq").write_text(RENAMED, encoding="utf-8")
    Path("turned.eq").write_text("\n".join([lines[1], lines[0], *lines[2:]]), encoding="utf-8")
    assert "written in the same way" in archsearch("diff", "cell=mine.eq", "other=copy.eq").out
    assert "spelt" not in archsearch("diff", "cell=mine.eq", "other=turned.eq").out


def test_a_cell_of_a_run_is_compared_with_its_parent(archsearch, tiny_run):
    knowledge = load_run(tiny_run).knowledge
    child = next(record for record in knowledge.cells.values() if record.parent)
    outcome = archsearch("diff", f"run={tiny_run}", f"cell={child.digest}")
    assert outcome.code == 0
    parent = knowledge.cells[child.parent]
    assert outcome.out.startswith(f"from {parent.name or parent.digest} to {child.digest}\n")
    assert rows(outcome.out)["made by"] == ", ".join(child.transformations)
    signs = [line[:2] for line in outcome.out.splitlines()]
    assert "+ " in signs or "- " in signs
    same = archsearch("diff", f"run={tiny_run}", f"cell={child.parent}", f"other={child.digest}")
    assert same.out == outcome.out


def test_what_made_a_cell_is_said_beside_its_parent_alone(archsearch, tiny_run):
    child = next(record for record in load_run(tiny_run).knowledge.cells.values() if record.parent)
    other = next(name for name in ("mut2", "mut3") if zoo_cell(name).digest not in {child.digest, child.parent})
    outcome = archsearch("diff", f"run={tiny_run}", f"cell={other}", f"other={child.digest}")
    assert outcome.code == 0
    assert "made by" not in rows(outcome.out)


def test_a_founder_has_no_parent(archsearch, tiny_run):
    founder = next(record for record in load_run(tiny_run).knowledge.cells.values() if not record.parent)
    outcome = archsearch("diff", f"run={tiny_run}", f"cell={founder.digest}")
    assert outcome.code == 2
    assert "other=" in outcome.err


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["cell=gru"], ["other"]),
        ([], ["cell"]),
        (["cell=gru", "other=gru"], ["other", "cell=gru"]),
        (["cell=gru", "other=./none.eq"], ["none.eq"]),
        (["cell=none", "other=gru"], ["'none'"]),
        (["cell=gru", "other=c_0123456789abcdef"], ["run="]),
        (["cell=gru", "other=mut1", "out=picture.png"], ["out", ".svg or .dot or .mmd"]),
        (["cell=gru", "other=mut1", "hidden_size=0"], ["hidden_size"]),
        (["cell=gru", "othr=mut1"], ["Did you mean other?"]),
    ],
)
def test_mistakes(words, parts, archsearch):
    outcome = archsearch("diff", *words)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    for part in parts:
        assert part in outcome.err
    assert outcome.out == ""
    assert list(Path.cwd().iterdir()) == []


def test_one_file_under_two_names_is_the_same(archsearch):
    Path("mine.eq").write_text(RENAMED, encoding="utf-8")
    outcome = archsearch("diff", "cell=mine.eq", "other=./mine.eq")
    assert outcome.code == 2
    assert "mine.eq" in outcome.err


def test_show_says_what_a_cell_is_like(archsearch):
    facts = rows(archsearch("show", "cell=mut1", "input_size=3", "hidden_size=5").out)
    assert facts["carried"] == "h"
    assert facts["of x alone"].startswith("z, linear(x), tanh(x): 4 of 14 nodes")
    assert facts["matrices"] == "4"
    assert facts["depth in nodes"] == "10"
    assert facts["depth in matrices"] == "2"
    # 2 matrices of x, 2 of h, 3 biases, and a projection of x
    assert facts["parameters at I = 3, H = 5"] == str(3 * 5 * 3 + 2 * 25 + 3 * 5)
    assert "parameters at 128" in facts


def test_show_tells_states_apart(archsearch):
    Path("mine.eq").write_text("h' = linear(x, h, c)\nc' = tanh(linear(x))\nd' = h'\n", encoding="utf-8")
    facts = rows(archsearch("show", "cell=mine.eq").out)
    assert facts["states"] == "h, c, d"
    assert facts["carried"] == "h, c"
    assert facts["read by nothing"] == "d"
    assert "only delayed" not in facts
    Path("late.eq").write_text("h' = tanh(linear(x)) * c\nc' = sigmoid(x)\n", encoding="utf-8")
    facts = rows(archsearch("show", "cell=late.eq").out)
    assert facts["carried"] == "none"
    assert facts["only delayed"] == "c"
    assert facts["read by nothing"] == "h"


def test_show_without_anything_recurrent(archsearch):
    Path("mine.eq").write_text("h' = tanh(h)", encoding="utf-8")
    assert rows(archsearch("show", "cell=mine.eq").out)["of x alone"] == "nothing"
