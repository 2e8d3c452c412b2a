"""`recorded=OLD`: equal trials of other runs are not trained again, and the new run stands alone."""

import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest

from archsearch.run.reading import load_run
from archsearch.training.evaluate import Evaluator

FIXTURES = Path(__file__).parents[1] / "run" / "fixtures"


def without_clock(path):
    frame = load_run(path).trials()
    return frame[[column for column in frame if "seconds" not in column]]


@pytest.fixture
def trained(monkeypatch):
    """Keys of the trials that are trained."""
    keys = []
    real = Evaluator.evaluate

    def evaluate(self, trial):
        keys.append(trial.key)
        return real(self, trial)

    monkeypatch.setattr(Evaluator, "evaluate", evaluate)
    return keys


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_equal_trials_are_copied_and_the_new_run_stands_alone(archsearch, tiny_words, tiny_run, tmp_path, trained):
    old = tmp_path / "old"
    shutil.copytree(tiny_run, old)
    before = contents(old)
    whole = archsearch("search", *tiny_words, "name=whole", "budget.candidates=3")
    assert whole.code == 0
    num_whole, known = len(trained), set(load_run(old).trials()["key"])
    trained.clear()
    outcome = archsearch("search", *tiny_words, "name=new", "budget.candidates=3", f"recorded={old}")
    assert outcome.code == 0, outcome.err
    assert not known & set(trained)
    num_copied = num_whole - len(trained)
    assert num_copied >= 4
    assert f"{num_copied} of them recorded in other runs" in outcome.out
    assert contents(old) == before
    shutil.rmtree(old)
    pd.testing.assert_frame_equal(without_clock(Path("results/new")), without_clock(Path("results/whole")))
    assert load_run("results/new").summary()["recorded_in_other_runs"] == num_copied
    assert "recorded_in_other_runs" not in load_run("results/whole").summary()
    resumed = archsearch("resume", "run=results/new", "budget.candidates=4")
    assert resumed.code == 0
    assert "goes on without it" in resumed.err
    assert archsearch("resume", "run=results/whole", "budget.candidates=4").code == 0
    pd.testing.assert_frame_equal(without_clock(Path("results/new")), without_clock(Path("results/whole")))


def test_a_read_only_run_of_an_older_version_answers_where_keys_are_equal(archsearch, tiny_words, tmp_path, trained):
    old = tmp_path / "old"
    shutil.copytree(FIXTURES / "journal-1-real", old)
    for path in (*old.iterdir(), old):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        outcome = archsearch("search", *tiny_words, "name=new", f"recorded={old}")
    finally:
        old.chmod(0o755)
    assert outcome.code == 0, outcome.err
    assert f"Recorded in {old}" in outcome.out
    assert len(trained) == len(load_run("results/new").trials())


def test_another_seed_task_or_recipe_is_another_trial(archsearch, tiny_words, tiny_run, trained):
    for word in ("seed=2", "task.xml.num_letters=5", "recipe.batch_size=10"):
        trained.clear()
        outcome = archsearch("search", *tiny_words, f"recorded={tiny_run}", word)
        assert outcome.code == 0, outcome.err
        on_xml = [key for key in trained if "/xml-" in key]
        assert on_xml
        assert not set(load_run(tiny_run).trials()["key"]) & set(on_xml)


@pytest.mark.parametrize("damage", ["nowhere", "no run", "text", "cut"])
def test_what_is_no_whole_run_is_refused_before_anything_is_made(archsearch, tiny_words, tiny_run, tmp_path, damage):
    old = tmp_path / "old"
    if damage != "nowhere":
        shutil.copytree(tiny_run, old)
    journal = old / "archsearch.db"
    if damage == "no run":
        journal.unlink()
    if damage == "text":
        journal.write_text("hello")
    if damage == "cut":
        journal.write_bytes(journal.read_bytes()[:6000])
    outcome = archsearch("search", *tiny_words, f"recorded={old}")
    assert outcome.code == 2
    assert outcome.err.startswith("archsearch: recorded: ")
    assert outcome.err.count("\n") == 1
    assert not Path("results").exists()


def test_a_run_cannot_answer_itself(archsearch, copied_run):
    outcome = archsearch("resume", f"run={copied_run}", f"recorded={copied_run}")
    assert outcome.code == 2
    assert "is the run itself" in outcome.err


def test_several_runs(archsearch, tiny_words, tiny_run, tmp_path, trained):
    assert archsearch("search", *tiny_words, "name=other", "seed=2").code == 0
    trained.clear()
    outcome = archsearch("search", *tiny_words, "name=new", "seed=2", f"recorded=[{tiny_run},results/other]")
    assert outcome.code == 0, outcome.err
    assert trained == []
    assert outcome.out.count("Recorded in ") == 2


def test_a_change_is_shown_with_the_way_to_reuse_the_trials(archsearch, copied_run):
    outcome = archsearch("resume", f"run={copied_run}", "seed=2", "gate=0.25", "recipe=jozefowicz2015")
    assert outcome.code == 2
    assert "seed: 1 → 2" in outcome.err
    assert "gate: 0 → 0.25" in outcome.err
    assert "recipe:" not in outcome.err, "the same recipe is no change"
    assert f" recorded={copied_run} seed=2 gate=0.25 recipe=jozefowicz2015" in outcome.err


def test_the_way_to_reuse_the_trials_is_a_command_that_works(archsearch, tiny_words, copied_run, trained):
    refused = archsearch("resume", f"run={copied_run}", "gate=0.5", "name=again")
    command = shlex.split(refused.err[refused.err.index(" search ") :])
    assert set(tiny_words) - set(command) == {word for word in tiny_words if word.startswith("gate=")}
    trained.clear()
    again = archsearch(*command, f"results_dir={copied_run.parent}")
    assert again.code == 0, again.err
    assert not trained, "all that the old run trained is taken from it"


def test_a_list_of_commands_that_somebody_has_edited_is_no_obstacle(archsearch, copied_run):
    (copied_run / "commands.txt").write_text("archsearch search 'unfinished\n")
    outcome = archsearch("resume", f"run={copied_run}", "seed=2")
    assert outcome.code == 2
    assert f"search recorded={copied_run} seed=2" in outcome.err
