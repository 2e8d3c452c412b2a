"""The Python of docs/cells.md, as it stands there, with the cell of its first lines and a run."""

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from shared_pages import blocks


@pytest.fixture
def in_a_folder(tiny_run, tmp_path, monkeypatch):
    """A folder with the page's cell and a run of the page's name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "quickstart-1").symlink_to(tiny_run)
    (tmp_path / "mycell.eq").write_text(blocks("cells.md")[0].text)


def run_block(number: int) -> dict[str, Any]:
    """Runs a block of Python and returns its names."""
    script = Path("script.py")
    script.write_text([block.text for block in blocks("cells.md") if block.language == "python"][number])
    return runpy.run_path(str(script))


def test_a_layer_of_a_file(in_a_folder):
    names = run_block(0)
    assert names["output"].shape == (35, 20, 128)
    assert names["h_n"].shape == (4, 20, 64)


def test_a_found_cell(in_a_folder, tiny_run):
    names = run_block(1)
    assert names["cell"].digest == names["run"].leaderboard()["cell"][1]
    assert names["layer"](torch.zeros(3, 1, 32))[0].shape == (3, 1, 64)


def test_a_loop_trains(in_a_folder):
    """20 steps from one state to the next; all weights have gradients, within the norm."""
    names = run_block(2)
    gradients = [parameter.grad for parameter in names["parameters"]]
    assert 0 < torch.nn.utils.get_total_norm(gradients) <= 2.5 * 1.001
    assert names["loss"].item() / (35 * 20) < 2 * torch.tensor(30.0).log().item()
    assert not names["state"].requires_grad
