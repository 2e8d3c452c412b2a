"""The weights of many models side by side, so that a step of gradient descent for all of them is one operation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from archsearch.compiler.cell_weights import tensors_by_name, weights_per_layer
from archsearch.compiler.program import CellProgram
from archsearch.compiler.vectorized.flat_weights import layer_sizes
from archsearch.training.model import SequenceModel
from archsearch.trials.interface import Interface

EMBEDDING, READOUT_WEIGHT, READOUT_BIAS = "embedding.weight", "readout.weight", "readout.bias"


@dataclass(frozen=True)
class _Place:
    """Where a tensor lies in a member's row; sizes of None are the member's own width."""

    start: int
    sizes: tuple[int | None, ...]

    def shape(self, width: int) -> tuple[int, ...]:
        return tuple(width if size is None else size for size in self.sizes)

    def end(self, width: int) -> int:
        return self.start + math.prod(self.shape(width))


class PopulationWeights:
    """The weights of models of one cell, each in a row of one tensor, and their gradients in another.

    Members may be of different widths: each lies in the first rows and columns of matrices that are as wide as the
    widest, and the rest, its *padding*, is zero and stays so.

    Shapes: `P` members, `N` numbers of a member, a multiple of `H`; `H` hidden units with padding, `V` symbols, `F`
    numbers read, `K` predicted.

    Args:
        program: The cell.
        interface: What the models read and predict.
        num_layers: Stacked layers.
        widths: Hidden units of each member.
        hidden_size: `H`, at least the largest of them.
        dtype: Of all numbers.
        device: Where they are.

    Attributes:
        hidden_size: `H`.
        widths: Of the members.
        values: `[P, N]`. The embedding stands first, so that symbol `v` of member `p` is row `p * N / H + v` of
            `values.view(-1, H)`.
        gradients: `[P, N]`.
        is_padding: `[P, H]`, of the units; None where no member has any.
    """

    def __init__(
        self,
        program: CellProgram,
        interface: Interface,
        num_layers: int,
        widths: Sequence[int],
        hidden_size: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.widths, self.hidden_size = tuple(widths), hidden_size
        self._num_layers = num_layers
        # a layer's input is as wide as its states: all its sizes are the member's own width
        self._layer_sizes = {name: (None,) * len(letters) for name, letters in layer_sizes(program).items()}
        self._places = self._lay_out(interface)
        last = max(place.end(hidden_size) for place in self._places.values())
        row_length = -(-last // hidden_size) * hidden_size
        self.values = torch.zeros(len(widths), row_length, dtype=dtype, device=device)
        self.gradients = torch.zeros_like(self.values)
        self.is_padding: Tensor | None = None
        self._is_weight: Tensor | None = None
        if any(width != hidden_size for width in widths):
            units = torch.arange(hidden_size)
            self.is_padding = (units >= torch.tensor(self.widths)[:, None]).to(device)
            self._is_weight = self._mask().to(device)

    def embedding(self, flat: Tensor) -> Tensor:
        """Returns the `[P, V, H]` rows of the symbols in `values` or `gradients`, or the `[P, H, F]` input layer."""
        return self._view(flat, EMBEDDING)

    def readout(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the `[P, K, H]` matrix and the `[P, K]` bias of the readout."""
        return self._view(flat, READOUT_WEIGHT), self._view(flat, READOUT_BIAS)

    def layer(self, flat: Tensor, number: int) -> dict[str, Tensor]:
        """Returns the tensors of a layer by name, `[P, H, H]` or `[P, H]`."""
        return {name: self._view(flat, f"layers.{number}.{name}") for name in self._layer_sizes}

    def load(self, member: int, model: SequenceModel) -> None:
        """Copies a model's weights."""
        for name, tensor in _named(model).items():
            self._own(member, name).copy_(tensor.detach())

    def store(self, member: int, model: SequenceModel) -> None:
        """Copies a member's weights into a model."""
        for name, tensor in _named(model).items():
            tensor.detach().copy_(self._own(member, name))

    def mask_gradients(self) -> None:
        """Sets the gradients of the padding to zero."""
        if self._is_weight is not None:
            self.gradients.mul_(self._is_weight)

    def _lay_out(self, interface: Interface) -> dict[str, _Place]:
        read = (interface.num_symbols, None) if interface.num_symbols else (None, interface.input_size)
        sizes: dict[str, tuple[int | None, ...]] = {EMBEDDING: read}
        for number in range(self._num_layers):
            sizes |= {f"layers.{number}.{name}": size for name, size in self._layer_sizes.items()}
        sizes[READOUT_WEIGHT] = (interface.output_size, None)
        sizes[READOUT_BIAS] = (interface.output_size,)
        places, start = {}, 0
        for name, size in sizes.items():
            places[name] = _Place(start, size)
            start = places[name].end(self.hidden_size)
        return places

    def _view(self, flat: Tensor, name: str) -> Tensor:
        place = self._places[name]
        shape = place.shape(self.hidden_size)
        return flat[:, place.start : place.end(self.hidden_size)].view(len(flat), *shape)

    def _own(self, member: int, name: str, flat: Tensor | None = None) -> Tensor:
        """Returns what of a tensor belongs to a member, without its padding."""
        shape = self._places[name].shape(self.widths[member])
        view = self._view(self.values if flat is None else flat, name)[member]
        return view[tuple(slice(size) for size in shape)]

    def _mask(self) -> Tensor:
        mask = torch.zeros(self.values.shape, dtype=self.values.dtype)
        for member in range(len(mask)):
            for name in self._places:
                self._own(member, name, mask).fill_(1)
        return mask


def _named(model: SequenceModel) -> dict[str, Tensor]:
    named: dict[str, Tensor] = {EMBEDDING: model.embedding.weight}
    for number, weights in enumerate(weights_per_layer(model.layers.layers)):
        named |= {f"layers.{number}.{name}": tensor for name, tensor in tensors_by_name(weights).items()}
    return named | {READOUT_WEIGHT: model.readout.weight, READOUT_BIAS: model.readout.bias}
