"""Curves for TensorBoard, read back as it reads them."""

import pytest
from shared_simulation import SilentObserver, SimulatedEvaluator, make_plan

from archsearch.errors import ConfigError
from archsearch.run import tensorboard_log
from archsearch.run.folder import RunFolder
from archsearch.run.reading import load_run
from archsearch.run.session import Stopped, run_search
from archsearch.run.tensorboard_log import TensorBoardLog


def test_each_step_is_written_once_with_its_numbers(tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder, log = RunFolder.create(tmp_path, "run", "test"), TensorBoardLog(tmp_path / "curves")
    with pytest.raises(Stopped):
        run_search(make_plan(), folder, SimulatedEvaluator(interrupt_after=250), 0, SilentObserver())
    log.write(load_run(folder.path))
    run_search(make_plan(), folder, SimulatedEvaluator(), 0, SilentObserver())
    for _ in range(2):
        log.write(load_run(folder.path))
    log.close()
    read = events.EventAccumulator(str(tmp_path / "curves"))
    read.Reload()
    progress = load_run(folder.path).progress()
    for tag, column in (("search/trials", "trials"), ("fitness/best_found", "best_fitness")):
        known = progress[progress[column].notna()]
        scalars = read.Scalars(tag)
        assert [scalar.step for scalar in scalars] == list(known["step"])
        assert [scalar.value for scalar in scalars] == pytest.approx(list(known[column]))
    trials = load_run(folder.path).trials()
    assert read.Scalars("failures/diverged")[-1].value == (trials["status"] == "diverged").sum()


def test_where_it_is_not_installed_the_error_says_how_to(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorboard_log, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"found none\. It is an extra: pip install .*'\.\[tensorboard\]'"):
        TensorBoardLog(tmp_path / "curves")
    assert not (tmp_path / "curves").exists()


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    pytest.importorskip("tensorboard")
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="expected a new or empty folder"):
        TensorBoardLog(tmp_path)
