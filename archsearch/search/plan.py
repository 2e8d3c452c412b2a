"""What a search is to do: its identity besides the results."""

from dataclasses import dataclass, fields, is_dataclass
from typing import Literal

from archsearch.errors import ConfigError
from archsearch.graph.cell_graph import CellGraph
from archsearch.mutation.bounds import Bounds
from archsearch.mutation.rejections import TESTS
from archsearch.mutation.transformation import Transformation
from archsearch.search.cost_penalty import NO_PENALTY, CostPenalty
from archsearch.search.jozefowicz2015 import Jozefowicz2015
from archsearch.search.strategy import WHOLE, Rung, Strategy
from archsearch.seeds import digest
from archsearch.trials.setting import SettingSpace
from archsearch.trials.trial import Recipe


@dataclass(frozen=True)
class TaskPlan:
    """How cells are examined on one task.

    Attributes:
        name: The task's name.
        digest: The task's identity.
        space: The allowed settings (R20-R24).
        max_steps: Training steps of a trial at the most.
        num_settings: Fresh settings a cell gets at a stage or a re-evaluation (20 in R4 and R7; 1 in R6).
        num_baseline_settings: Settings each founder gets, which is then also the most that any cell may get. None
            for all of them (R2).
    """

    name: str
    digest: str
    space: SettingSpace
    max_steps: int
    num_settings: int
    num_baseline_settings: int | None = None

    def __post_init__(self) -> None:
        if not len(self.space):
            raise ConfigError(f"task '{self.name}': the setting space is empty. Give every coordinate a value.")
        for field in ("max_steps", "num_settings"):
            if getattr(self, field) < 1:
                raise ConfigError(f"task '{self.name}': {field} must be at least 1, got {getattr(self, field)}.")
        if self.num_baseline_settings is not None and self.num_baseline_settings < 1:
            raise ConfigError(
                f"task '{self.name}': num_baseline_settings must be at least 1 or null (the whole grid), "
                f"got {self.num_baseline_settings}."
            )

    @property
    def max_settings(self) -> int:
        """The most settings that any cell may get on the task."""
        if self.num_baseline_settings is None:
            return len(self.space)
        return min(self.num_baseline_settings, len(self.space))


@dataclass(frozen=True)
class Inheritance:
    """Where a cell's fresh settings come from.

    Source: Jozefowicz 2015, sec. 3.3; R25. The paper does not say whether counts are per task; here they are.

    Attributes:
        well_explored: A parent with at least so many settings on the task counts as well explored ("more than 420").
        best: Size of the pools of best settings.
        from_well_explored: Share drawn from a well-explored parent's best; the rest is fully random.
        from_founders: Otherwise, share drawn from the best of the founders.
        from_parent: Otherwise, share drawn from all settings tried on the parent; the rest is fully random.
    """

    well_explored: int = 421
    best: int = 100
    from_well_explored: float = 0.8
    from_founders: float = 1 / 3
    from_parent: float = 1 / 3


@dataclass(frozen=True)
class Founder:
    """A cell the list starts with.

    Attributes:
        name: For people.
        graph: Its canonical graph.
    """

    name: str
    graph: CellGraph


LATER_FIELDS = ("strategy", "penalty", "rejections")
THE_PAPERS = Jozefowicz2015()


