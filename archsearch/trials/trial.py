"""One training of one cell with one setting on one task, and what came of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from archsearch.errors import FileFormatError
from archsearch.graph.cell_graph import CellGraph
from archsearch.seeds import digest
from archsearch.trials.setting import Setting

TRAINER_VERSION = 1

Status = Literal["ok", "diverged", "failed", "out_of_memory", "time_limit", "worker_lost"]
Precision = Literal["float32", "float64", "bfloat16"]
STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True)
class Recipe:
    """How a trial trains, whatever the cell, the task and the setting.

    Source: Jozefowicz 2015, sec. 3.5; R27-R29.

    Attributes:
        batch_size: Sequences per minibatch.
        unroll: Time steps per minibatch (truncated backpropagation through time).
        patience: Epochs without validation improvement before the learning rate is halved.
        num_halvings: Epochs, each beginning with a halved rate, that follow before training stops.
        precision: Of weights and arithmetic; with `bfloat16` the factors of the large products are rounded to it, while
            weights, sums and all else are float32.
    """

    batch_size: int = 20
    unroll: int = 35
    patience: int = 3
    num_halvings: int = 4
    precision: Precision = "float32"

    @property
    def digest(self) -> str:
        """Identifies the recipe and the trainer's version."""
        return digest("recipe", TRAINER_VERSION, *(f"{name}={value}" for name, value in asdict(self).items()))


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

    @property
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
        accuracy: Best validation accuracy reached, in 0..1; None if there is none to count.
        curve: `(step, mean training loss since the last point, validation accuracy)`, one per epoch.
        steps: Training steps taken.
        seconds: Wall-clock time of the trial.
        parameters: True number of parameters of the model, at the chosen width.
        hidden_size: The chosen width.
        error: The cause of a failure in one paragraph; empty if there was none.
        environment: Engine, CPU and torch version, for the record.
        test_value: As the accuracy, on test data, with the weights of the best validation; None for a trial that is not
            to see them, which no trial of a search is.
    """

    status: Status
    accuracy: float | None
    curve: tuple[tuple[int, float, float], ...] = ()
    steps: int = 0
    seconds: float = 0.0
    parameters: int = 0
    hidden_size: int = 0
    error: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, compare=False)
    test_value: float | None = None

    def to_record(self) -> dict[str, Any]:
        """Returns the result as plain values for JSON; a test value only where there is one."""
        record = asdict(self) | {"curve": [list(point) for point in self.curve], "environment": dict(self.environment)}
        if self.test_value is None:
            del record["test_value"]
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "TrialResult":
        """Reads what `to_record` wrote.

        Raises:
            FileFormatError: A field is missing, unknown or of the wrong kind.
        """
        try:
            values = dict(record)
            if values["status"] not in STATUSES:
                raise ValueError(f"status {values['status']!r} is none of {', '.join(STATUSES)}")
            values["curve"] = tuple((int(s), float(loss), float(accuracy)) for s, loss, accuracy in values["curve"])
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"trial result: expected the fields of TrialResult, got {error}") from error
