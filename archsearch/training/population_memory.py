"""How much memory a population takes: what decides, before it starts, how many members it may have.

Shapes: `P` members, `T` time steps, `B` sequences, `H` hidden units, `V` symbols, `K` numbers predicted.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch

from archsearch.compiler.lower import lower
from archsearch.compiler.vectorized.planning import plan_passes
from archsearch.graph.cell_graph import CellGraph
from archsearch.training.minibatch import Minibatch
from archsearch.training.population_data import MAX_SHAPES, NUM_ABREAST, Chunks, Shape
from archsearch.training.population_ends import LARGEST_ONE_HOT
from archsearch.training.population_held_out import validation_chunks
from archsearch.training.width import model_parameters
from archsearch.trials.interface import Interface
from archsearch.trials.task import Task
from archsearch.trials.trial import Recipe, Trial

NUM_LOOKED_AT = 2 * NUM_ABREAST
"""Minibatches of training from which their shapes are known; they are generated for nothing else."""

ROWS_OF_WEIGHTS = 5
"""Weights, gradients, what is no padding, and two rows on the way through a step of descent."""

ARRAYS_OF_PREDICTIONS = 6
"""Predictions, their loss and its gradient, and what their computation leaves on the way."""

_SYMBOL_BYTES = 8


@dataclass(frozen=True)
class DataShapes:
    """The sizes of a task's minibatches, as a population reads them.

    Attributes:
        training: For which memory is held at once.
        validation: Likewise.
        num_validation_positions: Of all validation data, filled up.
    """

    training: tuple[Shape, ...]
    validation: tuple[Shape, ...]
    num_validation_positions: int

    @property
    def held(self) -> tuple[Shape, ...]:
        """Each for which passes take memory; equal ones share theirs, which is certain only where they are few."""
        shapes = (*self.training, *self.validation)
        return tuple(dict.fromkeys(shapes)) if len(self.training) < MAX_SHAPES else shapes


@dataclass(frozen=True)
class MemoryNeed:
    """About how many bytes a population takes.

    Attributes:
        fixed: Whoever its members are.
        stream: For each of the different training data that they read.
        member: For each member.
    """

    fixed: int
    stream: int
    member: int

    def of(self, num_members: int, num_streams: int) -> int:
        """Returns the bytes of so many members."""
        return self.fixed + num_streams * self.stream + num_members * self.member

    def most_members(self, num_bytes: int, num_streams: int) -> int:
        """Returns how many members some memory holds, at least one, if they read at most so many training data."""
        left = num_bytes - self.fixed
        as_many = left // (self.member + self.stream)
        if as_many > num_streams:
            as_many = (left - num_streams * self.stream) // self.member
        return max(1, as_many)


_known: dict[tuple[str, int, int, int], DataShapes] = {}


def data_shapes(trial: Trial, task: Task, step_multiple: int) -> DataShapes:
    """Returns the shapes of a task's data, from all validation data and the beginning of a stream of training data.

    Args:
        trial: Tells the task's digest, and the recipe.
        task: Its task.
        step_multiple: Numbers of time steps are filled up to a multiple of it.
    """
    recipe = trial.recipe
    key = (trial.task_digest, recipe.batch_size, recipe.unroll, step_multiple)
    if key not in _known:
        try:
            _known[key] = _look(task, recipe, step_multiple)
        except Exception:  # whatever is wrong with the data, each trial on them says it better
            usual = ((recipe.unroll, recipe.batch_size),)
            _known[key] = DataShapes(usual, usual, 0)
    return _known[key]


def _look(task: Task, recipe: Recipe, step_multiple: int) -> DataShapes:
    validation = validation_chunks(task, recipe, torch.float32, step_multiple)
    batches = itertools.islice(task.training(0, recipe.batch_size, recipe.unroll), NUM_LOOKED_AT)
    chunks = Chunks([map(Minibatch.from_batch, batches)], task.interface, torch.float32, step_multiple)
    seen: dict[Shape, None] = {}
    while (chunk := chunks.take(NUM_ABREAST)) is not None:
        seen[chunk.shape] = None
    largest = sorted(seen, key=lambda shape: shape[0] * shape[1], reverse=True)[:MAX_SHAPES]
    positions = sum(len(chunk) * chunk.shape[0] * chunk.shape[1] for chunk in validation)
    return DataShapes(tuple(largest), tuple(dict.fromkeys(chunk.shape for chunk in validation)), positions)


def memory_need(trial: Trial, interface: Interface, hidden_size: int, shapes: DataShapes) -> MemoryNeed:
    """Returns what populations take that train on a task.

    Counted are, for each member, its weights with what a step needs beside them, the passes of all layers for each
    shape, and what the ends compute on the way; besides, the minibatches that wait to be read.

    Args:
        trial: One of the population's.
        interface: Of its task.
        hidden_size: `H`, with padding.
        shapes: Of its task's data.
    """
    structure, num_layers, recipe = trial.graph.structure, trial.setting.num_layers, trial.recipe
    num_bytes, position_bytes = _number_bytes(recipe), _position_bytes(recipe, interface)
    weights = model_parameters(structure, interface, hidden_size, num_layers) + hidden_size
    layers = sum(_columns(trial.graph, shape, num_layers) for shape in shapes.held) * hidden_size
    largest = max((steps * sequences for steps, sequences in shapes.held), default=0)
    ends = ARRAYS_OF_PREDICTIONS * interface.output_size + hidden_size
    symbols = interface.num_symbols if interface.num_symbols <= LARGEST_ONE_HOT else 0
    on_the_way = largest * (num_bytes * (ends + symbols) + symbols + position_bytes)
    return MemoryNeed(
        fixed=position_bytes * shapes.num_validation_positions,
        stream=position_bytes * NUM_ABREAST * sum(steps * sequences for steps, sequences in shapes.training),
        member=num_bytes * (ROWS_OF_WEIGHTS * weights + layers) + on_the_way,
    )


def _columns(cell: CellGraph, shape: Shape, num_layers: int) -> int:
    """Returns how many rows of `H` numbers a member's layers hold for a shape, states carried included."""
    steps, sequences = shape
    whole, longer = _buffers(cell)
    between = 2 * steps * (num_layers - 1)  # what two layers share: outputs and their gradient
    return sequences * (num_layers * (whole * steps + longer * (steps + 1) + len(cell.structure.states)) - between)


@lru_cache(maxsize=256)
def _buffers(cell: CellGraph) -> tuple[int, int]:
    """Returns how many columns of a layer's memory have a row per time step, and how many have one more."""
    buffers = plan_passes(lower(cell.structure)).buffers
    counts = {rows: sum(buffer.columns for buffer in buffers if buffer.rows == rows) for rows in ("whole", "sequence")}
    return counts["whole"], counts["sequence"]


def _position_bytes(recipe: Recipe, interface: Interface) -> int:
    """Returns what a position of a minibatch takes: what is read, what is asked for, and whether it is scored."""
    read = interface.input_size * _number_bytes(recipe) if interface.input_size else _SYMBOL_BYTES
    is_class = interface.loss == "cross_entropy"
    return read + (_SYMBOL_BYTES if is_class else interface.output_size * _number_bytes(recipe)) + 1


def _number_bytes(recipe: Recipe) -> int:
    return 8 if recipe.precision == "float64" else 4


def num_streams_of(trials: Sequence[Trial]) -> int:
    """Returns how many different training data trials of one task read."""
    return len({(trial.root_seed, trial.replicate) for trial in trials})
