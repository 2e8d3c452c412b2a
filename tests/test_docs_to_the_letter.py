"""The pages about one's own data and tasks, followed to the letter where archsearch is installed, not checked out.

Nothing is shortened, and nothing but the installed package is there: an empty folder, a user's environment. In `make
test` the dependencies are those of the tests; in `make docs` they are installed anew, too.
"""

import csv
import io
import re
import shutil
from collections.abc import Iterator

import pytest
from shared_installs import ROOT, Install, install_afresh, install_borrowing
from shared_pages import follow_to_the_letter

pytestmark = pytest.mark.ray  # searches run as they do by default


@pytest.fixture(
    scope="module", params=[pytest.param(install_borrowing), pytest.param(install_afresh, marks=pytest.mark.fresh)]
)
def install(request, tmp_path_factory) -> Iterator[Install]:
    made = request.param(tmp_path_factory.mktemp("install"))
    folder = tmp_path_factory.mktemp("elsewhere")
    where = made.run([made.python, "-c", "import archsearch; print(archsearch.__file__)"], folder).strip()
    assert where.startswith(str(made.place))
    assert str(ROOT) not in where
    assert made.run(["bash", "-c", "command -v archsearch"], folder).strip() == str(made.place / "bin" / "archsearch")
    yield made
    shutil.rmtree(made.place)  # pytest keeps the folders of three runs, and this one may have two gigabytes


def printed_by(done: list[tuple[str, str]], *words: str) -> str:
    """Returns what the one step that has all the words printed."""
    (printed,) = (printed for step, printed in done if all(word in step for word in words))
    return printed


def table_of(text: str) -> list[dict[str, str]]:
    """Returns the rows of a text in CSV."""
    return list(csv.DictReader(io.StringIO(text)))


def test_own_data(install, tmp_path):
    done = follow_to_the_letter("own_data.md", install, tmp_path)
    checks = [printed for step, printed in done if "task check" in step]
    assert len(checks) == 4
    assert all("the task can be searched on" in printed for printed in checks)
    check_series(install, done, tmp_path)
    check_text(done, tmp_path)


def check_series(install, done, folder):
    """A leaderboard, an exported cell, and its forecast beside the GRU's and those of no network."""
    board = table_of((folder / "results" / "sensors" / "leaderboard.csv").read_text())
    assert {"ratio_series", "mse_series"} <= board[0].keys()
    assert {row["name"] for row in board} >= {"gru", "lstm"}
    assert float(next(row["ratio_series"] for row in board if row["name"] == "gru")) == 1.0
    assert "on series; what is no network: persistence" in printed_by(done, "search ", "name=sensors")
    (exported,) = (folder / "exported").glob("*.py")
    assert exported.stem == board[0]["cell"] == f"c_{exported.stem.removeprefix('c_')}"
    layer = f"import {exported.stem} as m; m.Cell{exported.stem[2:]}(input_size=3, hidden_size=4)"
    install.run([install.python, "-c", layer], folder / "exported")
    predicted = printed_by(done, "predict ", "input=")
    shown = re.findall(r"^(\w+)\.safetensors: (mse .*)\n((?:.*,.*\n){4})", predicted, flags=re.MULTILINE)
    assert [name for name, _, _ in shown] == ["best", "gru"]
    columns = ["step", "load", "load (persistence)", "load (seasonal naive)"]
    forecasts = [table_of(forecast) for _, _, forecast in shown]
    for (_, quality, _), rows in zip(shown, forecasts, strict=True):
        assert re.search(r"on its validation data; persistence \d.*, seasonal naive \d", quality)
        assert [list(row) for row in rows] == [columns] * 3
    assert [row["load (persistence)"] for row in forecasts[0]] == [row["load (persistence)"] for row in forecasts[1]]
    assert [row["load"] for row in forecasts[0]] != [row["load"] for row in forecasts[1]]
    in_python = printed_by(done, "load_predictor", "forecast")
    assert all(f"{float(row['load']):.2f}"[:-1] in in_python for row in forecasts[0])


def check_text(done, folder):
    """A leaderboard, and what the best cell writes beside what the GRU writes, each beside the best n-gram."""
    board = table_of((folder / "results" / "notes" / "leaderboard.csv").read_text())
    assert {"ratio_text", "bits_text"} <= board[0].keys()
    assert "on text; what is no network: best n-gram" in printed_by(done, "search ", "name=notes")
    predicted = printed_by(done, "predict ", "prompt=")
    networks, _, ngram = predicted.partition("n-gram of notes.txt:\n")
    assert re.match(r"anna calls \w", ngram)
    assert len(ngram) > 80
    parts = re.split(r"^(\w+)\.safetensors: bits (.*)\n", networks, flags=re.MULTILINE)[1:]
    assert parts[::3] == ["writer", "gru_writer"]
    assert all("best n-gram up to 6" in quality for quality in parts[1::3])
    samples = parts[2::3]
    assert all(sample.startswith("anna calls ") and len(sample) > 80 for sample in samples)
    assert len(printed_by(done, "load_predictor", "continue_text")) > 80


def test_write_a_task(install, tmp_path):
    done = follow_to_the_letter("write_a_task.md", install, tmp_path)
    assert "the task can be searched on" in printed_by(done, "task check")
    board = table_of((tmp_path / "results" / "majority" / "leaderboard.csv").read_text())
    assert {"ratio_majority", "accuracy_majority"} <= board[0].keys()
    assert {row["name"] for row in board} >= {"gru", "lstm"}
    assert "best validation accuracy" in printed_by(done, "evaluate ")
