"""Every yaml of conf/ composes and builds, and the numbers of the paper are the paper's."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from archsearch.cli.composition import compose_settings
from archsearch.cli.configuration_files import option_names
from archsearch.cli.help import COMMANDS
from archsearch.cli.planning import build_task, plan_search, read_recipe
from archsearch.cli.run_configuration import from_yaml, settle, to_yaml
from archsearch.cli.section import Section
from archsearch.cli.words import parse_words
from archsearch.search.plan import Inheritance
from archsearch.trials.task import Task
from archsearch.trials.trial import Recipe

CONF = Path(__file__).parents[2] / "conf"
GENERATED = tuple(name for name in option_names("task") if name != "penn_treebank")


def settled(*words: str):
    typed = parse_words("search", list(words))
    return settle(compose_settings("search", typed), typed)


def test_every_file_is_reached_by_a_test_here():
    groups = {path.parent.name for path in CONF.glob("*/*.yaml")}
    assert groups == {"experiment", "recipe", "strategy", "task", "transformation"}
    assert {path.stem for path in CONF.glob("*.yaml")} == {command.replace(" ", "_") for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_composes(command):
    words = ["task=xml"] if command in ("evaluate", "task check") else []
    assert compose_settings(command, parse_words(command, words)).values


@pytest.mark.parametrize("experiment", option_names("experiment"))
def test_every_experiment_builds(experiment):
    # the third task of two needs files, and another leaves the task to the user
    without_files = ["task=[arithmetic,xml]"]
    words = {"jozefowicz2015": without_files, "table_1": without_files, "own_data": ["task=parity"]}.get(experiment, [])
    planned = plan_search(settled(f"experiment={experiment}", *words))
    assert planned.plan.baseline.name == "gru"
    assert (planned.plan.screen is None) == (experiment == "table_1")


@pytest.mark.parametrize("task", GENERATED)
def test_every_task_builds_under_its_own_name(task):
    (entry,) = settled(f"task=[{task}]", "screen=null")["task"].items()
    assert build_task(Section(dict([entry]), "task"), task).name == task


@pytest.mark.parametrize("task", option_names("task"))
def test_every_field_of_a_task_stands_in_its_file(task):
    """A setting that is not in the file could not be typed without a plus sign."""
    file = yaml.safe_load((CONF / "task" / f"{task}.yaml").read_text(encoding="utf-8"))
    module, _, name = file.pop("_target_").rpartition(".")
    cls = getattr(__import__(module, fromlist=[name]), name)
    assert issubclass(cls, Task)
    assert set(file) == {field.name for field in dataclasses.fields(cls)}


@pytest.mark.parametrize("name", option_names("recipe"))
def test_every_recipe_builds(name):
    assert read_recipe(Section(settled(f"recipe={name}")["recipe"], "recipe"))


@pytest.mark.parametrize("name", option_names("strategy"))
def test_every_strategy_builds(name):
    plan = plan_search(settled(f"strategy={name}", "search.max_steps=400")).plan
    assert (plan.identity == plan_search(settled("search.max_steps=400")).plan.identity) == (name == "jozefowicz2015")
    assert bool(plan.strategy.rungs) == (name == "halving")


def test_every_field_of_a_strategy_stands_in_its_file():
    for name in option_names("strategy"):
        file = yaml.safe_load((CONF / "strategy" / f"{name}.yaml").read_text(encoding="utf-8"))
        strategy = plan_search(settled(f"strategy={name}")).plan.strategy
        assert set(file) - {"_target_"} == {field.name for field in dataclasses.fields(strategy)}


def test_a_configuration_from_before_strategies_is_the_same_plan():
    """A run that was started before there was a choice goes on."""
    values = settled("task=[xml]")
    older = {key: value for key, value in values.items() if key not in {"strategy", "penalty"}}
    assert plan_search(older).plan == plan_search(values).plan


def test_checkpoints_are_kept_where_a_strategy_continues_trainings(tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def folder(*words):
        cache = plan_search(settled(*words)).evaluator.checkpoints
        return cache and cache.folder

    assert folder() is None
    assert folder("strategy=halving") == tmp_path / "cache" / "checkpoints"
    assert folder("strategy=halving", "checkpoint_cache=null") is None
    assert folder("checkpoint_cache=here (1)") == tmp_path / "here (1)"


def test_yaml_says_what_the_classes_default_to():
    plan = plan_search(settled("task=[xml]")).plan
    assert plan.recipe == Recipe()
    assert plan.inheritance == Inheritance()


def test_paper_numbers_of_search():
    """R1, R2, R4, R6, R7, R9: list, whole grid first, 20 settings, screen, gates, scale."""
    plan = plan_search(settled("experiment=jozefowicz2015", "task=[arithmetic,xml]")).plan
    assert (plan.list_size, plan.gate, plan.screen_accuracy, plan.num_candidates) == (100, 0.9, 0.95, 10_000)
    assert plan.on_duplicate == "reexamine"
    assert [founder.name for founder in plan.founders] == ["gru", "lstm"]
    for task in plan.tasks:
        assert (task.num_settings, task.num_baseline_settings) == (20, None)
        assert task.max_settings == 6 * 7 * 5 * 4 * 2
    assert plan.screen is not None
    assert (plan.screen.num_settings, plan.screen.space.max_parameters) == (1, (25_000,))
    assert plan.screen.name == "memorization"


def test_paper_numbers_of_settings():
    """R20-R24: the allowed values of each coordinate, and the budget of each task."""
    search = {name: entry["search"] for name, entry in settled("experiment=jozefowicz2015")["task"].items()}
    assert list(search) == ["arithmetic", "xml", "penn_treebank"]
    for name, values in search.items():
        space = values["space"]
        assert space["init_scales"] == [0.3, 0.7, 1, 1.4, 2, 2.8]
        assert space["learning_rates"] == [0.1, 0.2, 0.3, 0.5, 1, 2, 5]
        assert space["max_gradient_norms"] == [1, 2.5, 5, 10, 20]
        assert space["num_layers"] == [1, 2, 3, 4]
        assert space["max_parameters"] == ([5_000_000] if name == "penn_treebank" else [250_000, 1_000_000])


def test_paper_numbers_of_inheritance_and_training():
    """R25, R27, R29: pools and shares; minibatch, unrolling and schedule."""
    values = settled("experiment=jozefowicz2015")
    third = pytest.approx(1 / 3)
    assert values["inheritance"] == {
        "well_explored": 421,
        "best": 100,
        "from_well_explored": 0.8,
        "from_founders": third,
        "from_parent": third,
    }
    assert {key: values["recipe"][key] for key in ("batch_size", "unroll", "patience", "num_halvings")} == {
        "batch_size": 20,
        "unroll": 35,
        "patience": 3,
        "num_halvings": 4,
    }


def test_a_task_may_differ_from_what_all_tasks_have():
    own = ("task.xml.search.max_steps=7", "task.xml.search.space.num_layers=[2]")
    tasks = settled("experiment=smoke", "task=[xml,arithmetic]", *own)["task"]
    assert tasks["xml"]["search"]["max_steps"] == 7
    assert tasks["xml"]["search"]["space"]["num_layers"] == [2]
    assert tasks["arithmetic"]["search"]["max_steps"] != 7
    assert tasks["arithmetic"]["search"]["space"]["num_layers"] == [1]
    assert tasks["xml"]["search"]["space"]["init_scales"] == tasks["arithmetic"]["search"]["space"]["init_scales"]


def test_options_of_tasks_not_chosen_are_dropped():
    assert list(settled("experiment=quickstart", "task=[words]")["task"]) == ["words"]


def test_tasks_keep_the_order_in_which_they_were_chosen():
    """R7: the stages follow each other."""
    assert list(settled("task=[words,arithmetic]")["task"]) == ["words", "arithmetic"]


def test_screen_can_be_switched_off():
    assert plan_search(settled("task=[xml]", "screen=null")).plan.screen is None


def test_kept_configuration_is_read_back_to_the_same_plan(tmp_path):
    cell = tmp_path / "my cell.eq"
    cell.write_text("h' = tanh(linear(x, h))\n", encoding="utf-8")
    values = settled("task=[xml]", f"founders=[gru,{cell}]")
    cell.unlink()
    again = from_yaml(to_yaml(values), tmp_path)
    assert again == values
    assert plan_search(again).plan == plan_search(values).plan
    assert plan_search(again).plan.founders[1].name == "my cell"


def test_path_of_a_task_does_not_depend_on_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = settled("task=[penn_treebank]", "task.penn_treebank.path=data")
    assert values["task"]["penn_treebank"]["path"] == str(tmp_path / "data")


def test_what_does_not_reach_every_task_is_said(archsearch):
    outcome = archsearch("search", "search.max_steps=1000", "--cfg")
    assert outcome.code == 0
    assert "experiment=quickstart has task.arithmetic.search.max_steps=350. " in outcome.err
    both = archsearch("search", "search.max_steps=1000", "task.arithmetic.search.max_steps=350", "--cfg")
    assert both.err == ""
    outcome = archsearch("search", "search.space.max_parameters=30000", "--cfg")
    assert "task.words.search.space.max_parameters=[40000]" in outcome.err
