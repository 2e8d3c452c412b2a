"""The number of workers changes nothing but the clock."""

import json

import pandas as pd
import pytest

from archsearch.cli.main import run_command_line

FILES = ("leaderboard.csv", "trials.csv", "candidates.csv")


def tables(path):
    """Returns the tables without their clock columns, and the summary without its clock numbers."""
    frames = {}
    for name in FILES:
        frame = pd.read_csv(path / name)
        frames[name] = frame[[column for column in frame if "seconds" not in column]].to_csv()
    summary = json.loads((path / "summary.json").read_text())
    summary["duplicates"].pop("training_seconds_saved")
    summary.pop("training_seconds")
    return frames, summary


@pytest.mark.ray
def test_a_search_with_real_training_is_the_same_with_no_one_and_two_workers(tmp_path, monkeypatch):
    """Serial and Ray executors give equal leaderboards, bit for bit."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = []
    for workers in (0, 1, 2):
        words = ["search", "experiment=smoke", f"results_dir={tmp_path}", f"name=run{workers}", f"workers={workers}"]
        assert run_command_line([*words, "lookahead=4"]) == 0
        found.append(tables(tmp_path / f"run{workers}"))
    assert found[0] == found[1] == found[2]
    assert len(pd.read_csv(tmp_path / "run0" / "leaderboard.csv")) >= 3
