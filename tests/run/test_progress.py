"""How a search went, as table, figure and pictures."""

import subprocess
import sys

import pandas as pd
import pytest
from matplotlib import pyplot
from shared_simulation import SilentObserver, SimulatedEvaluator, make_plan

from archsearch.errors import ConfigError
from archsearch.run.folder import RunFolder
from archsearch.run.reading import load_run
from archsearch.run.session import run_search


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = RunFolder.create(tmp_path_factory.mktemp("results"), "run", "test")
    run_search(make_plan(), folder, SimulatedEvaluator(), 0, SilentObserver())
    return load_run(folder.path)


def test_progress_counts_what_the_tables_hold(run):
    progress, candidates, board = run.progress(), run.candidates(), run.leaderboard()
    assert list(progress["step"]) == [0, *candidates["step"]]
    assert progress["candidates"].iloc[-1] == (candidates["kind"] == "propose").sum() == 40
    assert progress["trials"].iloc[-1] == len(run.trials())
    found = board[board["name"].isna()]
    assert progress["best_cell"].iloc[-1] == found["cell"].iloc[0]
    assert progress["best_fitness"].iloc[-1] == found["fitness"].iloc[0]
    assert progress["best_fitness"].dropna().is_monotonic_increasing
    assert pd.isna(progress["best_fitness"].iloc[0])
    assert progress["fitness"].notna().sum() == (candidates["stage"] == "completed").sum()


@pytest.mark.parametrize("against", ["candidates", "trials", "training_seconds"])
def test_the_figure_shows_the_best_and_the_founders(run, against):
    axes = run.plot_progress(against)
    pyplot.close(axes.figure)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["passed every gate", "best found cell", "gru", "lstm"]
    best = next(line for line in axes.lines if line.get_label() == "best found cell")
    assert best.get_ydata()[-1] == run.progress()["best_fitness"].iloc[-1]


def test_the_figure_has_a_dot_for_each_candidate_that_passed_and_none_where_it_is_examined_again(tmp_path):
    folder = RunFolder.create(tmp_path, "run", "test")
    run_search(make_plan(reevaluate_probability=0.3), folder, SimulatedEvaluator(), 0, SilentObserver())
    run = load_run(folder.path)
    axes = run.plot_progress("candidates")
    pyplot.close(axes.figure)
    dots = next(line for line in axes.lines if line.get_label() == "passed every gate")
    candidates = run.candidates()
    assert (candidates["kind"] == "reevaluate").any()
    passed = (candidates["kind"] == "propose") & (candidates["stage"] == "completed")
    assert len(dots.get_xdata()) == passed.sum() > 0


def test_the_figure_goes_where_it_is_told(run, tmp_path):
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    assert run.plot_progress(axes=axes) is axes
    axes.figure.savefig(tmp_path / "progress.png")
    assert (tmp_path / "progress.png").read_bytes().startswith(b"\x89PNG")


def test_an_unknown_scale_is_named(run):
    with pytest.raises(ConfigError, match="expected one of candidates, trials, training_seconds, got 'time'"):
        run.plot_progress("time")


def test_matplotlib_is_loaded_only_to_plot():
    script = "import sys; import archsearch; archsearch.load_run; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=120, check=False).returncode == 0


def test_a_cell_is_drawn_by_id_name_and_rank(run):
    board = run.leaderboard()
    rank = int(board["rank"][board["name"].isna()].iloc[0])
    cell = board["cell"][rank - 1]
    picture = run.draw(cell)
    assert picture == run.draw(rank)
    assert picture.cell.digest == cell
    assert picture.highlighted
    assert "changed" in picture._repr_svg_()
    assert picture._repr_svg_().startswith("<svg")
    assert run.draw("gru").cell.digest == run.knowledge.founders[0]
    assert run.draw("gru").highlighted == frozenset()
    assert "* " in repr(picture)


def test_a_rank_out_of_the_leaderboard_is_one(run):
    """A DataFrame gives numpy's numbers."""
    rank = run.leaderboard()["rank"].iloc[0]
    assert not isinstance(rank, int)
    assert run.draw(rank) == run.draw(1)
    assert run.ranked(rank) == run.ranked(1)
    for wrong in (1.0, None):
        with pytest.raises(ConfigError, match="expected a whole number for a rank, got"):
            run.draw(wrong)


def test_a_picture_is_saved(run, tmp_path):
    run.draw(1).save(tmp_path / "cell.svg")
    assert (tmp_path / "cell.svg").read_text(encoding="utf-8") == run.draw(1).svg


def test_a_cell_that_the_run_never_met_is_named(run):
    with pytest.raises(ConfigError, match="expected a cell of this run, got 'c_nothing'"):
        run.draw("c_nothing")
