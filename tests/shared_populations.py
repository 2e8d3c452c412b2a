"""Members of populations trained together and one by one: `shared_populations` in tests."""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from shared_recall import RecallTask

from archsearch.graph.cell_graph import CellGraph
from archsearch.seeds import array_generator
from archsearch.training.model import build_model
from archsearch.training.population import Device, Member, PopulationTrainer
from archsearch.training.stops import DivergedError
from archsearch.training.trainer import CurvePoint, Trainer
from archsearch.trials.interface import Interface
from archsearch.trials.metric import ACCURACY, Loss, Metric
from archsearch.trials.setting import Setting
from archsearch.trials.task import Batch, HeldOut, Task
from archsearch.trials.trial import Recipe

RECIPE = Recipe(batch_size=4, unroll=6, precision="float64")
CPU = Device(torch.device("cpu"))


@dataclass(frozen=True)
class Outcome:
    """What became of a member.

    Attributes:
        steps: Training steps taken.
        curve: Its points.
        error: Why it diverged; empty if it did not.
        best_weights: The readout's matrix at the best validation, None without one.
    """

    steps: int
    curve: tuple[CurvePoint, ...]
    error: str
    best_weights: torch.Tensor | None


def train_alone(
    cell: CellGraph, task: Task, recipe: Recipe, member: Member, max_steps: int, engine: str = "interpreter"
) -> Outcome:
    """Trains a member by the trainer of one model."""
    model = build_model(cell, task.interface, member.hidden_size, member.setting, recipe, engine, member.weights_seed)
    trainer = Trainer(model, task, member.setting, recipe, member.data_seed, keeps_best_weights=True)
    error = ""
    try:
        trainer.run(max_steps)
    except DivergedError as diverged:
        error = str(diverged)
    trainer.restore_best_weights()
    best = None if trainer.best_weights is None else model.readout.weight.detach()
    return Outcome(trainer.steps, tuple(trainer.curve), error, best)


def train_together(
    cell: CellGraph,
    task: Task,
    recipe: Recipe,
    members: Sequence[Member],
    max_steps: int,
    place: Device = CPU,
    hidden_size: int | None = None,
) -> list[Outcome]:
    """Trains members as one population."""
    hidden_size = hidden_size or max(member.hidden_size for member in members)
    trainer = PopulationTrainer(cell, task, recipe, members, hidden_size, place, keeps_best_weights=True)
    trainer.run(max_steps)
    outcomes = []
    for number, report in enumerate(trainer.reports):
        model = trainer.best_model(number, "interpreter")
        best = None if model is None else model.readout.weight.detach()
        outcomes.append(Outcome(report.steps, tuple(report.curve), report.error, best))
    return outcomes


def assert_alike(together: Outcome, alone: Outcome, tolerance: float = 1e-9) -> None:
    """Checks that a member came to the same, up to rounding."""
    assert together.steps == alone.steps
    assert [point.step for point in together.curve] == [point.step for point in alone.curve]
    assert without_numbers(together.error) == without_numbers(alone.error)
    for mine, other in zip(together.curve, alone.curve, strict=True):
        np.testing.assert_allclose(mine.loss, other.loss, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(mine.value, other.value, rtol=tolerance, atol=tolerance)
    assert (together.best_weights is None) == (alone.best_weights is None)
    if together.best_weights is not None:
        torch.testing.assert_close(together.best_weights, alone.best_weights, rtol=tolerance, atol=tolerance)


def without_numbers(error: str) -> str:
    """Returns a message up to the number that made it: a loss beyond its bound is rounded as all numbers are."""
    return error.rpartition(" ")[0]


def draw_members(
    rng: random.Random, num_members: int, widths: Sequence[int] = (6,), num_layers: int = 1, num_streams: int = 2
) -> list[Member]:
    """Draws members from the paper's ranges (R20-R22)."""
    return [
        Member(
            Setting(
                rng.choice([0.3, 0.7, 1.0, 1.4, 2.0, 2.8]),
                rng.choice([0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0]),
                rng.choice([1.0, 2.5, 5.0, 10.0, 20.0]),
                num_layers,
                1,
            ),
            rng.choice(widths),
            weights_seed=number,
            data_seed=number % num_streams,
        )
        for number in range(num_members)
    ]


@dataclass(frozen=True)
class RaggedTask(RecallTask):
    """Batches of different lengths and sizes, in pieces whose states are carried; of any interface and loss."""

    input_size: int = 0
    output_size: int = 3
    loss: Loss = "cross_entropy"
    measured: Metric = ACCURACY
    num_symbols: int = 5
    max_length: int = 9

    @property
    def interface(self) -> Interface:
        return Interface(0 if self.input_size else self.num_symbols, self.input_size, self.output_size, self.loss)

    @property
    def metric(self) -> Metric:
        return self.measured

    def training(self, seed: int, batch_size: int, unroll: int) -> Iterator[Batch]:
        rng = array_generator(seed)
        while True:
            num_sequences = int(rng.integers(1, batch_size + 1))
            length = int(rng.integers(1, self.max_length + 1))
            for start in range(0, length, unroll):
                yield self._batch(rng, min(unroll, length - start), num_sequences, start == 0)

    def held_out(self, split: HeldOut, batch_size: int, unroll: int) -> Iterator[Batch]:  # noqa: ARG002 - one is enough
        return itertools.islice(self.training(77, batch_size, unroll), self.num_held_out)

    def _batch(self, rng: np.random.Generator, num_steps: int, num_sequences: int, starts: bool) -> Batch:
        shape = (num_steps, num_sequences)
        numbers = (*shape, self.output_size)
        inputs = (
            rng.normal(size=(*shape, self.input_size)).astype(np.float32)
            if self.input_size
            else rng.integers(self.num_symbols, size=shape)
        )
        if self.loss == "cross_entropy":
            targets = rng.integers(self.output_size, size=shape)
        elif self.loss == "binary_cross_entropy":
            targets = (rng.random(numbers) < 0.3).astype(np.float32)
        else:
            targets = rng.normal(size=numbers).astype(np.float32)
        return Batch(inputs, targets, rng.random(shape) < self.scored_share, starts)
