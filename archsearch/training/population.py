"""Plain gradient descent on a task, for many models of one cell at once: what `Trainer` does for each of them."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from archsearch.compiler.lower import lower
from archsearch.compiler.vectorized.precision import products_in
from archsearch.compiler.vectorized.replay import memory_pool
from archsearch.errors import ShapeError
from archsearch.graph.cell_graph import CellGraph
from archsearch.training.model import SequenceModel, build_model, products_precision
from archsearch.training.pacing import pace_on
from archsearch.training.population_data import MAX_SHAPES, Chunk, Chunks, Shape
from archsearch.training.population_held_out import validation_chunks
from archsearch.training.population_layout import PopulationWeights
from archsearch.training.population_model import CarriedStates, PopulationModel
from archsearch.training.population_records import MemberRecords
from archsearch.training.population_step import PopulationStep
from archsearch.training.population_validation import PopulationValidation
from archsearch.training.recorded_data import training_minibatches
from archsearch.training.schedule import next_learning_rate
from archsearch.training.stops import Deadline, DivergedError
from archsearch.training.trainer import CurvePoint
from archsearch.trials.setting import Setting
from archsearch.trials.task import Task
from archsearch.trials.trial import Recipe


@dataclass(frozen=True)
class Device:
    """Where populations train, and in what sizes.

    Attributes:
        device: Torch's name for it.
        kernels: What computes the layers: `torch` or `triton`.
        unit_multiple: Widths are filled up to a multiple of it, where the cell allows.
        step_multiple: Numbers of time steps likewise, where no state is carried on from them.
    """

    device: torch.device
    kernels: str = "torch"
    unit_multiple: int = 1
    step_multiple: int = 1


@dataclass(frozen=True)
class Member:
    """One model of a population.

    Attributes:
        setting: Learning rate, clipping and first weights.
        hidden_size: Its width.
        weights_seed: Of the first weights.
        data_seed: Of the training data; members with equal ones read the same.
    """

    setting: Setting
    hidden_size: int
    weights_seed: int
    data_seed: int


@dataclass
class MemberReport:
    """How far a member has come.

    Attributes:
        steps: Training steps taken, the one at which it diverged included.
        curve: One point per validation.
        error: Why it diverged; empty if it did not.
        has_ended: Whether it trains no more.
        best_weights: `[N]`, its row at the first of the best validations, if that is kept.
    """

    steps: int = 0
    curve: list[CurvePoint] = field(default_factory=list)
    error: str = ""
    has_ended: bool = False
    best_weights: Tensor | None = None


class PopulationTrainer:
    """Trains models of one cell on a task; one `PopulationTrainer` is one training of all of them.

    Each member is trained as `Trainer` would train it alone, up to rounding, whatever befalls the others. Where at a
    validation no more than half of the members that compute still train, the others are left out from there on.

    Args:
        cell: The recurrent cell of every layer.
        task: Gives the data.
        recipe: Minibatch, unrolling and schedule.
        members: With one number of layers.
        hidden_size: Units of each, with padding.
        place: Where.
        deadline: When to give up; looked at before each step, those of a validation included.
        keeps_best_weights: Whether they are kept in the reports.

    Attributes:
        reports: One per member.
        steps: Training steps taken.
        step_seconds: A member's share of a step's time, its data included, in the fastest epoch so far; None before one
            ended.
    """

    def __init__(
        self,
        cell: CellGraph,
        task: Task,
        recipe: Recipe,
        members: Sequence[Member],
        hidden_size: int,
        place: Device,
        deadline: Deadline | None = None,
        keeps_best_weights: bool = False,
    ) -> None:
        self.reports = [MemberReport() for _ in members]
        self.steps = 0
        self.step_seconds: float | None = None
        self._cell, self._task, self._recipe, self._members = cell, task, recipe, tuple(members)
        self._interface = task.interface
        self._place = place
        self._pace = pace_on(place.device, deadline or Deadline())
        self._keeps_best_weights = keeps_best_weights
        self._dtype = torch.float64 if recipe.precision == "float64" else torch.float32
        self._precision = products_precision(recipe)
        self._program = lower(cell.structure)
        self._seeds = tuple(dict.fromkeys(member.data_seed for member in members))
        sizes = (recipe.batch_size, recipe.unroll)
        streams = [training_minibatches(task, seed, *sizes) for seed in self._seeds]
        self._chunks = Chunks(streams, self._interface, self._dtype, place.step_multiple)
        self._held_out = validation_chunks(task, recipe, self._dtype, place.step_multiple)
        self._num_steps = torch.zeros((), dtype=torch.int64, device=place.device)
        weights = self._weights_of(range(len(members)), hidden_size)
        for row, member in enumerate(self._members):
            weights.load(row, self._fresh_model(member))
        records = MemberRecords.of([member.setting for member in members], self._interface.blind_loss, place.device)
        self._set_up(tuple(range(len(members))), weights, records, CarriedStates())

    @torch.no_grad()
    def run(self, max_steps: int, progress: Callable[[int, CurvePoint], None] | None = None) -> None:
        """Trains until every member's schedule ends or the steps are used up.

        Args:
            max_steps: At the most.
            progress: Is told the number of a member and each point of its curve as it comes.

        Raises:
            TimeLimitError: The deadline has passed; what has ended by then is in the reports.
            UnequalStreamsError: The members' training data cannot be read side by side.
            ShapeError: Another number of sequences goes on where the minibatch before ended.
        """
        epoch_steps = self._task.epoch_steps(self._recipe.batch_size, self._recipe.unroll)
        began, first = time.perf_counter(), self.steps
        while self.steps < max_steps and not all(report.has_ended for report in self.reports):
            self.take_steps(min(max_steps, (self.steps // epoch_steps + 1) * epoch_steps) - self.steps)
            is_epoch_end = self.steps % epoch_steps == 0
            if is_epoch_end or self.steps == max_steps:
                self.note_divergences()  # waits until the steps are taken
                seconds = (time.perf_counter() - began) / (self.steps - first) / len(self._rows)
                self.step_seconds = min(seconds, self.step_seconds or seconds)
                self.validate(progress)
                self._begin_epoch(is_epoch_end, is_last=self.steps == max_steps)
                began, first = time.perf_counter(), self.steps

    @torch.no_grad()
    def take_steps(self, most: int) -> int:
        """Takes training steps, as many as are handed over at once but no more than `most`; a GPU only begins them.

        Returns:
            How many.

        Raises:
            TimeLimitError: The deadline has passed.
            UnequalStreamsError: As for `run`.
            ShapeError: As for `run`.
        """
        try:
            chunk = self._chunks.take(most)
        except ShapeError:  # the step's, as for one model: its states do not fit
            self.steps += 1
            raise
        assert chunk is not None  # training data have no end
        with products_in(self._precision):
            step = self._step_for(chunk)
            step.load(chunk)
            for _ in range(len(chunk)):
                self._pace.before_step()
                self.steps += 1
                step.take()
        return len(chunk)

    @torch.no_grad()
    def validate(self, progress: Callable[[int, CurvePoint], None] | None = None) -> None:
        """Measures the task's metric on validation data and adds a point to the curve of each member that trains.

        Args:
            progress: See `run`.

        Raises:
            TimeLimitError: The deadline has passed.
        """
        self.note_divergences()
        if all(report.has_ended for report in self.reports):
            return
        with products_in(self._precision):
            losses, values = self._records.mean_losses(), self._validation.measure(self._pace)
        quality = self._task.metric.quality
        for row, (member, loss, value) in enumerate(zip(self._rows, losses, values, strict=True)):
            report = self.reports[member]
            if report.has_ended:
                continue
            if isinstance(value, DivergedError):
                report.error, report.has_ended = str(value), True
                continue
            best = max((quality(point.value) for point in report.curve), default=None)
            if self._keeps_best_weights and (best is None or quality(value) > best):
                report.best_weights = self._model.weights.values[row].to("cpu", copy=True)
            point = CurvePoint(self.steps, loss, value)
            report.curve.append(point)
            if progress is not None:
                progress(member, point)

    @torch.no_grad()
    def note_divergences(self) -> None:
        """Brings the reports up to date where a training was given up between validations."""
        for member, divergence in zip(self._rows, self._records.divergences(), strict=True):
            report = self.reports[member]
            if report.has_ended:
                continue
            report.steps = self.steps if divergence is None else divergence.step
            if divergence is not None:
                report.error, report.has_ended = str(divergence), True

    @torch.no_grad()
    def best_model(self, member: int, engine: str) -> SequenceModel | None:
        """Returns a model with a member's best weights, None if none were kept.

        Args:
            member: Its number.
            engine: What shall run the model.
        """
        best = self.reports[member].best_weights
        if best is None:
            return None
        model = self._fresh_model(self._members[member], engine)
        weights = self._weights_of([member], self._model.weights.hidden_size, torch.device("cpu"))
        weights.values.copy_(best)
        weights.store(0, model)
        return model

    def _begin_epoch(self, is_epoch_end: bool, is_last: bool) -> None:
        """Ends members whose schedules or steps end, and sets the learning rates of the others."""
        rates = []
        for member in self._rows:
            report, setting = self.reports[member], self._members[member].setting
            qualities = [self._task.metric.quality(point.value) for point in report.curve]
            rate = next_learning_rate(setting.learning_rate, qualities, self._recipe) if is_epoch_end else None
            report.has_ended = report.has_ended or rate is None or is_last
            rates.append(0.0 if rate is None else rate)
        going_on = [row for row, member in enumerate(self._rows) if not self.reports[member].has_ended]
        if not going_on:
            return
        self._records.begin_epoch(rates, [row in set(going_on) for row in range(len(rates))])
        if 2 * len(going_on) <= len(rates):
            self._leave_out_others(going_on)

    def _leave_out_others(self, rows: Sequence[int]) -> None:
        """Goes on with some of the rows alone, in memory of their own."""
        kept = torch.tensor(rows, device=self._place.device)
        members = tuple(self._rows[row] for row in rows)
        weights = self._weights_of(members, self._model.weights.hidden_size)
        weights.values.copy_(self._model.weights.values.index_select(0, kept))
        records, carried = self._records.of_members(kept), self._carried.of_members(kept)
        self._steps_by_shape.clear()
        del self._validation, self._model  # their memory is free before other is taken
        self._set_up(members, weights, records, carried)

    def _set_up(
        self, rows: tuple[int, ...], weights: PopulationWeights, records: MemberRecords, carried: CarriedStates
    ) -> None:
        """Makes ready for the members whose numbers are given."""
        num_layers = self._members[0].setting.num_layers
        self._rows, self._records, self._carried = rows, records, carried
        self._model = PopulationModel(
            self._program, self._interface, num_layers, weights, self._place.kernels, self._precision
        )
        numbers = [self._seeds.index(self._members[member].data_seed) for member in rows]
        self._streams = torch.tensor(numbers, device=self._place.device)
        self._pool = memory_pool(self._place.device)
        self._steps_by_shape: OrderedDict[Shape, PopulationStep] = OrderedDict()
        self._validation = PopulationValidation(
            self._model, self._held_out, self._interface.loss, self._task.metric, self._pool
        )

    def _step_for(self, chunk: Chunk) -> PopulationStep:
        steps, shape = self._steps_by_shape, chunk.shape
        if shape not in steps:
            while len(steps) >= MAX_SHAPES:
                steps.popitem(last=False)
            steps[shape] = PopulationStep(
                self._model, chunk, self._streams, self._records, self._carried, self._num_steps, self._pool
            )
        steps.move_to_end(shape)
        return steps[shape]

    def _weights_of(
        self, members: Sequence[int], hidden_size: int, device: torch.device | None = None
    ) -> PopulationWeights:
        widths = [self._members[member].hidden_size for member in members]
        num_layers = self._members[0].setting.num_layers
        return PopulationWeights(
            self._program, self._interface, num_layers, widths, hidden_size, self._dtype, device or self._place.device
        )

    def _fresh_model(self, member: Member, engine: str = "interpreter") -> SequenceModel:
        recipe = self._recipe
        if engine != "cuda" and self._precision != "full":  # the weights are float32 all the same
            recipe = replace(recipe, precision="float32")
        return build_model(
            self._cell, self._interface, member.hidden_size, member.setting, recipe, engine, member.weights_seed
        )
