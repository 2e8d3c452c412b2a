"""How long training takes on this machine, for the estimate before a search begins."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import torch

from archsearch.compiler.layer import RecurrentLayer
from archsearch.errors import EngineError
from archsearch.graph.cell_graph import CellGraph
from archsearch.training.denormals import flush_denormals
from archsearch.training.evaluate_population import POPULATION_ENGINES, device_of
from archsearch.training.grouping import padded_size
from archsearch.training.model import build_model, products_precision
from archsearch.training.population import Member, PopulationTrainer
from archsearch.training.stops import DivergedError
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
    task: Task,
    cell: CellGraph,
    setting: Setting,
    recipe: Recipe,
    engine: str = "auto",
    num_steps: int = 5,
    num_members: int = 1,
) -> TrainingSpeed:
    """Trains for a few steps and validates once, after one step that is not counted.

    Args:
        task: What to train on.
        cell: What to train.
        setting: How; it decides the width.
        recipe: Minibatch and unrolling.
        engine: What runs the cell.
        num_steps: Steps to measure; the median counts.
        num_members: Trials that train together, if the engine can; the times are a member's share.

    Raises:
        ConfigError: The budget does not pay for one unit.
    """
    # the time of a step does not depend on these two, and with them no step changes a weight, and few cells overflow
    setting = replace(setting, learning_rate=0.0, init_scale=0.0)
    structure, interface = cell.structure, task.interface
    hidden_size = hidden_size_for(structure, interface, setting.num_layers, setting.max_parameters)
    if engine in POPULATION_ENGINES and not recipe.dropout:
        member = Member(setting, hidden_size, weights_seed=0, data_seed=0)
        return _measure_population(task, cell, recipe, engine, [member] * num_members, num_steps)
    with flush_denormals():
        start = time.perf_counter()
        model = build_model(cell, interface, hidden_size, setting, recipe, engine, seed=0)
        trainer = Trainer(model, task, setting, recipe, data_seed=0)
        built = time.perf_counter()
        _seconds_of(trainer.step)  # the first one pays for torch's own preparations
        step_seconds = statistics.median(_seconds_of(trainer.step) for _ in range(num_steps))
        validation_seconds = _seconds_of(trainer.validate)
    epoch_steps = task.epoch_steps(recipe.batch_size, recipe.unroll)
    return TrainingSpeed(built - start, step_seconds, validation_seconds, epoch_steps)


def _measure_population(
    task: Task, cell: CellGraph, recipe: Recipe, engine: str, members: Sequence[Member], num_steps: int
) -> TrainingSpeed:
    place = device_of(engine)
    hidden_size = padded_size([members[0].hidden_size], cell, place.unit_multiple)

    def wait() -> None:
        if place.device.type == "cuda":
            torch.cuda.synchronize()

    with flush_denormals():
        start = time.perf_counter()
        trainer = PopulationTrainer(cell, task, recipe, members, hidden_size, place)
        trainer.take_steps(1)  # prepares and records
        wait()
        built = time.perf_counter()
        num_taken = 0
        while num_taken < num_steps:
            num_taken += trainer.take_steps(num_steps - num_taken)
        wait()
        step_seconds = (time.perf_counter() - built) / num_steps
        trainer.validate()
        validation_seconds = _seconds_of(trainer.validate)
    epoch_steps = task.epoch_steps(recipe.batch_size, recipe.unroll)
    start_seconds, step_seconds, validation_seconds = (
        seconds / len(members) for seconds in (built - start, step_seconds, validation_seconds)
    )
    return TrainingSpeed(start_seconds, step_seconds, validation_seconds, epoch_steps)


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
    precision, device = products_precision(recipe), device_of(engine).device
    dtype = torch.float64 if recipe.precision == "float64" else torch.float32
    try:
        with torch.random.fork_rng(devices=()):
            layer = RecurrentLayer(cell, size, size, engine=engine, precision=precision).to(device, dtype)
        generator = torch.Generator().manual_seed(0)
        layer.reset_parameters(1.0, generator)
        inputs = torch.rand(recipe.unroll, recipe.batch_size, size, dtype=dtype, generator=generator).to(device)

        def work() -> None:
            outputs, _ = layer(inputs)
            outputs.sum().backward()
            if device.type == "cuda":
                torch.cuda.synchronize()

        work()  # the first one pays for compilation and torch's own preparations
    except EngineError:
        return None
    return work


def _seconds_of(work: Callable[[], object]) -> float:
    """Returns how long something took, if need be until it diverged."""
    start = time.perf_counter()
    with suppress(DivergedError):
        work()
    return time.perf_counter() - start
