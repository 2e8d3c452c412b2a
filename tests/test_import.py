"""What importing costs, and what the public page shows. Each import runs in a process of its own."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import archsearch

PACKAGE = Path(archsearch.__file__).parent
HEAVY = ("torch", "ray", "hydra", "omegaconf", "sqlite3")


def loaded_after(code: str) -> set[str]:
    """Returns the top-level names of all modules that a fresh process has loaded after some code."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_archsearch_loads_nothing_else():
    loaded = loaded_after("import archsearch; dir(archsearch); archsearch.__version__")
    assert loaded.isdisjoint({*HEAVY, "networkx", "numpy", "pandas"})


def test_reading_a_cell_needs_no_torch():
    loaded = loaded_after("import archsearch; archsearch.load_cell('gru').equations(); archsearch.zoo_names()")
    assert "networkx" in loaded
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize("floor", ["graph", "trials", "interop", "mutation", "search"])
def test_lower_floors_load_nothing_heavy(floor):
    walk = (
        "import importlib, pkgutil\n"
        f"package = importlib.import_module('archsearch.{floor}')\n"
        "names = [found.name for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.')]\n"
        "assert names, 'an empty package proves nothing'\n"
        "[importlib.import_module(name) for name in names]"
    )
    loaded = loaded_after(walk)
    assert "archsearch" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_the_check_can_fail():
    assert "sqlite3" in loaded_after("import sqlite3")


@pytest.mark.parametrize("name", archsearch.__all__)
def test_every_public_name_is_there(name):
    assert getattr(archsearch, name) is not None
    assert name in dir(archsearch)


def test_public_page_is_short_and_type_checkers_see_the_same_names():
    assert len(archsearch.__all__) <= 20
    assert archsearch.__all__ == sorted(archsearch.__all__)
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (guarded,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in guarded.body for alias in node.names}
    assert seen == archsearch._HOMES
    assert {*seen, "__version__"} == set(archsearch.__all__)


def test_an_unknown_name_is_named():
    with pytest.raises(AttributeError, match="no attribute 'CellGrph'"):
        _ = archsearch.CellGrph


def test_package_init_files_are_empty():
    """An import in a package's `__init__` would load it for every module of the package.

    `interop` is a public page of its own, all of whose modules import one another anyway.
    """
    inits = [path for path in PACKAGE.rglob("__init__.py") if path.parent not in (PACKAGE, PACKAGE / "interop")]
    assert inits
    assert not [path for path in inits if path.stat().st_size]
