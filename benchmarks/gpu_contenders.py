"""What is measured against each other on a GPU: training steps of many models at once, and of one after another.

Every contender trains the same kind of model on the same task's minibatches, each step whole: embedding, layers,
readout, loss, clipping by the gradient's norm, descent, states carried on.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from archsearch.compiler.vectorized.replay import Replay, weakly
from archsearch.graph.cell_graph import CellGraph
from archsearch.training.evaluate_population import device_of
from archsearch.training.grouping import padded_size
from archsearch.training.minibatch import Minibatch
from archsearch.training.population import Member, PopulationTrainer
from archsearch.training.recorded_data import training_minibatches
from archsearch.training.width import hidden_size_for
from archsearch.trials.setting import Setting
from archsearch.trials.task import Task
from archsearch.trials.trial import Recipe

Steps = Callable[[int], int]
"""Takes about so many training steps of all models; returns how many of one model."""

NUM_BATCHES = 64


@dataclass(frozen=True)
class Case:
    """What all contenders train.

    Attributes:
        task: Gives minibatches of symbols.
        recipe: Minibatch, unrolling and precision.
        settings: Of the models, one each.
    """

    task: Task
    recipe: Recipe
    settings: tuple[Setting, ...]

    def width(self, cell: CellGraph, setting: Setting) -> int:
        """Returns the units of a model."""
        return hidden_size_for(cell.structure, self.task.interface, setting.num_layers, setting.max_parameters)

    def minibatches(self) -> list[tuple[Tensor, Tensor]]:
        """Returns `[T, B]` inputs and `[T * B]` targets on the GPU, for contenders that read one after another."""
        stream = training_minibatches(self.task, 0, self.recipe.batch_size, self.recipe.unroll)
        found: Iterator[Minibatch] = islice(stream, NUM_BATCHES)
        pairs = [(each.inputs.cuda(), each.targets.cuda()) for each in found]
        if any(len(targets) != inputs.numel() for inputs, targets in pairs):
            raise ValueError(f"task {self.task.name}: expected one all of whose positions are scored")
        return pairs


def population(cell: CellGraph, case: Case) -> Steps:
    """Returns steps of all of a case's models, which have one number of layers, side by side."""
    place = device_of("cuda")
    widths = [case.width(cell, setting) for setting in case.settings]
    members = [
        Member(setting, width, number, 0)
        for number, (setting, width) in enumerate(zip(case.settings, widths, strict=True))
    ]
    hidden_size = padded_size(widths, cell, place.unit_multiple)
    trainer = PopulationTrainer(cell, case.task, case.recipe, members, hidden_size, place)
    return lambda _: trainer.take_steps(NUM_BATCHES)


class Model(nn.Module):
    """Embedding, recurrent layers and readout.

    Args:
        layer: `nn.GRU`, or anything called as it is.
        num_symbols: `V`.
        hidden_size: `H`.
    """

    def __init__(self, layer: nn.Module, num_symbols: int, hidden_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_symbols, hidden_size)
        self.layer = layer
        self.readout = nn.Linear(hidden_size, num_symbols)

    def forward(self, inputs: Tensor, state: object) -> tuple[Tensor, object]:
        """Returns `[T, B, V]` predictions and the state after the last step."""
        outputs, state = self.layer(self.embedding(inputs), state)
        return self.readout(outputs), state


class OneAfterAnother:
    """Training steps of a list of modules, one model after another.

    Args:
        make_layer: Returns the recurrent layers of a model by its units and its number of layers.
        cell: Decides the units.
        case: What to train.
        as_graph: Whether each model's whole step is captured in a CUDA graph.
    """

    def __init__(
        self, make_layer: Callable[[int, int], nn.Module], cell: CellGraph, case: Case, *, as_graph: bool
    ) -> None:
        self._batches = case.minibatches()
        self._steps = []
        for setting in case.settings:
            width = case.width(cell, setting)
            model = Model(make_layer(width, setting.num_layers), case.task.interface.num_symbols, width).cuda()
            self._steps.append(_ModelStep(model, setting, self._batches[0], as_graph))
        self._number = 0

    def __call__(self, most: int) -> int:
        """See `Steps`."""
        for _ in range(most):
            for step in self._steps:
                step(*self._batches[self._number % NUM_BATCHES])
            self._number += 1
        return most


class _ModelStep:
    def __init__(self, model: Model, setting: Setting, like: tuple[Tensor, Tensor], as_graph: bool) -> None:
        self._model, self._setting = model, setting
        self._inputs, self._targets = (tensor.clone() for tensor in like)
        self._parameters = list(model.parameters())
        with torch.no_grad():
            _, state = model(self._inputs, None)
        self._is_tuple = isinstance(state, tuple)
        self._state = [torch.zeros_like(part) for part in (state if isinstance(state, tuple) else (state,))]
        self._work: Callable[[], object] = self._train
        if as_graph:
            self._work = Replay(weakly(self._train), [each.detach() for each in self._parameters], self._inputs.device)

    def __call__(self, inputs: Tensor, targets: Tensor) -> None:
        self._inputs.copy_(inputs)
        self._targets.copy_(targets)
        self._work()

    def _train(self) -> None:
        before = tuple(self._state) if self._is_tuple else self._state[0]
        predictions, after = self._model(self._inputs, before)
        loss = cross_entropy(predictions.flatten(0, 1), self._targets, reduction="sum") / self._inputs.shape[1]
        gradients = torch.autograd.grad(loss, self._parameters)
        with torch.no_grad():
            norm = torch.nn.utils.get_total_norm(gradients, foreach=True)
            limit = self._setting.max_gradient_norm
            scale = torch.where(norm > limit, limit / norm, 1.0) * -self._setting.learning_rate
            moves = torch._foreach_mul(gradients, scale)
            torch._foreach_add_(self._parameters, moves)
            for mine, new in zip(self._state, after if isinstance(after, tuple) else (after,), strict=True):
                mine.copy_(new)
