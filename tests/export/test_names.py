"""Names of files and classes, whatever a cell is called."""

import builtins
import keyword
import sys

import pytest

from archsearch.export import names
from archsearch.export.names import class_name, is_class_name, module_name
from archsearch.graph.catalog import zoo_names

STRANGE = [
    *(
        "class",
        "None",
        "match",
        "int",
        "print",
        "exception",
        "torch",
        "typing",
        "tensor",
        "nn",
        "2x",
        "",
        "-",
        "__init__",
    ),
    *(
        'a"""b',
        "a'b",
        "a\nimport os",
        "os.system('x')",
        "c_3cdc2cfc3bfb9f12",
        "lstm_b:forget=2",
        "é",
        "archsearch",
        "\uff54orch",
        "ﬁ",
    ),
    *(
        "c_436aa42e9676d4f5:linear_1=1",
        "c_my-cell",
        "c_é",
        "c_",
        "c_436AA42E9676D4F5\n",
        "warnings",
        "typing_extensions",
        "sympy",
    ),
]


@pytest.mark.parametrize("cell", STRANGE)
def test_strange_names_are_made_safe(cell):
    module, named = module_name(cell), class_name(cell)
    for name in (module, named):
        assert name.isidentifier()
        assert name.isascii()
        assert not keyword.iskeyword(name)
    assert module not in sys.stdlib_module_names
    assert module not in {"torch", "archsearch"}
    assert is_class_name(named)
    assert not hasattr(builtins, named)


def test_plain_names_stay_readable():
    assert [class_name(name) for name in ("mut1", "lstm_torch", "c_3fd76a2e4cfa2f9a")] == [
        "Mut1",
        "LstmTorch",
        "Cell3fd76a2e4cfa2f9a",
    ]
    assert module_name("lstm_torch") == "lstm_torch"
    assert [module_name(name) for name in ("ﬁ", "é", "\uff54orch", "ß")] == ["fi", "e", "cell_torch", "_"]
    assert class_name("ﬁ") == "Fi"
    assert [class_name(name) for name in ("c_436aa42e9676d4f5:linear_1=1", "c_my-cell", "c_é")] == [
        "C436aa42e9676d4f5Linear11",
        "CMyCell",
        "CE",
    ]


@pytest.mark.parametrize("name", ["typing_extensions", "sympy", "filelock", "fsspec", "jinja2", "networkx", "mpmath"])
def test_what_torch_imports_is_hidden_by_no_file(name, monkeypatch):
    """With PYTHONPATH=exported a file of this name would come first, also where names were made without torch."""
    assert module_name(name) == f"cell_{name}"
    monkeypatch.setattr(names, "_installed_modules", frozenset)
    assert module_name(name) == f"cell_{name}"


def test_what_is_installed_here_is_hidden_by_no_file_and_classes_are_called_alike_everywhere():
    assert module_name("pytest") == "cell_pytest"
    assert class_name("pytest") == "Pytest"
    for cell in zoo_names():
        assert module_name(cell) == cell


@pytest.mark.parametrize("name", ["\uff34ensor", "Été", "ﬁ"])
def test_a_class_has_letters_that_stay_as_they_are(name):
    """Python reads others as their plain form, which may be that of `Tensor`."""
    assert name.isidentifier()
    assert not is_class_name(name)
