"""Every benchmark can at least be imported: those that need a GPU, data or hours are run by no other test."""

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
MODULES = sorted(path.stem for path in FOLDER.glob("*.py"))


@pytest.mark.parametrize("name", MODULES)
def test_a_benchmark_finds_all_that_it_imports(name, monkeypatch):
    if name == "jax_scan":
        pytest.importorskip("jax")
    monkeypatch.syspath_prepend(str(FOLDER))
    known = set(sys.modules)
    try:
        importlib.import_module(name)
    finally:
        for new in set(sys.modules) - known:
            if new in MODULES:
                del sys.modules[new]
