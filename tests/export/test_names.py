"""Names of files and classes, whatever a cell is called."""

import builtins
import keyword
import sys

import pytest

from archsearch.export.names import class_name, is_class_name, module_name

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


@pytest.mark.parametrize("name", ["\uff34ensor", "Été", "ﬁ"])
def test_a_class_has_letters_that_stay_as_they_are(name):
    """Python reads others as their plain form, which may be that of `Tensor`."""
    assert name.isidentifier()
    assert not is_class_name(name)