@dataclass(frozen=True)
class SearchPlan:
    """The whole configuration of a search as far as it decides what happens.

    Attributes:
        root_seed: The seed every generator is derived from.
        recipe: How every trial trains.
        founders: The cells the list starts with; the first is the baseline (the GRU in R3).
        screen: The task of R6 (memorization), or None to skip it.
        screen_accuracy: Below it a candidate is discarded.
        tasks: The tasks of the stages, in order (R7).
        gate: Share of the baseline's best that a cell's best must exceed on each task.
        num_candidates: Propose steps to start.
        lookahead: Steps in flight at once; part of the run's identity.
        list_size: Cells kept (R1).
        reevaluate_probability: Chance of a re-evaluation against a proposal; not given in the paper.
        on_duplicate: What becomes of a child that is already known: `redraw` another child, or `reexamine` it with
            fresh settings (R6, R8).
        max_draws: Draws after which a propose step gives up.
        inheritance: See `Inheritance`.
        transformations: What mutates cells, each with its weight.
        bounds: How large a child may be.
        strategy: Which cells are mutated or looked at again, and how far settings are trained.
        penalty: What a cell's cost takes from its place in the ranking.
        rejections: Proofs by which a child is turned down without training, see `archsearch.mutation.rejections`.
    """

    root_seed: int
    recipe: Recipe
    founders: tuple[Founder, ...]
    screen: TaskPlan | None
    tasks: tuple[TaskPlan, ...]
    num_candidates: int
    transformations: tuple[Transformation, ...]
    bounds: Bounds
    screen_accuracy: float = 0.95
    gate: float = 0.9
    lookahead: int = 8
    list_size: int = 100
    reevaluate_probability: float = 0.5
    on_duplicate: Literal["redraw", "reexamine"] = "redraw"
    max_draws: int = 1000
    inheritance: Inheritance = Inheritance()
    strategy: Strategy = THE_PAPERS
    penalty: CostPenalty = NO_PENALTY
    rejections: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.founders:
            raise ConfigError("founders: a search starts from at least one cell, got none. Try founders=[gru,lstm].")
        if not self.tasks:
            raise ConfigError("task: a search needs at least one task, got none. Try task=[arithmetic,xml,words].")
        for field, least in (("num_candidates", 1), ("lookahead", 1), ("list_size", 1), ("max_draws", 1)):
            if getattr(self, field) < least:
                raise ConfigError(f"{field} must be at least {least}, got {getattr(self, field)}.")
        for field in ("screen_accuracy", "gate", "reevaluate_probability"):
            if not 0 <= getattr(self, field) <= 1:
                raise ConfigError(f"{field} must lie between 0 and 1, got {getattr(self, field)}.")
        digests = [founder.graph.digest for founder in self.founders]
        if len(set(digests)) < len(digests):
            names = ", ".join(founder.name for founder in self.founders)
            raise ConfigError(f"founders: two of {names} are the same cell. Name each cell once.")
        names_of_tasks = [task.name for task in self.all_tasks]
        if len(set(names_of_tasks)) < len(names_of_tasks):
            raise ConfigError(f"task: a name stands twice in {', '.join(names_of_tasks)} (the screen's included).")
        for name in self.rejections:
            if name not in TESTS or self.rejections.count(name) > 1:
                raise ConfigError(
                    f"rejections: expected different ones of {', '.join(TESTS)}, got {', '.join(self.rejections)}."
                )
        for task in self.tasks:
            steps = [rung.max_steps(task.max_steps) for rung in self.strategy.rungs]
            if len(set(steps)) < len(steps):
                raise ConfigError(
                    f"task '{task.name}': with max_steps={task.max_steps} two of the strategy's rungs have equally "
                    f"many training steps: {steps}. Train longer, or use fewer rungs."
                )

    @property
    def identity(self) -> str:
        """Identifies everything but the number of candidates, which may grow.

        A field that came later counts only where it says something else than runs did before it.
        """
        founders = [(founder.name, founder.graph.digest) for founder in self.founders]
        as_before = {f.name for f in fields(self) if f.name in LATER_FIELDS and getattr(self, f.name) == f.default}
        others = [(field.name, repr(getattr(self, field.name))) for field in fields(self)]
        decisive = [pair for pair in others if pair[0] not in {"num_candidates", "founders", *as_before}]
        return digest("plan", repr(founders), repr(decisive))

    @property
    def parts(self) -> dict[str, str]:
        """What `identity` identifies, part by part, under the names that settings have: for saying what differs."""
        found = {"seed": str(self.root_seed)}
        found["founders"] = " ".join(f"{founder.name}={founder.graph.digest}" for founder in self.founders)
        for task in self.all_tasks:
            where = "screen" if task is self.screen else f"task.{task.name}"
            found[f"{where} (settings, data or code version of the task)"] = task.digest
            for name, text in _flat(task):
                if name not in {"name", "digest"}:
                    found[f"{where}.search.{name}"] = text
        said = {"root_seed", "founders", "screen", "tasks", "num_candidates"}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in said or (field.name in LATER_FIELDS and value == field.default):
                continue
            found |= {f"{field.name}.{name}".rstrip("."): text for name, text in _flat(value)}
        return found

    def rungs(self, task: TaskPlan) -> tuple[Rung, ...]:
        """Returns how far the settings of a task are trained; the screen's always to the end."""
        return WHOLE if task == self.screen else self.strategy.rungs or WHOLE

    def num_trials(self, task: TaskPlan, num_settings: int) -> int:
        """Returns the trials of so many settings of one cell on a task, over all rungs."""
        return sum(rung.num_settings(num_settings) for rung in self.rungs(task)) if num_settings else 0

    @property
    def all_tasks(self) -> tuple[TaskPlan, ...]:
        """The screen, where there is one, and the tasks of the stages."""
        return ((self.screen,) if self.screen else ()) + self.tasks

    @property
    def baseline(self) -> Founder:
        """The cell that every other is compared with."""
        return self.founders[0]


def _flat(value: object) -> list[tuple[str, str]]:
    """Returns the fields of a dataclass, those within it included, as dotted names and texts."""
    if not is_dataclass(value) or isinstance(value, type):
        return [("", repr(value))]
    return [
        (f"{field.name}.{name}".rstrip("."), text)
        for field in fields(value)
        for name, text in _flat(getattr(value, field.name))
    ]
