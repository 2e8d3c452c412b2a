"""The command line called in this process, and one tiny run that several tests read."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from archsearch.cli.main import run_command_line

TINY = (
    *("experiment=smoke", "task=[xml]", "budget.candidates=1", "search.max_steps=2", "screen.search.max_steps=2"),
    *("search.space.max_parameters=[2000]", "screen.accuracy=0", "gate=0", "task.xml.validation_size=700"),
    "screen.task.memorization.validation_problems=20",
)


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def shell_finds_archsearch(monkeypatch):
    """Puts the command on the PATH, as in an active virtual environment."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def archsearch(capfd, tmp_path, monkeypatch):
    """Returns a function that runs a command line in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Outcome:
        capfd.readouterr()
        code = run_command_line(list(words))
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def tiny_words() -> tuple[str, ...]:
    """Settings of a search that takes a second."""
    return TINY


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> Path:
    """The folder of a finished run. Not to be changed."""
    folder = tmp_path_factory.mktemp("results")
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert run_command_line(["search", *TINY, "name=tiny", f"results_dir={folder}"]) == 0
    finally:
        os.chdir(before)
    return folder / "tiny"


@pytest.fixture
def copied_run(tiny_run, tmp_path):
    """A run that a test may change."""
    target = tmp_path / "copied"
    target.mkdir()
    for file in tiny_run.iterdir():
        if file.is_file():
            (target / file.name).write_bytes(file.read_bytes())
    return target
