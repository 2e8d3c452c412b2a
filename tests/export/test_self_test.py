"""Exported files run as programs, and imported."""

import ast
import re
import subprocess
import sys

import pytest
from shared_exports import run_source

from archsearch.errors import FileFormatError
from archsearch.export.fresh_layer import fresh_layer
from archsearch.export.names import is_class_name
from archsearch.export.python_file import verify_python
from archsearch.export.python_source import export_python
from archsearch.graph.catalog import load_cell
from archsearch.graph.cell_graph import CellGraph


def run_file(path):
    return subprocess.run([sys.executable, "-I", str(path)], capture_output=True, text=True, check=False, cwd="/")


@pytest.mark.parametrize("name", ["gru", "lstm_peephole"])
def test_a_file_tests_itself(name, tmp_path):
    path = tmp_path / "cell.py"
    path.write_text(export_python(name, "Found"))
    done = run_file(path)
    assert done.returncode == 0, done.stderr
    assert re.match(r"Found: (\d+) of \1 numbers compared, largest difference from the stored ones ", done.stdout)
    assert done.stdout.count("\n") == 1
    assert float(done.stdout.split()[-1]) < 1e-8


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("torch.tanh(linear_5 +", "torch.tanh(linear_5 -"),
        ("steps.flip(0) if is_reverse", "steps.flip(0) if False"),
        ("return output, (h,)", "return output, (h * 1.001,)"),
        ("r = torch.sigmoid(linear_1 + linear_2)", "r = torch.sigmoid(linear_1 + linear_2).detach()"),
    ],
)
def test_a_changed_file_fails(right, wrong, tmp_path):
    """Of values, of the order of time, of states, and of the gradient alone."""
    source = export_python("gru", "Found")
    assert right in source
    path = tmp_path / "cell.py"
    path.write_text(source.replace(right, wrong))
    done = run_file(path)
    assert done.returncode == 1
    assert float(done.stdout.split()[-1]) > 1e-5
    assert not done.stderr


GROWING = "a = 1000000 * (x + h)\n" + "".join(f"{b} = {a} * {a}\n" for a, b in zip("abcde", "bcdef", strict=True))


def test_a_cell_that_overflows_is_compared_where_it_does_not(tmp_path):
    """The 32nd power of a million times x, in the second layer of it again, is beyond float64."""
    source = export_python(CellGraph.from_equations(GROWING + "h' = f + linear(x)"), "Found")
    path = tmp_path / "cell.py"
    path.write_text(source)
    done = run_file(path)
    assert done.returncode == 0, done.stdout + done.stderr
    compared, of, total = done.stdout.split()[1:4]
    assert (of, compared) == ("of", total)
    right = "f = e * e"
    assert right in source
    path.write_text(source.replace(right, "f = e * a"))
    assert run_file(path).returncode == 1


def test_nothing_compared_is_no_success(tmp_path):
    source = export_python("gru", "Found")
    start = source.index('_STORED = """') + len('_STORED = """')
    end = source.index('"""', start)
    path = tmp_path / "cell.py"
    path.write_text(source[:start] + " ".join("nan" for _ in source[start:end].split()) + source[end:])
    done = run_file(path)
    assert done.returncode == 1
    assert done.stdout.startswith("Found: 0 of ")
    with pytest.raises(FileFormatError, match="none that is finite"):
        verify_python(fresh_layer(load_cell("gru"), 3, 4, 1, seed=1), path)


def test_a_class_may_be_called_as_any_name_in_the_file(tmp_path):
    source = export_python("gru", "Found")
    nodes = list(ast.walk(ast.parse(source)))
    words = {node.id for node in nodes if isinstance(node, ast.Name)} | {
        node.arg for node in nodes if isinstance(node, ast.arg | ast.keyword) and node.arg
    }
    names = sorted(word for word in words if is_class_name(word) and word != "Found")
    assert {"module", "actual", "expected", "difference", "is_same", "x", "weights", "states"} <= set(names)
    for name in names:
        exported = run_source(export_python("gru", name))
        assert isinstance(exported[name], type), name
        assert exported["_test"]() < 1e-8, name
    assigned = {node.id for node in ast.parse(source).body[-1].body for node in ast.walk(node) if is_variable(node)}
    assert all(name.startswith("_") for name in assigned), "run as a program, the file would lose its class"


def is_variable(node):
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def test_importing_runs_definitions_only():
    tree = ast.parse(export_python("lstm_b"))
    *definitions, main = tree.body
    assert isinstance(main, ast.If)
    assert ast.unparse(main.test) == "__name__ == '__main__'"
    assert isinstance(definitions[0], ast.Expr)
    assert isinstance(definitions[0].value, ast.Constant)
    for definition in definitions[1:]:
        if isinstance(definition, ast.Assign):
            assert isinstance(definition.value, ast.Constant)
        else:
            assert isinstance(definition, ast.Import | ast.ImportFrom | ast.ClassDef | ast.FunctionDef)
    imported = {name.name for node in tree.body if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} == {"math", "torch", "typing", "warnings"}


def test_the_same_cell_gives_the_same_file():
    assert export_python("mut2", "Found") == export_python("mut2", "Found")
