"""From a run's configuration to what the search, the trainers and the reader need."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast, get_args

from archsearch.cli.construction import TARGET, build_object
from archsearch.cli.run_configuration import SEARCH_KEYS, founder_graph
from archsearch.cli.section import Section
from archsearch.errors import ConfigError
from archsearch.mutation.bounds import Bounds
from archsearch.mutation.transformation import Transformation
from archsearch.run.execution import Execution, Limits
from archsearch.run.processors import num_processors
from archsearch.search.cost_penalty import NO_PENALTY, CostPenalty
from archsearch.search.jozefowicz2015 import Jozefowicz2015
from archsearch.search.plan import Founder, Inheritance, SearchPlan, TaskPlan
from archsearch.search.strategy import Strategy
from archsearch.training.checkpoint_cache import CheckpointCache, default_folder
from archsearch.training.environment import num_gpus
from archsearch.training.evaluate import Evaluator
from archsearch.training.evaluate_population import check_recipe
from archsearch.training.grouping import Populations
from archsearch.training.width import hidden_size_for
from archsearch.trials.metric import ACCURACY
from archsearch.trials.setting import SettingSpace
from archsearch.trials.task import TASK_NAME_RULE, Task, is_task_name
from archsearch.trials.trial import Precision, Recipe, Schedule

_logger = logging.getLogger(__name__)

KNOWN_KEYS = (
    *("experiment", "seed", "workers", "engine", "time_limit_seconds", "founders", "budget", "lookahead", "list_size"),
    *("gate", "reevaluate_probability", "on_duplicate", "max_draws", "screen", "inheritance", "bounds", "recipe"),
    *("transformation", "task", "strategy", "penalty", "rejections", "checkpoint_cache"),
    *("recorded", "ray", "memory_limit_mb", "grace_seconds", "max_equal_failures", "population", "workers_per_gpu"),
)


@dataclass(frozen=True)
class PlannedSearch:
    """A configuration made real.

    Attributes:
        plan: What the search is to do.
        tasks: The tasks by name, the screen's included.
        evaluator: What trains.
        execution: How trials are computed.
    """

    plan: SearchPlan
    tasks: Mapping[str, Task]
    evaluator: Evaluator
    execution: Execution

    @property
    def workers(self) -> int | None:
        """Trials at once; None for as many as a cluster has processors."""
        return self.execution.workers


def plan_search(values: Mapping[str, Any]) -> PlannedSearch:
    """Builds everything a run needs from the configuration it keeps.

    Raises:
        ConfigError: A setting is unknown, missing or has a value that cannot work.
        FileFormatError: The data of a task are not what its reader expects.
    """
    root = Section(values)
    root.refuse_unknown(KNOWN_KEYS)
    tasks = {name: build_task(root.section("task"), name) for name in root.section("task").values}
    screen, screen_accuracy, screen_tasks = _screen(root)
    plan = SearchPlan(
        root_seed=root.integer("seed"),
        recipe=read_recipe(root.section("recipe")),
        founders=_founders(root),
        screen=screen,
        screen_accuracy=screen_accuracy,
        tasks=tuple(_task_plan(root.section("task").section(name).section("search"), tasks[name]) for name in tasks),
        num_candidates=root.section("budget").integer("candidates", 1),
        transformations=read_transformations(root.section("transformation")),
        bounds=read_bounds(root.section("bounds")),
        **read_rules(root),
        inheritance=_inheritance(root.section("inheritance")),
        rejections=root.texts("rejections") if root.values.get("rejections") else (),
    )
    tasks |= screen_tasks
    _check_budgets(plan, tasks)
    execution = read_execution(root)
    evaluator = Evaluator(
        tasks, root.text("engine"), execution.limits.seconds, _checkpoints(root, plan), read_populations(root)
    )
    check_recipe(evaluator.engine, plan.recipe)
    return PlannedSearch(plan, tasks, evaluator, execution)


def _founders(root: Section) -> tuple[Founder, ...]:
    entries = root.values.get("founders")
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ConfigError("founders: expected a list of cells, each with name and equations, as a run keeps them.")
    sections = [Section(entry, "founders") for entry in entries]
    return tuple(Founder(section.text("name"), founder_graph(section.values)) for section in sections)


def build_task(tasks: Section, name: str) -> Task:
    """Builds one of the tasks of a configuration.

    Raises:
        ConfigError: Its class is no task, or a field is unknown or refused.
    """
    where = tasks.where(name)
    if not is_task_name(name):
        raise ConfigError(f"{where}: {TASK_NAME_RULE}, got {name[:80]!a}. Rename it.")
    entry = {key: value for key, value in tasks.section(name).values.items() if key != "search"}
    if TARGET not in entry:
        raise ConfigError(f"{where}: expected a task with its {TARGET}, found none.")
    if entry.pop("name", name) != name:
        raise ConfigError(f"{where}.name: expected {name!r}, which is how the task is chosen. Leave the name out.")
    return build_object(entry, Task, where, name=name)  # type: ignore[type-abstract]


def read_execution(root: Section) -> Execution:
    """Returns how trials are computed; runs of older versions lack most of these settings.

    Raises:
        ConfigError: A value cannot work.
    """
    usual = Execution()
    ray = root.section("ray") if "ray" in root else Section({}, "ray")
    ray.refuse_unknown(("address",))
    address = ray.text("address") if "address" in ray else None
    workers = root.values.get("workers")
    workers_per_gpu = gpus = None
    if root.values.get("engine") == "cuda":
        workers_per_gpu = root.integer("workers_per_gpu", 1) if "workers_per_gpu" in root else 1
        gpus = None if address else num_gpus()
    room = None if gpus is None or workers_per_gpu is None else gpus * workers_per_gpu
    if workers == "auto":
        here = num_processors() if room is None else room
        workers = None if address else here
    else:
        workers = root.integer("workers", 1 if address else 0)
        if room and workers > room:
            _logger.warning(
                "archsearch: workers=%s, but %s GPUs with workers_per_gpu=%s have room for %s, so there are no more.",
                *(workers, gpus, workers_per_gpu, room),
            )
            workers = room
    return Execution(
        workers=workers,
        limits=Limits(
            root.number("time_limit_seconds", 1) if "time_limit_seconds" in root else None,
            root.integer("memory_limit_mb", 1) if "memory_limit_mb" in root else None,
        ),
        grace_seconds=root.number("grace_seconds", 0) if "grace_seconds" in root else usual.grace_seconds,
        address=address,
        max_equal_failures=_max_equal_failures(root),
        recorded=tuple(Path(path) for path in root.texts("recorded")) if root.values.get("recorded") else (),
        workers_per_gpu=workers_per_gpu,
        num_gpus=gpus,
    )


def _max_equal_failures(root: Section) -> int | None:
    """Returns the guard; null is no limit, and runs of a time before there was one have the usual."""
    if "max_equal_failures" not in root.values:
        return Execution().max_equal_failures
    return root.integer("max_equal_failures", 2) if "max_equal_failures" in root else None


def read_populations(root: Section) -> Populations:
    """Returns which trials train together; runs of older versions have no such settings."""
    usual = Populations()
    if "population" not in root:
        return usual
    section = root.section("population")
    section.refuse_unknown(("members", "padding", "memory_mb"))
    return Populations(
        members=section.integer("members", 1) if "members" in section else None,
        padding=section.number("padding", 1),
        memory_mb=section.integer("memory_mb", 1),
    )


def read_recipe(section: Section) -> Recipe:
    """Returns how trials train."""
    section.refuse_unknown(tuple(field.name for field in fields(Recipe)))
    values = {field.name: field.default for field in fields(Recipe)} | dict(section.values)  # old runs keep fewer
    section = Section(values, section.name)
    return Recipe(
        batch_size=section.integer("batch_size", 1),
        unroll=section.integer("unroll", 1),
        patience=section.integer("patience", 1),
        num_halvings=section.integer("num_halvings", 0),
        precision=cast(Precision, section.choice("precision", get_args(Precision))),
        schedule=cast(Schedule, section.choice("schedule", get_args(Schedule))),
        decay=section.number("decay", 0, 1),
        constant_epochs=section.integer("constant_epochs", 0),
        max_epochs=section.integer("max_epochs", 1),
        least_rate=section.number("least_rate", 0),
        dropout=section.number("dropout", 0, 1),
    )


def _screen(root: Section) -> tuple[TaskPlan | None, float, dict[str, Task]]:
    if "screen" not in root:
        return None, 0.0, {}
    section = root.section("screen")
    section.refuse_unknown(("accuracy", "task", "search"))
    names = list(section.section("task").values)
    if len(names) != 1:
        raise ConfigError(f"screen.task: expected one task, got {len(names)}. Use screen=null for none.")
    task = build_task(section.section("task"), names[0])
    if task.metric != ACCURACY:
        raise ConfigError(
            f"screen.task: expected a task that measures accuracy, which screen.accuracy is compared with, got "
            f"'{task.name}', which measures {task.metric}. Choose another one, or use screen=null."
        )
    return _task_plan(section.section("search"), task), section.number("accuracy", 0, 1), {task.name: task}


def _task_plan(section: Section, task: Task) -> TaskPlan:
    section.refuse_unknown(SEARCH_KEYS)
    return TaskPlan(
        name=task.name,
        digest=task.digest,
        space=read_space(section.section("space")),
        max_steps=section.integer("max_steps", 1),
        num_settings=section.integer("num_settings", 1),
        num_baseline_settings=(
            section.integer("num_baseline_settings", 1) if "num_baseline_settings" in section else None
        ),
    )


def read_rules(root: Section) -> dict[str, Any]:
    """Returns the fields of a plan that a replay has, too: list, gate, lookahead and strategy."""
    return {
        "gate": root.number("gate", 0, 1),
        "lookahead": root.integer("lookahead", 1),
        "list_size": root.integer("list_size", 1),
        "reevaluate_probability": root.number("reevaluate_probability", 0, 1),
        "on_duplicate": root.choice("on_duplicate", ("redraw", "reexamine")),
        "max_draws": root.integer("max_draws", 1),
        "strategy": read_strategy(root),
        "penalty": read_penalty(root),
    }


def read_space(section: Section) -> SettingSpace:
    """Returns what a setting is drawn from."""
    section.refuse_unknown(("init_scales", "learning_rates", "max_gradient_norms", "num_layers", "max_parameters"))
    return SettingSpace(
        init_scales=section.positive_numbers("init_scales"),
        learning_rates=section.positive_numbers("learning_rates"),
        max_gradient_norms=section.positive_numbers("max_gradient_norms"),
        num_layers=section.integers("num_layers", 1),
        max_parameters=section.integers("max_parameters", 1),
    )


def read_transformations(section: Section) -> tuple[Transformation, ...]:
    """Returns what mutates cells."""
    entries = [section.section(name) for name in section.values]
    return tuple(
        build_object(entry.values, Transformation, entry.name)  # type: ignore[type-abstract]
        for entry in entries
        if TARGET in entry.values
    )


def read_bounds(section: Section) -> Bounds:
    """Returns how large a child may be."""
    names = ("max_nodes", "max_parameters", "max_multiply_adds")
    section.refuse_unknown(names)
    return Bounds(*(section.integer(name, 1) for name in names))


def _inheritance(section: Section) -> Inheritance:
    section.refuse_unknown(("well_explored", "best", "from_well_explored", "from_founders", "from_parent"))
    from_founders, from_parent = section.number("from_founders", 0, 1), section.number("from_parent", 0, 1)
    if from_founders + from_parent > 1 + 1e-9:
        raise ConfigError(
            f"inheritance: from_founders and from_parent are shares of one whole, expected at most 1 together, "
            f"got {from_founders + from_parent:g}. Lower one of them."
        )
    return Inheritance(
        well_explored=section.integer("well_explored", 1),
        best=section.integer("best", 1),
        from_well_explored=section.number("from_well_explored", 0, 1),
        from_founders=from_founders,
        from_parent=from_parent,
    )


def read_strategy(root: Section) -> Strategy:
    """Returns the strategy; runs from before there was a choice have the paper's."""
    if "strategy" not in root:
        return Jozefowicz2015()
    return build_object(root.section("strategy").values, Strategy, "strategy")  # type: ignore[type-abstract]


