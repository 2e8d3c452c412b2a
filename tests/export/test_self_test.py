"""Exported files run as programs, and imported."""

import ast
import subprocess
import sys

import pytest

from archsearch.export.python_source import export_python


def run_file(path):
    return subprocess.run([sys.executable, "-I", str(path)], capture_output=True, text=True, check=False, cwd="/")


@pytest.mark.parametrize("name", ["gru", "lstm_peephole"])
def test_a_file_tests_itself(name, tmp_path):
    path = tmp_path / "cell.py"
    path.write_text(export_python(name, "Found"))
    done = run_file(path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Found: largest difference from the stored numbers ")
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
    assert {name.partition(".")[0] for name in imported} == {"math", "torch", "typing"}


def test_the_same_cell_gives_the_same_file():
    assert export_python("mut2", "Found") == export_python("mut2", "Found")
