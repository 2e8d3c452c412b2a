"""An evolutionary search for recurrent cells, after Jozefowicz, Zaremba & Sutskever 2015.

The names below are the public page. They are loaded when first used, so that importing archsearch costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archsearch import interop
    from archsearch.compiler.layer import RecurrentLayer
    from archsearch.compiler.recurrent_cell import RecurrentCell
    from archsearch.errors import (
        ArchSearchError,
        ConfigError,
        FileFormatError,
        InvalidGraphError,
        SearchStateError,
        ShapeError,
    )
    from archsearch.export.predictor import load_predictor
    from archsearch.graph.catalog import load_cell, zoo_names
    from archsearch.graph.cell_graph import CellGraph
    from archsearch.run.reading import load_run

__version__ = "0.1.0"

__all__ = [
    "ArchSearchError",
    "CellGraph",
    "ConfigError",
    "FileFormatError",
    "InvalidGraphError",
    "RecurrentCell",
    "RecurrentLayer",
    "SearchStateError",
    "ShapeError",
    "__version__",
    "interop",
    "load_cell",
    "load_predictor",
    "load_run",
    "zoo_names",
]

_HOMES = {
    "ArchSearchError": "archsearch.errors",
    "CellGraph": "archsearch.graph.cell_graph",
    "ConfigError": "archsearch.errors",
    "FileFormatError": "archsearch.errors",
    "InvalidGraphError": "archsearch.errors",
    "RecurrentCell": "archsearch.compiler.recurrent_cell",
    "RecurrentLayer": "archsearch.compiler.layer",
    "SearchStateError": "archsearch.errors",
    "ShapeError": "archsearch.errors",
    "interop": "archsearch",
    "load_cell": "archsearch.graph.catalog",
    "load_predictor": "archsearch.export.predictor",
    "load_run": "archsearch.run.reading",
    "zoo_names": "archsearch.graph.catalog",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'archsearch' has no attribute {name!r}. It has: {', '.join(__all__)}")
    home = _HOMES[name]
    value = import_module(f"{home}.{name}") if home == __name__ else getattr(import_module(home), name)
    globals()[name] = value  # the next access finds it without coming here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
