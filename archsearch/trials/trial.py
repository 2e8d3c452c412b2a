"""One training of one cell with one setting on one task, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Literal, get_args

from archsearch.errors import ConfigError, FileFormatError
from archsearch.graph.cell_graph import CellGraph
from archsearch.seeds import digest
from archsearch.trials.metric import ACCURACY, METRICS
from archsearch.trials.setting import Setting

RECORDED_IN = "recorded_in"
"""In a result's environment: the run that it was copied from."""

POPULATION = "population"
"""In a result's environment: the number of trials that trained together, if the engine trains populations."""

OF_A_TRIAL = frozenset({RECORDED_IN, POPULATION})
"""What a result's environment says of the trial rather than of the place where it ran."""

LARGEST_NUMBER = 1e300  # in a file; infinities and NaN do not lie below it

TRAINER_VERSION = 1

Status = Literal[
    "ok",
    "diverged",  # a loss, a gradient or a prediction is not finite
    "failed",  # an exception
    "out_of_memory",  # memory was refused
    "time_limit",
    "memory_limit",
    "crashed",  # twice the end of a process in which nothing else ran
    "quarantined",  # not run: the cell crashed before
    "worker_lost",  # given up after several processes were ended from outside
    "node_lost",  # likewise with machines
]
Precision = Literal["float32", "float64", "bfloat16", "tf32"]
Schedule = Literal["halving", "plateau", "decay"]
STATUSES: tuple[Status, ...] = get_args(Status)

# These say something about the machines rather than about the cell: the same search may end otherwise elsewhere.
NOT_REPRODUCIBLE: frozenset[Status] = frozenset({"time_limit", "memory_limit", "worker_lost", "node_lost"})
_FIRST_FIELDS = ("batch_size", "unroll", "patience", "num_halvings", "precision")


@dataclass(frozen=True)
class Recipe:
    """How a trial trains, whatever the cell, the task and the setting.

    Source: Jozefowicz 2015, sec. 3.5 and 3.6; R27-R31.

    Attributes:
        batch_size: Sequences per minibatch.
        unroll: Time steps per minibatch (truncated backpropagation through time).
        patience: Epochs without validation improvement before the learning rate is lowered.
        num_halvings: Epochs, each beginning with a halved rate, that follow before training stops.
        precision: Of weights and arithmetic; with `bfloat16` the factors of the large products are rounded to it, while
            weights, sums and all else are float32. With `tf32`, on GPUs only, those of all products are, to TF32.
        schedule: `halving` (R29), `plateau` (R30) or `decay` (R31); see `next_learning_rate`.
        decay: What the rate is multiplied by, where the schedule is not `halving`.
        constant_epochs: Epochs before a `decay` begins.
        max_epochs: After which a `plateau` or a `decay` stops.
        least_rate: Below which a `plateau` stops.
        dropout: Between layers, before the first and after the last one.
    """

    batch_size: int = 20
    unroll: int = 35
    patience: int = 3
    num_halvings: int = 4
    precision: Precision = "float32"
    schedule: Schedule = "halving"
    decay: float = 0.5
    constant_epochs: int = 0
    max_epochs: int = 800
    least_rate: float = 1e-3
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Checks what the numbers mean for each other.

        Raises:
            ConfigError: A rate would not fall, or nothing would be left of a layer's output.
        """
        if not 0 < self.decay <= 1:
            raise ConfigError(f"recipe.decay: expected a number above 0 and at most 1, got {self.decay}.")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"recipe.dropout: expected a number from 0 and below 1, got {self.dropout}.")

    def __repr__(self) -> str:
        """Returns the decisive fields; runs are identified by this text."""
        return f"Recipe({', '.join(f'{name}={value!r}' for name, value in self._decisive().items())})"

    @cached_property
    def digest(self) -> str:
        """Identifies the recipe and the trainer's version."""
        return digest("recipe", TRAINER_VERSION, *(f"{name}={value}" for name, value in self._decisive().items()))

    def _decisive(self) -> dict[str, Any]:
        """Returns all fields of the first version, and of the later ones those without their default value.

        So recipes that could be told then are told in the same way now.
        """
        return {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if each.name in _FIRST_FIELDS or getattr(self, each.name) != each.default
        }


