"""How long training takes on this machine, for the estimate before a search begins."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from archsearch.compiler.layer import RecurrentLayer
from archsearch.errors import EngineError
from archsearch.graph.cell_graph import CellGraph
from archsearch.training.denormals import flush_denormals
from archsearch.training.model import build_model, products_precision
from archsearch.training.trainer import Trainer
from archsearch.training.width import hidden_size_for
from archsearch.trials.setting import Setting
from archsearch.trials.task import Task
from archsearch.trials.trial import Recipe


@dataclass(frozen=True)
class TrainingSpeed:
    """What the parts of a trial cost.

    Attributes:
        start_seconds: Building the model and the held-out data.
        step_seconds: One training step, its data included.
        validation_seconds: One validation.
        epoch_steps: Training steps between two validations.
    """

    start_seconds: float
    step_seconds: float
    validation_seconds: float
    epoch_steps: int

    def trial_seconds(self, num_steps: int) -> float:
        """Returns the time of a trial of so many steps."""
        num_validations = math.ceil(num_steps / self.epoch_steps)
        return self.start_seconds + num_steps * self.step_seconds + num_validations * self.validation_seconds


def measure_training_speed(
    task: Task, cell: CellGraph, setting: Setting, recipe: Recipe, engine: str = "auto", num_steps: int = 5
) -> TrainingSpeed:
    """Trains for a few steps and validates once, after one step that is not counted.

    Args:
        task: What to train on.
        cell: What to train.
        setting: How; it decides the width.
        recipe: Minibatch and unrolling.
        engine: What runs the cell.
        num_steps: Steps to measure; the median counts.

    Raises:
        ConfigError: The budget does not pay for one unit.
    """
    # the time of a step does not depend on these two, and with them no step changes a weight or overflows
    setting = replace(setting, learning_rate=0.0, init_scale=0.1)
    structure, interface = cell.structure, task.interface
    hidden_size = hidden_size_for(structure, interface, setting.num_layers, setting.max_parameters)
    with flush_denormals():
        start = time.perf_counter()
        model = build_model(cell, interface, hidden_size, setting, recipe, engine, seed=0)
        trainer = Trainer(model, task, setting, recipe, data_seed=0)
        built = time.perf_counter()
        trainer.step()  # the first one pays for torch's own preparations
        step_seconds = statistics.median(_seconds_of(trainer.step) for _ in range(num_steps))
        validation_seconds = _seconds_of(trainer.validate)
    epoch_steps = task.epoch_steps(recipe.batch_size, recipe.unroll)
    return TrainingSpeed(built - start, step_seconds, validation_seconds, epoch_steps)


def measure_step_milliseconds(
    cells: Sequence[CellGraph], recipe: Recipe, size: int, engine: str = "auto", num_rounds: int = 25
) -> tuple[float | None, ...]:
    """Measures one layer of each cell, forward and backward over one minibatch, on this process's threads.

    The cells take turns, and the least of the times counts: whatever else runs on the machine only adds.

    Args:
        cells: What to measure.
        recipe: Minibatch, unrolling and precision.
        size: Input features and hidden units.
        engine: What runs the cells.
        num_rounds: Times that each cell is measured.

    Returns:
        Milliseconds by cell; None where the engine cannot run the cell.
    """
    with flush_denormals():
        works = [_layer_step(cell, recipe, size, engine) for cell in cells]
        rounds = [[None if work is None else _seconds_of(work) for work in works] for _ in range(num_rounds)]
    return tuple(
        min((seconds * 1000 for seconds in times if seconds is not None), default=None)
        for times in zip(*rounds, strict=True)
    )


def _layer_step(cell: CellGraph, recipe: Recipe, size: int, engine: str) -> Callable[[], object] | None:
    precision = products_precision(recipe)
    dtype = torch.float64 if recipe.precision == "float64" else torch.float32
    try:
        with torch.random.fork_rng(devices=()):
            layer = RecurrentLayer(cell, size, size, engine=engine, precision=precision).to(dtype)
        generator = torch.Generator().manual_seed(0)
        layer.reset_parameters(1.0, generator)
        inputs = torch.rand(recipe.unroll, recipe.batch_size, size, dtype=dtype, generator=generator)

        def work() -> None:
            outputs, _ = layer(inputs)
            outputs.sum().backward()

        work()  # the first one pays for compilation and torch's own preparations
    except EngineError:
        return None
    return work


def _seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
