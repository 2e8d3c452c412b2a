"""Rules of the house that import-linter does not see: the doors to the outside, sizes of files, names."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "archsearch").rglob("*.py"), *(ROOT / "tasks").rglob("*.py")])
MAX_LINES = 400

# who may import what of the outside
DOORS = {
    "torch": ("archsearch/compiler/", "archsearch/training/", "archsearch/export/", "tasks/"),
    "ray": ("archsearch/run/ray_executor.py",),
    "hydra": ("archsearch/cli/",),
    "omegaconf": ("archsearch/cli/",),
    "sqlite3": tuple(f"archsearch/run/{name}.py" for name in ("journal", "journal_file", "journal_schema")),
}
# Compressed weights and pickled objects can run code when they are read.
NOWHERE = ("pickle", "shelve", "marshal", "dill", "cloudpickle", "joblib")


def imported(path: Path) -> set[str]:
    """Returns the top-level names of all that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("outside", DOORS)
def test_the_outside_comes_in_by_its_doors_only(outside):
    users = {place(path) for path in FILES if outside in imported(path)}
    assert users, "a door that nobody uses is no door"
    assert {user for user in users if not user.startswith(DOORS[outside])} == set()


def test_no_pickle_anywhere():
    assert [place(path) for path in FILES if imported(path).intersection(NOWHERE)] == []


def test_tasks_know_the_task_protocol_only():
    allowed = ("archsearch.trials", "archsearch.seeds", "archsearch.errors")
    for path in (ROOT / "tasks").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("archsearch"):
                assert (node.module or "").startswith(allowed) or node.module == "archsearch", place(path)


def test_files_are_short():
    lengths = {place(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_files_are_named_after_a_subject():
    vague = {"utils", "util", "helpers", "helper", "common", "manager", "handler", "misc", "base"}
    assert [place(path) for path in FILES if vague.intersection(path.stem.split("_"))] == []


def test_nothing_is_nested_deeper_than_two():
    """A floor may have rooms, such as `compiler/native`, and rooms have no rooms."""
    assert [place(path) for path in FILES if len(path.relative_to(ROOT).parts) > 4] == []


def test_global_randomness_is_never_used():
    """A seed derived from names is the only source: `random.random()` or `np.random.rand()` would be another."""
    offenders = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            called = ast.unparse(node.func)
            if called.startswith("random.") and called != "random.Random":
                offenders.append(f"{place(path)}: {called}")
            if called.startswith(("np.random.", "numpy.random.")) and called.rpartition(".")[2] not in {
                "Generator",
                "PCG64",
            }:
                offenders.append(f"{place(path)}: {called}")
    assert offenders == []