def _checkpoints(root: Section, plan: SearchPlan) -> CheckpointCache | None:
    if "checkpoint_cache" not in root:
        return None
    place = root.text("checkpoint_cache")
    if place == "auto":
        return CheckpointCache(default_folder()) if plan.strategy.rungs else None
    return CheckpointCache(Path(place))


def read_penalty(root: Section) -> CostPenalty:
    """Returns what cost takes from a cell's place in the ranking."""
    if "penalty" not in root:
        return NO_PENALTY
    section = root.section("penalty")
    section.refuse_unknown(("parameters", "multiply_adds"))
    return CostPenalty(section.number("parameters", 0), section.number("multiply_adds", 0))


def _check_budgets(plan: SearchPlan, tasks: Mapping[str, Task]) -> None:
    """Checks that every allowed setting pays for at least one unit of every founder.

    Raises:
        ConfigError: One does not.
    """
    for task in plan.all_tasks:
        where = "screen.search" if plan.screen is task else f"task.{task.name}.search"
        for founder in plan.founders:
            interface, budget = tasks[task.name].interface, min(task.space.max_parameters)
            try:
                hidden_size_for(founder.graph.structure, interface, max(task.space.num_layers), budget)
            except ConfigError as error:
                raise ConfigError(
                    f"{where}.space.max_parameters: too small for one unit of founder '{founder.name}'; {error}"
                ) from error
