"""A training step without autograd: the native engine's passes, one after another, in memory that stays."""

from dataclasses import dataclass

import torch
from torch import Tensor

from archsearch.compiler.cell_weights import tensors_by_name, weights_per_layer
from archsearch.compiler.native.ends import Embedding, Readout
from archsearch.compiler.native.engine import NativeEngine
from archsearch.compiler.native.layer_pass import LayerPass
from archsearch.errors import ShapeError
from archsearch.training.flat_parameters import FlatParameters, clipped_rate
from archsearch.training.linear_ends import InputLayer, NumberReadout
from archsearch.training.losses import LOSSES
from archsearch.training.minibatch import Minibatch, check_range
from archsearch.training.model import SequenceModel

LayerStates = list[list[Tensor]]


@dataclass(frozen=True)
class _Workspace:
    """Memory for minibatches of one shape: `[T * B, H]` embedded inputs, `[T * B, row_length]` gradients."""

    passes: tuple[LayerPass, ...]
    embedded: Tensor
    d_embedded: Tensor
    d_outputs: tuple[Tensor, Tensor]


class NativeStep:
    """Computes what `AutogradStep` computes, up to rounding, for a model whose layers run natively.

    Shapes: `T` time steps, `B` sequences, `H` hidden units, `V` symbols.

    Args:
        model: Its weights lie in `parameters` and are not moved afterwards.
        parameters: The model's.
    """

    def __init__(self, model: SequenceModel, parameters: FlatParameters) -> None:
        engine = model.layers.unroll
        assert isinstance(engine, NativeEngine)  # `can_step_natively` was asked
        self._engine = engine
        self._parameters = parameters
        self._interface = model.interface
        self._hidden_size = model.readout.in_features
        table = model.embedding.weight
        self._embedding = Embedding(table, _gradient(table)) if model.interface.num_symbols else None
        self._end = self._embedding or InputLayer(table, _gradient(table))
        weight, bias = model.readout.weight, model.readout.bias
        ends = (weight, bias, _gradient(weight), _gradient(bias))
        if model.interface.loss == "cross_entropy":
            self._readout: Readout | NumberReadout = Readout(*ends, engine.precision)
        else:
            self._readout = NumberReadout(*ends, LOSSES[model.interface.loss])
        self._layers = [tensors_by_name(weights) for weights in weights_per_layer(model.layers.layers)]
        self._dtype = table.dtype
        self._workspaces: dict[tuple[int, int], _Workspace] = {}
        # the embedding comes first; of a large one only the rows of this minibatch's symbols have a gradient
        num_embedding = table.numel()
        self._d_embedding = parameters.gradients[:num_embedding].view(table.shape)
        self._other_values = parameters.values[num_embedding:]
        self._d_others = parameters.gradients[num_embedding:]
        self._rows: Tensor | None = None

    def differentiate(self, minibatch: Minibatch, state: LayerStates | None) -> tuple[float, LayerStates]:
        """See `GradientStep`."""
        num_steps, batch_size = minibatch.inputs.shape[:2]
        self._check(minibatch, state)
        work = self._workspace(num_steps, batch_size)
        if state is None:
            zeros = torch.zeros(batch_size, self._hidden_size, dtype=self._dtype)
            state = [[zeros] * len(self._engine.program.states)] * len(work.passes)
        self._end.look_up(minibatch.inputs, work.embedded)
        rows, after = work.embedded.data_ptr(), []
        for layer, before in zip(work.passes, state, strict=True):
            rows, states = layer.forward(rows, before)
            after.append(states)
        upper, lower = work.d_outputs
        loss = self._readout.loss(
            rows,
            work.passes[-1].row_length,
            num_steps * batch_size,
            minibatch.positions,
            minibatch.targets,
            1 / batch_size,
            upper.data_ptr(),
        )
        for number in range(len(work.passes) - 1, 0, -1):
            work.passes[number].backward(upper.data_ptr(), lower.data_ptr())
            upper, lower = lower, upper
        work.passes[0].backward(upper.data_ptr(), work.d_embedded.data_ptr())
        self._collect(minibatch.inputs, work.d_embedded)
        return loss, after

    def _check(self, minibatch: Minibatch, state: LayerStates | None) -> None:
        """Checks what torch would check: the compiled code reads and writes wherever it is told to."""
        interface = self._interface
        if interface.num_symbols:
            check_range(minibatch.inputs, interface.num_symbols)
        if interface.loss == "cross_entropy":
            check_range(minibatch.targets, interface.output_size)
        expected = (minibatch.batch_size, self._hidden_size)
        for before in (tensor for layer in state or () for tensor in layer):
            if tuple(before.shape) != expected:
                raise ShapeError(f"training step: expected states {list(expected)}, got {list(before.shape)}")

    def descend(self, learning_rate: float, max_gradient_norm: float) -> float:
        """See `GradientStep`."""
        if self._rows is None:
            return self._parameters.descend(learning_rate, max_gradient_norm)
        parts = [torch.linalg.vector_norm(part) for part in (self._d_embedding[self._rows], self._d_others)]
        norm = float(torch.hypot(*parts))
        rate = clipped_rate(learning_rate, norm, max_gradient_norm)
        if rate is not None:
            self._other_values.add_(self._d_others, alpha=-rate)
            assert self._embedding is not None  # only an embedding has rows
            self._embedding.add_gradient(self._rows, -rate)
        return norm

    def _collect(self, inputs: Tensor, gradients: Tensor) -> None:
        if self._embedding is None:
            self._end.collect(inputs, gradients)
            return
        if inputs.numel() < self._interface.num_symbols:
            self._rows = torch.unique(inputs)
        else:
            self._rows = None
            self._d_embedding.zero_()
        self._embedding.collect(inputs, gradients)

    def _workspace(self, num_steps: int, batch_size: int) -> _Workspace:
        shape = (num_steps, batch_size)
        if shape not in self._workspaces:
            self._workspaces.clear()  # another shape is rare, two at once rarer
            self._workspaces[shape] = self._allocate(num_steps, batch_size)
        return self._workspaces[shape]

    def _allocate(self, num_steps: int, batch_size: int) -> _Workspace:
        hidden_size, num_rows = self._hidden_size, num_steps * batch_size
        passes: list[LayerPass] = []
        for weights in self._layers:
            gradients = {name: _gradient(tensor) for name, tensor in weights.items()}
            row_length = passes[-1].row_length if passes else hidden_size
            passes.append(
                LayerPass(self._engine, weights, gradients, self._dtype, num_steps, batch_size, hidden_size, row_length)
            )
        padded = (num_rows, passes[-1].row_length)
        return _Workspace(
            tuple(passes),
            torch.zeros(num_rows, hidden_size, dtype=self._dtype),
            torch.zeros(num_rows, hidden_size, dtype=self._dtype),
            (torch.zeros(padded, dtype=self._dtype), torch.zeros(padded, dtype=self._dtype)),
        )


def can_step_natively(model: SequenceModel) -> bool:
    """Says whether the model's layers run natively, and no output of one is dropped."""
    return isinstance(model.layers.unroll, NativeEngine) and not model.dropout.p


def _gradient(weight: Tensor) -> Tensor:
    assert weight.grad is not None  # FlatParameters gave it one
    return weight.grad
