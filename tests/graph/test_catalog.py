"""The zoo, and cells from files."""

import math
from pathlib import Path

import pytest

from archsearch.errors import ConfigError, FileFormatError, InvalidGraphError
from archsearch.graph.catalog import load_cell, zoo_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.structure import Structure


def evaluate(structure: Structure, inputs: dict[str, float], weights: dict[str, float]) -> dict[str, float]:
    """Computes the new states of a cell one unit wide: `weights[name]` is a matrix, `weights[name + "_b"]` its bias."""
    values = dict(inputs)

    def value(name: str) -> float:
        if name not in values:
            node = structure.nodes[name]
            a = [value(operand) for operand in node.operands]
            values[name] = {
                "tanh": lambda: math.tanh(a[0]),
                "sigmoid": lambda: 1 / (1 + math.exp(-a[0])),
                "relu": lambda: max(a[0], 0.0),
                "linear": lambda: weights[node.weights] * a[0] + (weights[node.weights + "_b"] if node.bias else 0.0),
                "add": lambda: a[0] + a[1],
                "sub": lambda: a[0] - a[1],
                "mul": lambda: a[0] * a[1],
            }[node.primitive]()
        return values[name]

    return {state: value(name) for state, name in structure.new_states.items()}


X, H, C = 0.3, -0.7, 0.9
W = {
    f"{gate}_{part}": 0.1 * k + 0.13 * p - 0.4
    for k, gate in enumerate(("input", "candidate", "forget", "output", "reset", "update", "new"))
    for p, part in enumerate(("1", "2", "1_b", "2_b"))
}
W |= {"update": 0.6, "update_b": -0.2, "reset": 0.35, "reset_b": 0.15, "new": -0.55, "new_b": 0.25}
tanh = math.tanh


