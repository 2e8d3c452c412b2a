"""Names for exported files and classes, made of whatever a cell is called."""

import builtins
import keyword
import sys
from unicodedata import combining, normalize

_TAKEN_CLASSES = frozenset({"math", "torch", "cast", "linear", "nn", "PackedSequence", "Tensor"})
_TAKEN_MODULES = frozenset({"archsearch", "networkx", "numpy", "onnx", "onnxruntime", "safetensors", "torch"})


def module_name(cell: str) -> str:
    """Returns a name that can be imported and hides nobody else's module."""
    # Python reads identifiers in this form: in any other, a file is not found, or hides what it must not
    letters = (character for character in normalize("NFKD", cell) if not combining(character))
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in letters)
    taken = keyword.iskeyword(plain) or plain in sys.stdlib_module_names or plain in _TAKEN_MODULES
    return f"cell_{plain}" if taken or not plain.isidentifier() else plain


def class_name(cell: str) -> str:
    """Returns `Mut1` for `mut1`, `LstmTorch` for `lstm_torch`, `Cell3fd76a2e4cfa2f9a` for an id."""
    if cell.startswith("c_"):
        return f"Cell{cell.removeprefix('c_')}"
    camel = "".join(part[:1].upper() + part[1:] for part in module_name(cell).split("_"))
    return camel if camel[:1].isalpha() and is_class_name(camel) else f"Cell{camel}"


def is_class_name(name: str) -> bool:
    """Tells whether an exported class may be called so: it hides nothing that its module needs."""
    taken = keyword.iskeyword(name) or hasattr(builtins, name) or name in _TAKEN_CLASSES
    return name.isascii() and name.isidentifier() and not taken and not name.startswith("_")
