"""Files from somebody else run nothing, reach nothing outside their folder, and fill no memory."""

import ast
import io
import json
import re
import shutil
import sqlite3
import sys
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
import torch

from archsearch.cli.construction import build_object
from archsearch.cli.largest import LARGEST
from archsearch.cli.planning import build_task
from archsearch.cli.run_configuration import from_yaml
from archsearch.cli.section import Section
from archsearch.cli.words import parse_words
from archsearch.compiler.lower import lower
from archsearch.compiler.vectorized import triton_kernels
from archsearch.compiler.vectorized.flat_weights import FlatWeights
from archsearch.compiler.vectorized.layer_pass import PopulationPass
from archsearch.drawing.markup import to_dot, to_mermaid
from archsearch.errors import ArchSearchError, ConfigError, FileFormatError
from archsearch.export.names import class_name, is_class_name, module_name
from archsearch.graph.catalog import load_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.run.reading import load_run
from archsearch.run.spreadsheets import as_text, from_text
from archsearch.run.views import to_csv
from archsearch.search.outcome import StepOutcome
from archsearch.trials.task import Task, is_task_name

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*(ROOT / "archsearch").rglob("*.py"), *(ROOT / "tasks").rglob("*.py")])
RUNS_WHAT_IT_READS = {
    *("eval", "exec", "compile", "__import__", "torch.load", "np.load", "numpy.load", "pd.read_pickle"),
    *("pickle.load", "pickle.loads", "ForkingPickler.loads", "os.system", "os.popen"),
    *("yaml.unsafe_load", "yaml.full_load", "torch.jit.load"),
}


# Kernels are written from our own formulas and from numbers; the test after the next reads what is written.
WRITES_WHAT_IT_RUNS = {"torch_kernels.py": {"exec"}, "triton_kernels.py": {"compile", "exec"}}


def calls(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def test_nothing_that_runs_what_it_reads_is_called():
    found = {path.name: calls(path) & RUNS_WHAT_IT_READS for path in SOURCES}
    assert {name: names for name, names in found.items() if names} == WRITES_WHAT_IT_RUNS


def test_kernels_hold_nothing_that_a_file_could_have_brought(monkeypatch):
    """All names in the text of kernels are ours, whatever a cell's nodes, states and weights are called."""
    cell = CellGraph.from_equations(
        "print = -0.3 * sigmoid(linear(x, h, name=exec)) + 1e-7\nimport_ = tanh(peephole(c, name=open) + print)\n"
        "c' = leaky_relu(import_ * c + x)\nh' = relu(c') - print * h"
    )
    texts: list[str] = []
    write = triton_kernels._text
    monkeypatch.setattr(triton_kernels, "_text", lambda *given: texts.append(write(*given)) or texts[-1])
    monkeypatch.setattr(triton_kernels, "_function", str)
    monkeypatch.setattr(triton_kernels, "compile_together", list)
    program = lower(cell.structure)
    flat = FlatWeights(program, 4, 4)
    rows = torch.zeros(2, flat.length)
    PopulationPass(program, flat.views(rows), flat.views(rows.clone()), 2, 1, 4, 4, 2, kernels="triton", like=rows)
    names = {
        node.id if isinstance(node, ast.Name) else node.attr
        for text in texts
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Name | ast.Attribute)
    }
    assert {"tanh_", "sigmoid", "relu", "leaky_relu", "start", "matrix"} <= names
    assert {name for name in names if not re.fullmatch(r"[a-z]+\d*", name)} <= {
        *("tanh_", "leaky_relu", "where_positive", "leaky_where_positive", "num_tiles", "num_rows", "program_id"),
        *("H", "ROWS"),
    }
    assert names.isdisjoint({"print", "exec", "open", "import_"})


def test_no_shell_is_ever_asked():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                assert not [word for word in node.keywords if word.arg == "shell"], path.name