def sigm(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def affine(gate: str, first: float = X, second: float = H) -> float:
    return W[f"{gate}_1"] * first + W[f"{gate}_2"] * second + W[f"{gate}_1_b"]


def lstm(i: float, j: float, f: float, o: float) -> dict[str, float]:
    c = C * f + i * j
    return {"h": tanh(c) * o, "c": c}


def paper_cells() -> dict[str, dict[str, float]]:
    """The formulas of Jozefowicz 2015 as printed, one unit wide."""
    i, j = tanh(affine("input")), sigm(affine("candidate"))
    f, o = sigm(affine("forget")), tanh(affine("output"))
    r, z = sigm(affine("reset")), sigm(affine("update"))
    cells = {
        "tanh": {"h": tanh(affine("new"))},
        "lstm": lstm(i, j, f, o),
        "lstm_b": lstm(i, j, f, o),
        "lstm_f": lstm(i, j, 1, o),
        "lstm_i": lstm(i, 1, f, o),
        "lstm_o": lstm(i, j, f, 1),
        "lstm_torch": lstm(
            sigm(affine("input")), tanh(affine("candidate")), sigm(affine("forget")), sigm(affine("output"))
        ),
        "gru": {"h": z * H + (1 - z) * tanh(affine("new", X, r * H))},
    }
    n = tanh(W["new_1"] * X + W["new_1_b"] + r * (W["new_2"] * H + W["new_2_b"]))
    cells["gru_torch"] = {"h": (1 - z) * n + z * H}
    z = sigm(W["update"] * X + W["update_b"])
    cells["mut1"] = {"h": tanh(W["new"] * r * H + tanh(X) + W["new_b"]) * z + H * (1 - z)}
    z, r = sigm(affine("update")), sigm(X + W["reset"] * H + W["reset_b"])
    cells["mut2"] = {"h": tanh(affine("new", r * H, X)) * z + H * (1 - z)}
    z, r = sigm(affine("update", X, tanh(H))), sigm(affine("reset"))
    cells["mut3"] = {"h": tanh(affine("new", r * H, X)) * z + H * (1 - z)}
    return cells


@pytest.mark.parametrize("name", paper_cells())
def test_zoo_computes_the_papers_formulas(name):
    structure = zoo_cell(name).structure
    found = evaluate(structure, {"x": X, "h": H, "c": C}, W)
    assert found == pytest.approx(paper_cells()[name], abs=1e-12)


def test_only_the_forget_gate_of_lstm_b_starts_at_one():
    inits = {node.weights: node.bias_init for node in zoo_cell("lstm_b").nodes.values() if node.primitive == "linear"}
    assert {name for name, init in inits.items() if init} == {"forget_1"}
    assert inits["forget_1"] == 1.0
    assert not any(node.bias_init for node in zoo_cell("lstm").nodes.values())


def test_load_cell_takes_names_and_files(tmp_path):
    gru = zoo_cell("gru")
    equations, as_json = tmp_path / "mine.eq", tmp_path / "mine.json"
    equations.write_text(gru.equations(), encoding="utf-8")
    as_json.write_text(gru.to_json(), encoding="utf-8")
    assert load_cell("gru") == load_cell(equations) == load_cell(str(as_json)) == gru
    (tmp_path / "gru").write_text("h' = x + h", encoding="utf-8")
    assert load_cell(tmp_path / "gru") == CellGraph.from_equations("h' = x + h")


def test_an_unknown_cell_is_answered_with_close_names_and_where_the_zoo_is_listed(tmp_path):
    with pytest.raises(
        ConfigError, match=r"'mutl' is neither in the zoo nor a file. Did you mean 'mut\d' or "
    ) as caught:
        load_cell("mutl")
    assert "'archsearch show --help' lists the zoo." in str(caught.value)
    assert "lstm" not in str(caught.value)
    with pytest.raises(ConfigError, match="neither in the zoo nor a file"):
        load_cell(tmp_path / "none.json")
    with pytest.raises(ConfigError, match="Did you mean 'gru'"):
        zoo_cell("grru")


@pytest.mark.parametrize(
    ("reference", "files", "answer"),
    [
        ("mycel.eq", ["mycell.eq", "other.eq"], " Did you mean 'mycell.eq'?"),
        ("folder/mycel.json", ["folder/mycell.json", "mycel.eq"], " Did you mean 'folder/mycell.json'?"),
        ("mycell", ["mycell.eq", "mycall.eq"], " Did you mean 'mycell.eq'?"),
        ("mycell:new=1", ["mycell.json"], " Did you mean 'mycell.json'?"),
        ("gru.eq", ["mine.eq"], " The zoo's cell is called 'gru'."),
        ("zzz.eq", ["mine.eq", "notes.txt"], " The cell files beside it: 'mine.eq'."),
        ("folder/zzz.eq", [], " There is no folder 'folder' that can be read."),
    ],
)
def test_a_misspelt_file_is_answered_with_files(reference, files, answer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file in map(Path, files):
        file.parent.mkdir(exist_ok=True)
        file.write_text("h' = x + h", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_cell(reference)
    assert str(caught.value) == f"cell '{reference.partition(':')[0]}' is neither in the zoo nor a file.{answer}"


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="is a folder"):
        load_cell(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_cell("a\0b")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_cell("x" * 5000)
    large = tmp_path / "large.eq"
    large.write_bytes(b"#" * 1_000_001)
    with pytest.raises(FileFormatError, match=r"large\.eq: expected a cell file of at most 1,000,000 bytes"):
        load_cell(large)
    latin = tmp_path / "latin.eq"
    latin.write_bytes("# é\nh' = x".encode("latin-1"))
    with pytest.raises(FileFormatError, match=r"latin\.eq: expected UTF-8 text, got other bytes at 2"):
        load_cell(latin)


def test_mistakes_in_files_name_the_file(tmp_path):
    bad = tmp_path / "bad.eq"
    bad.write_text("h' = tanh(y) + tanh(z)", encoding="utf-8")
    with pytest.raises(InvalidGraphError) as caught:
        load_cell(bad)
    assert len(caught.value.violations) == 2
    assert all(violation.startswith(f"{bad}: line 1, column") for violation in caught.value.violations)
    bad.rename(tmp_path / "bad.json")
    with pytest.raises(FileFormatError, match=r"bad\.json: cell file: expected JSON"):
        load_cell(tmp_path / "bad.json")