@dataclass(frozen=True)
class Trial:
    """A training to be run.

    Attributes:
        cell: Digest of the cell.
        graph: The canonical graph, which is what trains.
        task: Name of the task.
        task_digest: Identity of the task's configuration, data and code.
        recipe: See `Recipe`.
        setting: See `Setting`.
        replicate: Which of several trainings that differ in nothing but their seeds.
        max_steps: Training steps after which the trial ends at the latest.
        root_seed: The run's seed.
    """

    cell: str
    graph: CellGraph = field(compare=False, repr=False)
    task: str
    task_digest: str
    recipe: Recipe
    setting: Setting
    replicate: int
    max_steps: int
    root_seed: int

    @cached_property
    def key(self) -> str:
        """The text under which the result is kept. Workers, paths and the engine are no part of it."""
        return "/".join(
            (
                self.cell,
                f"{self.task}-{self.task_digest}",
                f"recipe-{self.recipe.digest}",
                self.setting.key,
                f"replicate-{self.replicate}",
                f"steps-{self.max_steps}",
                f"seed-{self.root_seed}",
            )
        )


@dataclass(frozen=True)
class TrialResult:
    """What came of a trial.

    Attributes:
        status: `ok`, or the way in which the cell failed. A failure is data, never an exception.
        value: Best validation value of the task's metric; None if there is none to count.
        curve: `(step, mean training loss since the last point, validation value)`, one per epoch.
        steps: Training steps taken.
        seconds: Wall-clock time of the trial.
        parameters: True number of parameters of the model, at the chosen width.
        hidden_size: The chosen width.
        error: The cause of a failure in one paragraph; empty if there was none.
        cause: What of the cause can be counted: a signal's number, a limit, a node. Empty for most.
        environment: Engine, CPU and torch version, for the record.
        metric: Name of the metric, one of `METRICS`.
        test_value: Of the metric on test data, with the weights of the best validation; None for a trial that was to
            see none, which every trial of a search is.
        step_seconds: Wall-clock time of a training step, its data included: the mean of the fastest epoch, since
            whatever else runs on the machine only adds. None where no epoch was timed.
    """

    status: Status
    value: float | None
    curve: tuple[tuple[int, float, float], ...] = ()
    steps: int = 0
    seconds: float = 0.0
    parameters: int = 0
    hidden_size: int = 0
    error: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, compare=False)
    metric: str = ACCURACY.name
    test_value: float | None = None
    cause: Mapping[str, str | float] = field(default_factory=dict, compare=False)
    step_seconds: float | None = field(default=None, compare=False)

    @property
    def quality(self) -> float | None:
        """The value as the search compares it: more is better, whatever the metric."""
        return None if self.value is None else METRICS[self.metric].quality(self.value)

    @property
    def recorded_in(self) -> str:
        """The run that the result was copied from; empty if it was trained for this one."""
        return str(self.environment.get(RECORDED_IN, ""))

    def to_record(self) -> dict[str, Any]:
        """Returns the result as plain values for JSON; a test value and the time of a step only where there is one."""
        mappings = {"environment": dict(self.environment), "cause": dict(self.cause)}
        record = vars(self) | {"curve": [list(point) for point in self.curve]} | mappings
        return {name: value for name, value in record.items() if value is not None or name not in _LEFT_OUT}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "TrialResult":
        """Reads what `to_record` wrote; before there were metrics, the value was called accuracy.

        Raises:
            FileFormatError: A field is missing, unknown or of the wrong kind.
        """
        try:
            values = dict(record)
            if values["status"] not in STATUSES:
                raise ValueError(f"status {values['status']!r} is none of {', '.join(STATUSES)}")
            if values.setdefault("metric", ACCURACY.name) not in METRICS:
                raise ValueError(f"metric {values['metric']!r} is none of {', '.join(METRICS)}")
            for name, former in (("value", "accuracy"), ("test_value", "test_accuracy")):
                if former in values:
                    values[name] = values.pop(former)
            values["curve"] = tuple((int(step), float(loss), float(value)) for step, loss, value in values["curve"])
            for name in values.keys() & _KINDS.keys():
                if not _is_of_kind(values[name], _KINDS[name]):
                    raise ValueError(f"{name} {str(values[name])[:80]!a}")
            return cls(**values)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise FileFormatError(f"trial result: expected the fields of TrialResult, got {error}") from error


_LEFT_OUT = frozenset({"test_value", "step_seconds"})
"""Fields that a record has only where there is something to say: older records have none of them."""

_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("value", "test_value", "step_seconds"), (int, float, type(None))),
    **dict.fromkeys(("steps", "parameters", "hidden_size"), (int,)),
    "seconds": (int, float),
    "error": (str,),
    "environment": (dict,),
    "cause": (dict,),
}


def _is_of_kind(value: object, kinds: tuple[type, ...]) -> bool:
    """Tells whether a value out of a file is of one of some types; a number must be finite."""
    if isinstance(value, bool) or not isinstance(value, kinds):
        return False
    return not isinstance(value, int | float) or -LARGEST_NUMBER < value < LARGEST_NUMBER
