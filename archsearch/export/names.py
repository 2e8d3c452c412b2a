"""Names for exported files and classes, made of whatever a cell is called."""

import ast
import builtins
import keyword
import sys
from functools import cache
from importlib.metadata import packages_distributions
from unicodedata import combining, normalize

from archsearch.export.module_text import IMPORTS
from archsearch.search.outcome import is_digest

_TAKEN_CLASSES = frozenset(
    alias.asname or alias.name
    for node in ast.walk(ast.parse(IMPORTS))
    if isinstance(node, ast.Import | ast.ImportFrom)
    for alias in node.names
)
# What files are read with, and what torch and these import, so that names are the same wherever files are made.
_TAKEN_MODULES = frozenset(
    {
        *("archsearch", "numpy", "onnx", "onnxruntime", "safetensors", "torch"),
        *("filelock", "fsspec", "functorch", "jinja2", "markupsafe", "mpmath", "networkx", "nvidia", "opt_einsum"),
        *("optree", "setuptools", "sympy", "torchgen", "triton", "typing_extensions", "yaml"),
        *("flatbuffers", "google", "ml_dtypes", "packaging"),
    }
)


def module_name(cell: str) -> str:
    """Returns a name that can be imported and hides no module of Python, of what files need or of this environment."""
    name = _safe_name(cell)
    return f"cell_{name}" if name in _installed_modules() else name


def class_name(cell: str) -> str:
    """Returns `Mut1` for `mut1`, `LstmTorch` for `lstm_torch`, `Cell3fd76a2e4cfa2f9a` for an id."""
    if is_digest(cell):
        return f"Cell{cell.removeprefix('c_')}"
    camel = "".join(part[:1].upper() + part[1:] for part in _safe_name(cell).split("_"))
    return camel if camel[:1].isalpha() and is_class_name(camel) else f"Cell{camel}"


def is_class_name(name: str) -> bool:
    """Tells whether an exported class may be called so: it hides nothing that its module needs."""
    taken = keyword.iskeyword(name) or hasattr(builtins, name) or name in _TAKEN_CLASSES
    return name.isascii() and name.isidentifier() and not taken and not name.startswith("_")


def _safe_name(cell: str) -> str:
    # Python reads identifiers in this form: in any other, a file is not found, or hides what it must not
    letters = (character for character in normalize("NFKD", cell) if not combining(character))
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in letters)
    taken = keyword.iskeyword(plain) or plain in sys.stdlib_module_names or plain in _TAKEN_MODULES
    return f"cell_{plain}" if taken or not plain.isidentifier() else plain


@cache
def _installed_modules() -> frozenset[str]:
    return frozenset(packages_distributions())
