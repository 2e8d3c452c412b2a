"""A search whose engine trains populations: the same with any number of workers, and after interruptions."""

import pandas as pd
import pytest
import torch
import yaml

from archsearch.cli.main import run_command_line
from archsearch.compiler import engines
from archsearch.training.evaluate_population import PopulationEvaluator

FILES = ("leaderboard.csv", "trials.csv", "candidates.csv")
POPULATIONS = (
    *("experiment=smoke", "engine=vectorized", "lookahead=4", "search.num_settings=4"),
    *("search.num_baseline_settings=6", "search.max_steps=6", "screen.search.max_steps=6"),
    *("search.space.max_parameters=[2000,3000]", "screen.accuracy=0", "gate=0"),
)


def tables(path):
    frames = {}
    for name in FILES:
        frame = pd.read_csv(path / name)
        frames[name] = frame[[column for column in frame if "seconds" not in column]].to_csv()
    return frames


@pytest.fixture
def sizes(monkeypatch):
    """The sizes of the populations trained in this process."""
    found = []
    evaluate = PopulationEvaluator.evaluate

    def note(self, trials):
        found.append(len(trials))
        return evaluate(self, trials)

    monkeypatch.setattr(PopulationEvaluator, "evaluate", note)
    return found


def search(folder, name, *words):
    return run_command_line(["search", *POPULATIONS, f"results_dir={folder}", f"name={name}", *words])


IN_THIS_PROCESS = ("workers=0", "time_limit_seconds=null", "memory_limit_mb=null")


@pytest.mark.ray
def test_a_search_is_the_same_with_no_and_two_workers(tmp_path, monkeypatch, sizes):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert search(tmp_path, "here", *IN_THIS_PROCESS) == 0
    assert max(sizes) > 2
    assert search(tmp_path, "beside", "workers=0") == 0
    assert search(tmp_path, "ray", "workers=2") == 0
    assert tables(tmp_path / "here") == tables(tmp_path / "beside") == tables(tmp_path / "ray")


def test_a_search_that_is_stopped_goes_on_with_the_same_populations(tmp_path, monkeypatch, sizes):
    assert search(tmp_path, "whole", *IN_THIS_PROCESS) == 0
    whole = sorted(sizes)
    sizes.clear()
    evaluate, num_calls = PopulationEvaluator.evaluate, []

    def stop_now_and_then(self, trials):
        num_calls.append(len(trials))
        if len(num_calls) % 4 == 0:
            raise KeyboardInterrupt
        return evaluate(self, trials)

    monkeypatch.setattr(PopulationEvaluator, "evaluate", stop_now_and_then)
    code = search(tmp_path, "stopped", *IN_THIS_PROCESS)
    num_stops = 0
    while code == 130:
        num_stops += 1
        code = run_command_line(["resume", f"run={tmp_path / 'stopped'}"])
    assert code == 0
    assert num_stops > 2
    assert sorted(sizes) == whole
    assert tables(tmp_path / "stopped") == tables(tmp_path / "whole")


def test_who_trains_with_whom_is_part_of_a_run(tmp_path, capfd):
    assert search(tmp_path, "run", *IN_THIS_PROCESS) == 0
    capfd.readouterr()
    assert run_command_line(["resume", f"run={tmp_path / 'run'}", "population.members=2"]) == 2
    assert "population.members: None → 2" in capfd.readouterr().err


def test_populations_of_one_are_refused_nothing(tmp_path, sizes):
    assert search(tmp_path, "run", *IN_THIS_PROCESS, "population.members=1") == 0
    assert set(sizes) == {1}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("population.members=0", "population.members: expected a whole number of at least 1"),
        ("population.padding=0.5", "population.padding: expected a number"),
        ("population.memory_mb=0", "population.memory_mb: expected a whole number of at least 1"),
        ("recipe.precision=bfloat16", "engine vectorized: it has no precision=bfloat16"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_the_first_trial(tmp_path, capfd, word, message):
    assert search(tmp_path, "run", *IN_THIS_PROCESS, word) == 2
    assert message in capfd.readouterr().err


@pytest.fixture
def no_gpu(monkeypatch):
    """Tells torch that there is none."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    engines._say_no_gpu.cache_clear()


def test_a_search_for_a_gpu_falls_back_where_there_is_none(tmp_path, archsearch, tiny_words, no_gpu, caplog):
    """It begins on processors, says so in one line, and keeps the engine that it took."""
    outcome = archsearch("search", *tiny_words, "engine=cuda", f"results_dir={tmp_path}", "name=gpu")
    assert outcome.code == 0, outcome.err
    assert caplog.text.count("engine cuda: torch finds no GPU here, so engine=") == 1
    kept = yaml.safe_load((tmp_path / "gpu" / "config.yaml").read_text())["engine"]
    assert kept == engines.choose_engine("auto")
    assert archsearch("resume", f"run={tmp_path / 'gpu'}", "budget.candidates=2").code == 0


def test_a_single_training_falls_back_too(archsearch, tiny_run, no_gpu, caplog):
    words = ("steps=2", "setting.max_parameters=2000", "task.xml.validation_size=700", "engine=cuda")
    for more in ((), (f"run={tiny_run}",)):
        engines._say_no_gpu.cache_clear()
        outcome = archsearch("evaluate", "cell=gru", "task=xml", *words, *more)
        assert outcome.code == 0, outcome.err
        assert "engine cuda: torch finds no GPU here" in caplog.text
        caplog.clear()


def test_a_run_that_began_on_a_gpu_does_not_go_on_without(tmp_path, archsearch, tiny_words, no_gpu):
    """Its other trials would round differently."""
    assert archsearch("search", *tiny_words, f"results_dir={tmp_path}", "name=run").code == 0
    path = tmp_path / "run" / "config.yaml"
    kept = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(kept | {"engine": "cuda"}))
    outcome = archsearch("resume", f"run={tmp_path / 'run'}", "budget.candidates=2")
    assert outcome.code == 2
    assert "engine cuda: expected a GPU" in outcome.err


def test_a_precision_of_gpus_is_refused_without_one(tmp_path, archsearch, tiny_words, no_gpu):
    outcome = archsearch("search", *tiny_words, "engine=cuda", "recipe.precision=tf32", f"results_dir={tmp_path}")
    assert outcome.code == 2
    assert "precision=tf32, which only GPUs have" in outcome.err
    assert list(tmp_path.glob("*/archsearch.db")) == []