@pytest.mark.parametrize(
    "target",
    [
        *(
            "os.system",
            "subprocess.Popen",
            "builtins.eval",
            "antigravity.fly",
            "this.s",
            "__main__.X",
            "pickle.Unpickler",
        ),
        *("archsearch.trials.task.Task", "archsearch.trials.streams.StreamTask", "archsearch.errors.ConfigError"),
        *(
            "archsearch.tasks.xml",
            "archsearch.tasks.xml.Problem",
            "archsearch.tasks.xml.Xml.draw",
            "x",
            "",
            ".",
            "a..b",
        ),
        *(
            "../evil.Task",
            "evil/task.Task",
            "archsearch.tasks.xml.Xml\n",
            "no_such_module.Task",
            5,
            None,
            ["a.b"],
            "a" * 9999,
        ),
    ],
)
def test_a_target_that_is_no_task_is_neither_called_nor_loaded(target):
    before = set(sys.modules)
    with pytest.raises(ConfigError, match="expected the path of a Task"):
        build_object({"_target_": target}, Task, "task.xml", name="xml")
    assert not {"antigravity", "this"} & (set(sys.modules) - before)


def test_a_module_that_raises_when_it_is_loaded_is_a_wrong_target(tmp_path, monkeypatch):
    (tmp_path / "module_that_raises.py").write_text("raise RuntimeError('surprise')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="RuntimeError: surprise"):
        build_object({"_target_": "module_that_raises.Task"}, Task, "task.xml", name="xml")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "=1+1", "x.y", "a b", "9a", "é", "a" * 65, "x\n", "<b>", "-x"])
def test_a_task_is_called_by_a_plain_name(name):
    assert not is_task_name(name)
    with pytest.raises(ConfigError, match="name of a task"):
        build_task(Section({name: {"_target_": "archsearch.tasks.xml.Xml"}}, "task"), name)


@pytest.mark.parametrize("name", LARGEST)
def test_every_number_has_a_largest_value_that_is_said(name):
    most = int(LARGEST[name])
    assert Section({name: most}).integer(name) == most
    for value in (most + 1, 10**400):
        with pytest.raises(ConfigError, match=f"{name}: expected a whole number of at most"):
            Section({name: value}).integer(name)


@pytest.mark.parametrize(
    ("task", "field", "value"),
    [
        *(("xml", "max_tag", 10**8), ("xml", "max_iterations", 10**8), ("arithmetic", "max_digits", 5000)),
        *(("arithmetic", "max_distractors", 10**6), ("memorization", "num_symbols", 10**8)),
        *(
            ("xml", "validation_size", 10**10),
            ("memorization", "test_problems", 10**10),
            ("words", "language", 10**400),
        ),
    ],
)
def test_a_task_of_any_size_is_refused_before_it_is_built(task, field, value):
    values = {task: {"_target_": f"archsearch.tasks.{task}.{task.capitalize()}", field: value}}
    with pytest.raises(ConfigError, match=f"{field}: expected an integer from"):
        build_task(Section(values, "task"), task)


def test_aliases_cannot_make_much_out_of_little():
    text = "task: {}\na: &a [x,x,x,x,x,x,x,x,x]\n"
    text += "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9))
    with pytest.raises(FileFormatError, match="alias"):
        from_yaml(text, Path("config.yaml"))


def test_a_configuration_of_very_many_values_is_refused():
    with pytest.raises(FileFormatError, match="more than 20,000 values"):
        from_yaml(f"task: {{}}\na: [{'[],' * 300_000}]\n", Path("config.yaml"))


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "a: " * 50_000, "!!python/object/apply:os.system [ls]", "task: 5", "\0"]
)
def test_a_configuration_that_is_none(text):
    with pytest.raises(FileFormatError):
        from_yaml(text, Path("config.yaml"))


@pytest.mark.parametrize("text", ["[" * 3000, "{" * 3000, "a" * 100_000, "${" * 2000, "(" * 3000, "'" * 999])
def test_a_word_of_any_length_is_read_or_refused(text):
    with suppress(ArchSearchError):
        parse_words("search", [f"seed={text}"])


