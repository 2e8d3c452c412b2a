"""A single training: as typed, or as the best one of a run was."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from archsearch.cli.cell_choice import ChosenCell
from archsearch.cli.composition import Composed
from archsearch.cli.planning import build_task, read_recipe
from archsearch.cli.run_configuration import chosen_tasks, from_yaml
from archsearch.cli.section import Section
from archsearch.cli.words import TypedSetting
from archsearch.compiler.engines import choose_engine_for, fall_back
from archsearch.compiler.lower import lower
from archsearch.errors import ConfigError
from archsearch.run.reading import Run
from archsearch.training.evaluate import Evaluator
from archsearch.training.evaluate_population import check_recipe
from archsearch.training.width import hidden_size_for
from archsearch.trials.setting import Setting
from archsearch.trials.task import Task
from archsearch.trials.trial import Trial

ENDLESS = 10**9
"""Steps that no training takes: then the schedule of the learning rate ends it."""


def typed_values(composed: Composed, typed: list[TypedSetting]) -> dict[str, Any]:
    """Returns the configuration of a training with all its numbers from the command line and the defaults.

    Raises:
        ConfigError: Not exactly one task was chosen.
    """
    tasks = chosen_tasks(Section(composed.values), typed)
    if len(tasks) != 1:
        raise ConfigError(
            f"task: expected one task, got {', '.join(tasks) or 'none'}. A cell is trained on one at a time."
        )
    return {**composed.values, "task": tasks, "engine": fall_back(composed.values["engine"])}


def values_of_run(run: Run, digest: str, task: str) -> dict[str, Any]:
    """Returns the configuration of the training in which a cell of a run did best on a task.

    Raises:
        ConfigError: The run has no such task, or the cell no accuracy on it.
    """
    kept = from_yaml(run.folder.read_config(), run.folder.config_path)
    if task not in kept["task"]:
        raise ConfigError(f"task: expected one of the run's, {', '.join(kept['task'])}, got '{task}'.")
    return {
        "task": {task: kept["task"][task]},
        "recipe": kept["recipe"],
        "seed": kept["seed"],
        "engine": kept["engine"],
        "time_limit_seconds": None,
        "steps": kept["task"][task]["search"]["max_steps"],
        "setting": asdict(run.best_setting(digest, task)),
    }


def overlay(values: Mapping[str, Any], typed: list[TypedSetting]) -> dict[str, Any]:
    """Returns the configuration with what was typed in place of what it held."""
    laid = dict(values)
    for setting in typed:
        head, _, rest = setting.key.partition(".")
        if not rest and head in {"seed", "steps", "engine", "time_limit_seconds"}:
            laid[head] = fall_back(str(setting.value)) if head == "engine" else setting.value
        elif rest and head in {"task", "recipe", "setting"}:
            laid[head] = _put(laid[head], rest, setting.value)
    return laid


def plan_trial(values: Mapping[str, Any], chosen: ChosenCell) -> tuple[Trial, Task, Evaluator]:
    """Returns the trial, its task and what trains it.

    Raises:
        ConfigError: A value cannot work, or the budget does not pay for one unit.
    """
    root = Section(values)
    (name,) = root.section("task").values
    task = build_task(root.section("task"), name)
    graph = chosen.graph.canonical()
    trial = Trial(
        cell=graph.digest,
        graph=graph,
        task=name,
        task_digest=task.digest,
        recipe=read_recipe(root.section("recipe")),
        setting=_setting(root.section("setting")),
        replicate=0,
        max_steps=root.integer("steps", 1) if "steps" in root else ENDLESS,
        root_seed=root.integer("seed"),
    )
    hidden_size_for(graph.structure, task.interface, trial.setting.num_layers, trial.setting.max_parameters)
    time_limit = root.number("time_limit_seconds", 1) if "time_limit_seconds" in root else None
    # for this cell alone: a search settles on one engine for all its cells
    engine = choose_engine_for(lower(graph.structure), root.text("engine"))
    evaluator = Evaluator({name: task}, engine, time_limit)
    check_recipe(evaluator.engine, trial.recipe)
    return trial, task, evaluator


def _setting(section: Section) -> Setting:
    section.refuse_unknown(("init_scale", "learning_rate", "max_gradient_norm", "num_layers", "max_parameters"))
    (init_scale,) = section.positive_numbers("init_scale")
    (learning_rate,) = section.positive_numbers("learning_rate")
    (max_gradient_norm,) = section.positive_numbers("max_gradient_norm")
    return Setting(
        init_scale,
        learning_rate,
        max_gradient_norm,
        section.integer("num_layers", 1),
        section.integer("max_parameters", 1),
    )


def _put(values: Mapping[str, Any], key: str, value: object) -> dict[str, Any]:
    head, _, rest = key.partition(".")
    return {**values, head: _put(values.get(head, {}), rest, value) if rest else value}
