"""README and the page on writing a task, followed word by word with searches kept short.

Pages are followed to the letter, on an installed archsearch, in test_docs_to_the_letter.py.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from shared_pages import blocks

import archsearch
from archsearch.cli.main import run_command_line

README = "../README.md"
# what keeps a search short; everything else is as the page says
SHORT = {
    "search": (
        *("budget.candidates=1", "search.max_steps=12", "search.num_settings=1", "search.num_baseline_settings=1"),
        *(
            "screen.accuracy=0",
            "gate=0",
            "search.space.max_parameters=[3000]",
            "screen.search.max_steps=5",
            "workers=0",
        ),
    ),
    "task": ("setting.max_parameters=4000", "steps=210"),
}
SHORT_README = {
    "search": (
        *("budget.candidates=4", "search.num_settings=1", "search.num_baseline_settings=2", "workers=0"),
        *("screen.accuracy=0", "gate=0", "search.max_steps=30", "screen.search.max_steps=30"),
    ),
    "confirm": ("seeds=2", "settings=1"),
    "ablate": ("seeds=2",),
    "evaluate": ("steps=30",),
}


def shortened(command: str, words: list[str]) -> list[str]:
    """Returns the words with those in place that keep the command short."""
    short = SHORT_README.get(command, ())
    if command == "search" and not any(word.startswith("task=") for word in words):
        short += tuple(f"task.{task}.validation_size=500" for task in ("arithmetic", "xml", "words"))
        short += ("task.arithmetic.search.max_steps=30",)
    keys = {word.partition("=")[0] for word in short}
    return [*(word for word in words if word.partition("=")[0] not in keys), *short]


def follow(page: str) -> None:
    for line in (line for block in blocks(page) if not block.language for line in block.text.splitlines()):
        program, command, *words = shlex.split(line)
        assert program == "archsearch"
        assert run_command_line([command, *words, *SHORT.get(command, ())]) == 0, line


@pytest.fixture
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    return tmp_path


def test_write_a_task(in_a_folder, capsys, monkeypatch):
    for block in blocks("write_a_task.md"):
        if block.file:
            (in_a_folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (in_a_folder / block.file).write_text(block.text)
    follow("write_a_task.md")
    out = capsys.readouterr().out
    assert "the task can be searched on" in out
    named = f"--config-dir={in_a_folder / 'my_tasks'}"  # what is said to be typed next finds the task again
    assert re.search(rf"{re.escape(named)} resume run=results/majority budget\.candidates=2$", out, flags=re.MULTILINE)
    assert named in (in_a_folder / "results" / "majority" / "commands.txt").read_text()
    del sys.modules["majority"]  # as in a new process
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(in_a_folder / "my_tasks")])
    assert run_command_line(["resume", "run=results/majority"]) == 2
    assert "Is it in a folder of yours? Name that with --config-dir FOLDER." in capsys.readouterr().err
    assert "accuracy_majority" in (in_a_folder / "results" / "majority" / "leaderboard.csv").read_text()


def commands(page: str) -> list[list[str]]:
    """Returns the command lines of a page without the program's name, in order."""
    lines = [line for block in blocks(page) if not block.language for line in block.text.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("archsearch ")]


def test_readme(in_a_folder, capsys):
    """From the first search to the exported module."""
    python = [block.text for block in blocks(README) if block.language == "python"]
    equations = re.search(r'from_equations\("""\n(.*?)"""', "".join(python), flags=re.DOTALL)
    Path("mycell.eq").write_text(equations[1])
    first = shortened("search", ["founders=[gru]"])  # the next ranks are found cells
    assert run_command_line(["search", *first]) == 0
    board = archsearch.load_run("results/quickstart-1").leaderboard()
    found = board["cell"][1]
    seen = set()
    for command, *words in commands(README):
        assert run_command_line([command, *shortened(command, words)]) == 0, (command, words)
        seen.add(command)
    assert seen >= {"search", "resume", "leaderboard", "report", "watch", "confirm", "ablate", "compare", "export"}
    assert Path("results/quickstart-1/report.html").stat().st_size > 50_000
    assert "not distinguishable" in capsys.readouterr().out
    names = {"c_436aa42e9676d4f5": found, "Cell436aa42e9676d4f5": f"Cell{found.removeprefix('c_')}"}
    script = "\n".join(["import archsearch, torch", *python])
    for name, ours in names.items():
        script = script.replace(name, ours)
    environment = {**os.environ, "PYTHONPATH": "exported", "MPLBACKEND": "agg"}
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300, env=environment)