FORMULAS = ["=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "'", "'=1", " =1", "=cmd|' /C calc'!A0"]


@pytest.mark.parametrize("text", [*FORMULAS, "gru", "", "a=b", "1", "it's"])
def test_a_cell_of_a_table_never_begins_as_a_formula_and_is_given_back(text):
    written = str(as_text(text))
    assert written[:1] not in set("=+-@\t\r")
    assert not (written.lstrip()[:1] in set("=+-@") and written == text)
    assert from_text(written) == text
    assert from_text(text) == (text[1:] if text.startswith("'") else text)


def test_a_carriage_return_ends_no_row():
    frame = pd.DataFrame({"error": ["a\rb", "\r=1"], "number": [1, 2]})
    assert list(pd.read_csv(io.StringIO(to_csv(frame)))["error"]) == ["a\nb", "'\n=1"]


def test_tables_are_read_back_with_their_apostrophes():
    frame = pd.DataFrame({"name": FORMULAS, "=column": [-1.5] * len(FORMULAS), "count": range(len(FORMULAS))})
    read = pd.read_csv(io.StringIO(to_csv(frame)), keep_default_na=False)
    assert [from_text(text) for text in read["name"]] == FORMULAS
    assert list(read["'=column"]) == [-1.5] * len(FORMULAS), "numbers stay numbers, negative ones too"


RECORD = {
    "number": 1,
    "kind": "propose",
    "stage": "completed",
    "keys": [],
    "dropped": [],
    "cells": [{"digest": "c_0123456789abcdef", "graph": "", "name": "", "parent": "", "transformations": []}],
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("digest", "../../evil"), ("digest", "c_0123456789abcdef/../x"), ("digest", "c_0123456789ABCDEF")),
        *(
            ("parent", "../x"),
            ("parent", 5),
            ("name", "\x1b]0;title\x07"),
            ("name", "a\nb"),
            ("name", "a" * 9999),
            ("name", 5),
        ),
    ],
)
def test_names_in_a_journal_are_judged_before_they_name_files(field, value):
    record = json.loads(json.dumps(RECORD))
    record["cells"][0]["graph"] = load_cell("gru").to_json()
    assert StepOutcome.from_record(record, {}).cells[0].digest == "c_0123456789abcdef"
    record["cells"][0][field] = value
    with pytest.raises(FileFormatError, match="step 1"):
        StepOutcome.from_record(record, {})


def test_a_journal_from_somebody_else_writes_no_file_elsewhere(tmp_path):
    run = tmp_path / "run"
    shutil.copytree(ROOT / "tests" / "run" / "fixtures" / "journal-1-real", run)
    connection = sqlite3.connect(run / "archsearch.db")
    with connection:
        connection.execute('UPDATE steps SET record = replace(record, \'"digest": "c_\', \'"digest": "../../c_\')')
    connection.close()
    with pytest.raises(FileFormatError, match="is no cell's id"):
        load_run(run).leaderboard()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    "name",
    [
        *("import os", "x'); evil('", '"""', "../../a", "<script>", "$(ls)", "a\nb", "CON", "def"),
        *("c_436aa42e9676d4f5:linear_1=1", "c_my-cell", "c_é", "c_0123456789abcdef\nimport os", "c_(nn.Module): pass"),
    ],
)
def test_names_of_files_never_become_code_or_paths(name):
    assert module_name(name).isidentifier()
    assert is_class_name(class_name(name))
    assert not {"/", "\\", ".", "\n"} & set(module_name(name))


def test_names_in_a_cell_cannot_leave_their_place_in_drawings_and_sources():
    for name in ("a;b", 'a"b', "a<b", "a'b", "a]b", "a\nb", "é", "__import__('os')", "a.b"):
        record = json.loads(load_cell("gru").to_json())
        first = record["nodes"][0]["name"]
        text = json.dumps(record).replace(json.dumps(first), json.dumps(name))
        with pytest.raises(ArchSearchError):
            CellGraph.from_json(text)
    cell = CellGraph.from_equations("end = tanh(linear(x, h))\nh' = end * end\n")
    assert "end -->" not in to_mermaid(cell)
    assert to_dot(cell).count('"') % 2 == 0
