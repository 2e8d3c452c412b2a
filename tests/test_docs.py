"""The pages that say how to use one's own data, followed word by word."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from archsearch.cli.main import run_command_line

DOCS = Path(__file__).parents[1] / "docs"
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


def blocks(page: str) -> list[tuple[str, str]]:
    """Returns language and text of each block of code, in order."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", (DOCS / page).read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def follow(page: str) -> None:
    for language, text in blocks(page):
        if language == "python" and "class " not in text:
            subprocess.run([sys.executable, "-c", text], check=True, timeout=300)
        if language:
            continue
        for line in text.splitlines():
            program, command, *words = shlex.split(line)
            assert program == "archsearch"
            assert run_command_line([command, *words, *SHORT.get(command, ())]) == 0, line


@pytest.fixture
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    return tmp_path


def test_own_data(in_a_folder, capsys):
    follow("own_data.md")
    out = capsys.readouterr().out
    assert "persistence" in out
    assert "seasonal naive" in out
    assert (
        (in_a_folder / "results" / "sensors" / "leaderboard.csv")
        .read_text()
        .startswith("rank,cell,name,fitness,ratio_series,mse_series,")
    )
    assert "bits_text" in (in_a_folder / "results" / "notes" / "leaderboard.csv").read_text()
    assert list((in_a_folder / "exported").glob("*.py"))


def test_write_a_task(in_a_folder, capsys):
    python, yaml = (next(t for name, t in blocks("write_a_task.md") if name == kind) for kind in ("python", "yaml"))
    (in_a_folder / "my_tasks" / "task").mkdir(parents=True)
    (in_a_folder / "my_tasks" / "majority.py").write_text(python)
    (in_a_folder / "my_tasks" / "task" / "majority.yaml").write_text(yaml)
    follow("write_a_task.md")
    assert "the task can be searched on" in capsys.readouterr().out
    assert "accuracy_majority" in (in_a_folder / "results" / "majority" / "leaderboard.csv").read_text()
