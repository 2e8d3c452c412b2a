"""The wheel holds everything, and works without the repository."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from shared_installs import build_wheel

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SOURCES = {"archsearch": "archsearch", "archsearch.conf": "conf", "archsearch.tasks": "tasks"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel built from a copy of the sources, so that nothing is left beside them."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_list_of_packages_equals_the_folders():
    listed = PROJECT["tool"]["setuptools"]["packages"]
    folders = {"archsearch.conf", "archsearch.tasks"}
    for init in (ROOT / "archsearch").rglob("__init__.py"):
        folders.add(".".join(init.parent.relative_to(ROOT).parts))
    assert sorted(listed) == sorted(folders)
    code = {path.parent for path in (ROOT / "archsearch").rglob("*.py")}
    assert all((folder / "__init__.py").exists() for folder in code)


def test_wheel_holds_all_code_and_data(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    expected = set()
    for package, folder in SOURCES.items():
        for file in (ROOT / folder).rglob("*"):
            if file.suffix in {".py", ".yaml", ".eq", ".c", ".h", ".html", ".css", ".js"} or file.name == "py.typed":
                expected.add(f"{package.replace('.', '/')}/{file.relative_to(ROOT / folder)}")
    assert any(name.endswith(".yaml") for name in expected)
    assert any(name.endswith(".eq") for name in expected)
    assert any(name.endswith("page.html") for name in expected)
    assert expected == {name for name in held if not re.match(r"archsearch-[^/]*\.dist-info/", name)}


def test_wheel_works_without_the_repository(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    script = (
        "import archsearch, sys; from archsearch.cli.main import run_command_line as run\n"
        "assert 'site' in archsearch.__file__, archsearch.__file__\n"
        "sys.exit(run(['search', 'task=[xml]', '--cfg']) or run(['show', 'cell=mut1']))"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "archsearch.tasks.xml.Xml" in done.stdout
    assert "mut1" in done.stdout


def test_every_dependency_is_pinned():
    def name_of(requirement: str) -> str:
        return re.split(r"[<>=!~ \[;]", requirement, maxsplit=1)[0].lower().replace("_", "-")

    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    assert "torch==2.13.0" in pins
    project = PROJECT["project"]
    needed = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    assert {name_of(requirement) for requirement in needed} - {"archsearch"} <= {name_of(pin) for pin in pins}


def test_tests_have_every_extra():
    extras = PROJECT["project"]["optional-dependencies"]
    assert set(extras) - {"dev"} == {"onnx", "tensorboard"}
    assert "archsearch[onnx,tensorboard]" in extras["dev"]


def test_commands_of_the_makefile_are_there():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("help", "search", "test", "clean"):
        assert re.search(rf"^{target}:", text, re.MULTILINE)
    for check in ("ruff check", "ruff format --check", "mypy", "lint-imports", "pytest"):
        assert check in text
    assert os.access(ROOT / ".ci/run", os.X_OK)
