"""`confirm`, `ablate` and `compare` as a person uses them, on runs of a second."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml
from shared_csv_page import columns_on_the_page
from shared_simulation import SilentObserver, SimulatedEvaluator, make_plan

from archsearch.cli import tables
from archsearch.cli.compare import print_comparison
from archsearch.cli.tables import leaderboard_table, print_leaderboard
from archsearch.graph.catalog import load_cell, zoo_cell
from archsearch.run.folder import RunFolder
from archsearch.run.reading import load_run
from archsearch.run.session import run_search
from archsearch.search.cost_penalty import CostPenalty
from archsearch.search.leaderboard import leaderboard_rows
from archsearch.studies.comparison import Side, compare
from archsearch.studies.progress import BUDGETS, Progress, StepProgress
from archsearch.training.evaluate import Evaluator

SMALL = ("top=1", "seeds=2", "settings=1")
ONE_CELL = ("task=[xml]", "task.xml.validation_size=700", "task.xml.test_size=700", "steps=2", "seeds=2", "workers=0")


@pytest.fixture
def copied_run(tiny_run, tmp_path):
    """A run that a test may change."""
    return Path(shutil.copytree(tiny_run, tmp_path / "copied"))


@pytest.fixture(scope="module")
def confirmed_run(tiny_run, tmp_path_factory):
    """A run that was confirmed, and what the command printed."""
    from archsearch.cli.main import run_command_line

    path = Path(shutil.copytree(tiny_run, tmp_path_factory.mktemp("confirmed") / "tiny"))
    assert run_command_line(["confirm", f"run={path}", *SMALL]) == 0
    return path


def test_confirm_says_the_cost_and_ends_with_a_sentence_per_cell(archsearch, copied_run):
    outcome = archsearch("confirm", f"run={copied_run}", *SMALL)
    assert outcome.code == 0, outcome.err
    assert outcome.out.index("This confirmation takes 20 trials, about") < outcome.out.index("verdict")
    assert "2 seeds, with intervals that hold for all 1 finalists at once,\neach task by itself" in outcome.out
    for name in ("lstm", "lstm_b", "tanh"):
        assert f"{name} is " in outcome.out
    frame = pd.read_csv(copied_run / "confirmation.csv")
    assert len(frame) == 5
    assert (frame["step_milliseconds"] > 0).all()
    assert frame["test_value_xml"].between(0, 1).all()
    values = json.loads((copied_run / "confirmation.json").read_text(encoding="utf-8"))["test_values"]
    assert all(len(of_cell["xml"]) == 2 for of_cell in values.values())
    assert "confirm top=1" not in (copied_run / "commands.txt").read_text(encoding="utf-8")
    assert "confirm" in (copied_run / "confirm" / "commands.txt").read_text(encoding="utf-8")


def test_a_confirmed_run_says_so(archsearch, confirmed_run, tiny_run):
    outcome = archsearch("leaderboard", f"run={confirmed_run}")
    assert "confirmed" in outcome.out
    assert "baseline" in outcome.out
    assert "confirmed" not in archsearch("leaderboard", f"run={tiny_run}").out
    before, after = (pd.read_csv(path / "leaderboard.csv") for path in (tiny_run, confirmed_run))
    assert before.equals(after)


@pytest.mark.parametrize(("width", "has_limits"), [(60, False), (160, True)])
def test_a_narrow_terminal_shows_the_verdict_alone(confirmed_run, width, has_limits):
    run = load_run(confirmed_run)
    column = leaderboard_table(run, leaderboard_rows(run.knowledge), width).columns[-1]
    confirmed = [text for text in column.cells if text not in {"", "baseline"}]
    assert confirmed
    assert all(("(" in str(text)) is has_limits for text in confirmed)


def three_tasks(tmp_path, **changes):
    """Returns a simulated run on tasks with long names, with a verdict on each listed cell."""
    plan = make_plan(**changes)
    names = ("arithmetic", "penn_treebank", "words")
    tasks = tuple(replace(plan.tasks[0], name=name, digest=name) for name in names)
    folder = RunFolder.create(tmp_path, "run", "test")
    run_search(replace(plan, tasks=tasks), folder, SimulatedEvaluator(), 0, SilentObserver())
    run = load_run(folder.path)
    limits = {"fitness": 0.9, "fitness_low": 0.8, "fitness_high": 1.1}
    frame = pd.DataFrame({"cell": run.leaderboard()["cell"], "verdict": "not_distinguishable", **limits})
    frame.to_csv(folder.confirmation_path, index=False)
    return run


@pytest.mark.parametrize("width", [200, 130, 80, 60, 40, 24])
def test_no_id_and_no_figure_is_cut_and_only_what_is_shown_is_explained(tmp_path, width, monkeypatch, capsys):
    run = three_tasks(tmp_path)
    monkeypatch.setattr(tables, "PLAIN_WIDTH", width)
    print_leaderboard(run, 4)
    said = capsys.readouterr().out
    board, legend = said.split("… and")
    assert all(cell in board for cell in run.leaderboard()["cell"].tail(-1).head(3))
    if width > 30:
        assert "…" not in board
        assert f"{run.leaderboard()['fitness'].iloc[1]:.4f}" in board
    legend = " ".join(legend.split())
    for word in ("fitness", "parameters", "multiply-adds", "confirmed"):
        assert (re.search(rf"\b{word}(, multiply-adds)?:", legend) is not None) == (word in board)
    for task in run.tasks:
        assert (task in legend.partition("Left out")[2]) == (task not in board)


def test_what_ranks_beside_fitness_is_said(tmp_path, capsys):
    print_leaderboard(three_tasks(tmp_path, penalty=CostPenalty(parameters=0.07, multiply_adds=0.5)), 4)
    said = capsys.readouterr().out
    assert "Ranked by fitness * (gru's parameters / own)^0.07 * (gru's multiply-adds / own)^0.5;" in said


def test_confirming_again_trains_nothing_and_says_so(archsearch, confirmed_run):
    before = load_run(confirmed_run).confirmation().drop(columns=["step_milliseconds", "on_time_front"])
    outcome = archsearch("confirm", f"run={confirmed_run}", *SMALL)
    assert outcome.code == 0
    assert "20 of which are kept from before, about 0 s" in outcome.out
    assert load_run(confirmed_run).confirmation().drop(columns=["step_milliseconds", "on_time_front"]).equals(before)


@pytest.mark.parametrize("command", [("confirm", *SMALL), ("ablate", "rank=1", "seeds=2")])
def test_ctrl_c_stops_with_130_and_the_same_command_goes_on(archsearch, copied_run, monkeypatch, command):
    count, train = [], Evaluator._run

    def interrupted(self, trial, *others):
        count.append(trial)
        if len(count) == 4:
            raise KeyboardInterrupt
        return train(self, trial, *others)

    monkeypatch.setattr(Evaluator, "_run", interrupted)
    name, *rest = command
    outcome = archsearch(name, f"run={copied_run}", *rest)
    assert outcome.code == 130
    assert f"Go on with:\n  archsearch {name} run={copied_run} {rest[0]}" in outcome.out
    assert not (copied_run / "confirmation.csv").exists()
    monkeypatch.setattr(Evaluator, "_run", train)
    outcome = archsearch(name, f"run={copied_run}", *rest)
    assert outcome.code == 0, outcome.err
    assert "3 of which are kept from before" in outcome.out


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("seeds=1", "seeds: expected 2 to 999, got 1"),
        ("top=0", "top: expected a whole number of at least 1"),
        ("confidence=1", "confidence: expected a number from 0.5 to below 1"),
        ("sedes=3", "Did you mean seeds"),
        ("run=nowhere", "expected the folder of a run"),
    ],
)
def test_confirm_refuses_what_cannot_work(archsearch, tiny_run, word, message):
    outcome = archsearch("confirm", f"run={tiny_run}", word)
    assert outcome.code == 2
    assert message in outcome.err
    assert not (tiny_run / "confirm").exists()


def test_confirm_refuses_another_task_than_the_searchs(archsearch, copied_run):
    values = yaml.safe_load((copied_run / "config.yaml").read_text(encoding="utf-8"))
    values["task"]["xml"]["validation_size"] = 1400
    (copied_run / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    outcome = archsearch("confirm", f"run={copied_run}", *SMALL)
    assert outcome.code == 2
    assert "changed since the search" in outcome.err


def test_confirm_refuses_another_recipe_or_baseline_than_the_searchs(archsearch, copied_run, monkeypatch):
    text = (copied_run / "config.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    values["founders"] = [{"name": "mut1", "equations": zoo_cell("mut1").equations()}, *values["founders"]]
    (copied_run / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    outcome = archsearch("confirm", f"run={copied_run}", *SMALL)
    assert "which the baseline 'mut1' is now" in outcome.err
    (copied_run / "config.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr("archsearch.trials.trial.TRAINER_VERSION", "another")
    outcome = archsearch("confirm", f"run={copied_run}", *SMALL)
    assert (outcome.code, "the recipe, or how archsearch trains by it, changed" in outcome.err) == (2, True)
    assert not (copied_run / "confirm").exists()


def test_ablate_in_a_run(archsearch, copied_run):
    outcome = archsearch("ablate", f"run={copied_run}", "cell=gru", "seeds=2")
    assert outcome.code == 0, outcome.err
    assert outcome.out.index("This ablation takes") < outcome.out.index("effect")
    assert outcome.out.startswith("gru (c_3cdc2cfc3bfb9f12), 25 cells with one thing less:")
    digest = load_cell("gru").digest
    frame = pd.read_csv(copied_run / "ablate" / f"{digest}.csv")
    assert len(frame) == 25
    assert list(frame) == list(columns_on_the_page("ablate/CELL.csv", ("xml",)))
    assert frame["ratio"].dropna().is_monotonic_increasing


def test_ablate_without_a_run_offers_a_cell_that_can_be_used(archsearch):
    outcome = archsearch("ablate", "cell=gru", *ONE_CELL, "tolerance=1", "setting.max_parameters=2000")
    assert outcome.code == 0, outcome.err
    folder = Path("results/ablate-gru")
    (path,) = folder.glob("*-simpler.eq")
    assert f"archsearch show cell={path}" in outcome.out
    assert len(load_cell(path).nodes) < len(load_cell("gru").nodes)
    assert archsearch("show", f"cell={path}").code == 0
    again = archsearch("ablate", "cell=gru", *ONE_CELL, "tolerance=1", "setting.max_parameters=2000")
    assert "kept from before, about 0 s" in again.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("cell=gru",), "task: expected one at least"),
        ((), "cell: expected a zoo name"),
        (("cell=gru", "task=[xml]", "seeds=1"), "seeds: expected 2"),
        (("cell=gru", "task=[xml]", "task.words.epoch=3"), "Task 'words' is not chosen"),
    ],
)
def test_ablate_refuses_what_cannot_work(archsearch, words, message):
    outcome = archsearch("ablate", *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert not Path("results").exists()


@pytest.fixture(scope="module")
def second_run(tiny_words, tmp_path_factory):
    from archsearch.cli.main import run_command_line

    folder = tmp_path_factory.mktemp("second")
    assert run_command_line(["search", *tiny_words, "seed=2", "name=second", f"results_dir={folder}"]) == 0
    return folder / "second"


def test_compare_two_runs(archsearch, tiny_run, second_run):
    words = (f"run={tiny_run}", f"other=[{second_run}]", "names=[a,b]", "out=ab.png", "csv=curves.csv")
    outcome = archsearch("compare", *words)
    assert outcome.code == 0, outcome.err
    assert re.search(r"^At [\d,]+ training steps the best", outcome.out, re.MULTILINE)
    said = (
        r"the best cells? of .* (was fitter by \d\.\d+ than|were equally fit).*: of these runs, not of what made them"
    )
    assert re.search(said, outcome.out), "one run a side shows no spread"
    assert Path("ab.png").read_bytes().startswith(b"\x89PNG")
    curves = pd.read_csv("curves.csv")
    assert set(curves["side"]) == {"a", "b"}
    assert list(curves) == list(columns_on_the_page("compare csv=FILE", ()))
    assert archsearch("compare", *words).code == 2, "nothing is overwritten"


def side(name, *fitnesses):
    """Returns searches that found a cell of the given fitness, or none, after the founders, and then no better one."""
    spent = dict.fromkeys(BUDGETS, 5.0)
    return Side(
        name,
        tuple(Progress(tuple(StepProgress(spent, fitness) for fitness in (None, each, None))) for each in fitnesses),
    )


@pytest.mark.parametrize("others", [(None,), (None, None)])
def test_a_side_that_found_nothing_has_no_best_cell(others, capsys):
    first, second = side("a", *(0.9, 0.8)[: len(others)]), side("b", *others)
    print_comparison(first, second, compare(first, second, 0.95), 0.95)
    said = capsys.readouterr().out
    assert "At 15 training steps b had found no cell that passed every gate." in said
    assert " none " in said
    assert "0.0000 (0.0000 to 0.0000)" not in said
    assert "best cell of b" not in said


def test_where_intervals_come_from_is_said_of_each_kind(capsys):
    several, lone = side("a", 0.9, 0.8), side("b", 0.7)
    for first, second, has_t, has_drawn in ((several, lone, True, True), (several, several, True, False)):
        print_comparison(first, second, compare(first, second, 0.999), 0.999)
        said = capsys.readouterr().out
        assert "In brackets 99.9% intervals" in said
        assert ("Student's t" in said, "drawing" in said) == (has_t, has_drawn)


def test_several_comparisons_have_one_baseline_if_it_is_named(archsearch, tiny_run, second_run):
    words = ("compare", f"run={tiny_run}", f"other={second_run}")
    both = archsearch(*words)
    named = archsearch(*words, f"baselines=[{tiny_run},{second_run}]")
    assert "the mean of baselines of the runs named" in named.out
    assert named.out.splitlines()[:8] == both.out.splitlines()[:8]
    own = archsearch(*words, f"baselines={second_run}")
    knowledge = load_run(second_run).knowledge
    best = max(fitness for fitness, digest in knowledge.listed if digest not in knowledge.founders)
    assert f"{best:.4f} (" in own.out  # as the run itself has it, since it is divided by the run's own baseline
    assert f"{best:.4f} (" not in both.out


def test_compare_refuses_runs_on_other_tasks_and_says_the_differences(archsearch, tiny_run, second_run, tmp_path):
    other = Path(shutil.copytree(second_run, tmp_path / "other"))
    values = yaml.safe_load((other / "config.yaml").read_text(encoding="utf-8"))
    values["task"]["xml"]["search"]["max_steps"] = 3
    values["task"]["xml"]["search"]["num_settings"] = 7
    (other / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    outcome = archsearch("compare", f"run={tiny_run}", f"other={other}")
    assert outcome.code == 2
    assert "task.xml.search.max_steps: 2 against 3" in outcome.err
    assert "num_settings" not in outcome.err
    outcome = archsearch("compare", f"run={tiny_run}", f"other={tiny_run}")
    assert outcome.code == 2
    assert "each run once" in outcome.err


def test_compare_refuses_a_search_twice_and_searches_of_two_kinds_on_one_side(
    archsearch, tiny_run, second_run, tmp_path
):
    twice = Path(shutil.copytree(tiny_run, tmp_path / "twice"))
    outcome = archsearch("compare", f"run=[{tiny_run},{twice}]", f"other={second_run}")
    assert outcome.code == 2
    assert "both have seed=1: they are the same search twice" in outcome.err
    values = yaml.safe_load((twice / "config.yaml").read_text(encoding="utf-8"))
    values.update(seed=3, gate=0.5, workers=3)
    (twice / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    outcome = archsearch("compare", f"run={second_run}", f"other=[{tiny_run},{twice}]")
    assert outcome.code == 2
    assert "gate: " in outcome.err
    assert "against 0.5" in outcome.err
    assert "workers" not in outcome.err
