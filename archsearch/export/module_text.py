"""The text of an exported module, but for what depends on the cell: `$words` are filled in."""

IMPORT_OF_LINEAR = "from torch.nn.functional import linear\n"  # left out where no matrix multiplies a bare value
IMPORTS = f"""\
import math
import warnings
from typing import cast

import torch
from torch import Tensor, nn
{IMPORT_OF_LINEAR}from torch.nn.utils.rnn import PackedSequence
"""

MODULE = '''\
"""A recurrent cell as a torch module, written by archsearch. It needs torch alone; run it and it tests itself.

Cell $digest. Each operand of a `linear` has a matrix of its own; the bias goes with the first:

$equations
"""

$imports

class $name(nn.Module):
    """Runs stacked layers of the cell; called as `$stands_for` is.

    Different from `$stands_for`: there is no `bias`, the fourth argument there, so what follows `num_layers` is given
    by name.

    Weights are called `layers.K.NAME.weight` and `.bias`, backwards `reverse_layers.K.NAME`.

    Shapes: `T` time steps, `B` sequences, `I` input features, `H` hidden units, `L` layers, `D` directions.

    Args:
        input_size: `I`.
        hidden_size: `H`.
        num_layers: `L`.
        batch_first: Whether inputs and outputs are `[B, T, features]` rather than `[T, B, features]`.
        dropout: The probability with which training zeroes an output of any layer but the last.
        bidirectional: Whether each layer also reads the sequences from their ends (`D` is 2, else 1).
        device: Where the weights are.
        dtype: Their type.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if min(input_size, hidden_size, num_layers) < 1 or isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(
                f"expected sizes of at least 1 and a dropout between 0 and 1, got input_size={input_size}, "
                f"hidden_size={hidden_size}, num_layers={num_layers}, dropout={dropout}"
            )
        if dropout and num_layers == 1:
            warnings.warn("dropout zeroes outputs between layers; with num_layers=1 it does nothing", stacklevel=2)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.batch_first = batch_first
        self.dropout = dropout
        self.bidirectional = bidirectional
        self.num_directions = 2 if bidirectional else 1
        sizes = [input_size] + [hidden_size * self.num_directions] * (num_layers - 1)
        self.layers = nn.ModuleList(_Weights(size, hidden_size) for size in sizes)
        self.reverse_layers = nn.ModuleList(_Weights(size, hidden_size) for size in sizes if bidirectional)
        self.to(device=device, dtype=dtype)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self, init_scale: float = 1.0, generator: torch.Generator | None = None) -> None:
        """Draws matrices from U[-s/sqrt(H), s/sqrt(H)], adds their diagonals, and sets the biases."""
        bound = init_scale / math.sqrt(self.hidden_size)
        for layer in self._directions():
            for weights in layer:
                for weight in weights.children():
                    cast(_Weight, weight).draw(bound, generator)

    def flatten_parameters(self) -> None:
        """Does nothing; some scripts call it on torch's own layers."""

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: $hx_type | None = None,
    ) -> tuple[Tensor | PackedSequence, $hx_type]:
        """Runs all layers over the input.

        Args:
            input: `[T, B, I]`, with `batch_first` `[B, T, I]`, for one sequence `[T, I]`, or a packed sequence.
            hx: $hx_text; zeros if None.

        Returns:
            `[T, B, D * H]` outputs of the last layer, laid out as the input, and the states after the last step.
        """
        if isinstance(input, PackedSequence):
            sizes, counts = torch.unique_consecutive(input.batch_sizes, return_counts=True)
            runs = list(zip(counts.tolist(), sizes.tolist(), strict=True))
            before = self._states(hx, input.data, runs[0][1], True)
            if input.sorted_indices is not None:
                before = tuple(state.index_select(1, input.sorted_indices) for state in before)
            data, after = self._run_layers(input.data, runs, before)
            if input.unsorted_indices is not None:
                after = tuple(state.index_select(1, input.unsorted_indices) for state in after)
            return PackedSequence(data, *input[1:]), $returned
        is_batched = input.dim() == 3
        is_turned = is_batched and self.batch_first
        if input.dim() not in (2, 3) or input.shape[int(is_turned)] == 0:
            raise ValueError(f"expected 2 or 3 axes and at least one time step, got shape {list(input.shape)}")
        x = (input.transpose(0, 1) if is_turned else input) if is_batched else input[:, None]
        num_steps, num_sequences, _ = x.shape
        before = self._states(hx, x, num_sequences, is_batched)
        output, after = self._run_layers(x.flatten(0, 1), [(num_steps, num_sequences)], before)
        output = output.reshape(num_steps, num_sequences, output.shape[-1])
        if not is_batched:
            output, after = output[:, 0], tuple(state[:, 0] for state in after)
        return output.transpose(0, 1) if is_turned else output, $returned

    def extra_repr(self) -> str:
        """Names the sizes and the cell."""
        sizes = f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, batch_first={self.batch_first}"
        return f"{sizes}, dropout={self.dropout}, bidirectional={self.bidirectional}, cell=$digest"

    def _directions(self) -> list[list["_Weights"]]:
        """Returns the weights of each layer: forwards and, where there is one, backwards."""
        stacks = (self.layers, self.reverse_layers) if self.bidirectional else (self.layers,)
        return [[cast(_Weights, stack[index]) for stack in stacks] for index in range(self.num_layers)]

    def _states(self, hx: $hx_type | None, x: Tensor, size: int, is_batched: bool) -> tuple[Tensor, ...]:
        """Checks the features of `x` and the given states, and returns these, `[L * D, size, H]` each."""
        if x.shape[-1] != self.input_size:
            raise ValueError(f"expected {self.input_size} features on the last axis, got shape {list(x.shape)}")
        num_rows = self.num_layers * self.num_directions
        if hx is None:
            return (x.new_zeros(num_rows, size, self.hidden_size),)$times
        states = $given
        shape = (num_rows, size, self.hidden_size) if is_batched else (num_rows, self.hidden_size)
        shapes = [list(state.shape) if isinstance(state, Tensor) else type(state).__name__ for state in states]
        if shapes != [list(shape)] * $num_states:
            raise ValueError(f"expected $expected_states of shape {list(shape)}, got {shapes}")
        return tuple(state if is_batched else state[:, None] for state in states)

    def _run_layers(
        self, x: Tensor, runs: list[tuple[int, int]], before: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Runs all layers over packed data `[N, I]`: pieces of so many time steps of so many sequences each."""
        rows: list[tuple[Tensor, ...]] = []
        for index, layer in enumerate(self._directions()):
            if index and self.dropout:
                x = nn.functional.dropout(x, self.dropout, self.training)
            outputs = []
            for is_reverse, weights in enumerate(layer):
                states = tuple(state[len(rows)] for state in before)
                output, after = _run_direction(weights, x, runs, states, bool(is_reverse))
                outputs.append(output)
                rows.append(after)
            x = torch.cat(outputs, -1) if self.bidirectional else outputs[0]
        return x, tuple(torch.stack(states) for states in zip(*rows, strict=True))


class _Weight(nn.Module):
    """A matrix `[H, columns]` or a vector `[H]`, perhaps a bias `[H]`, and what they start from."""

    def __init__(self, *shape: int, diagonal: float = 0.0, bias: float | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = None if bias is None else nn.Parameter(torch.empty(shape[0]))
        self.first_diagonal = diagonal
        self.first_bias = bias or 0.0

    def draw(self, bound: float, generator: torch.Generator | None) -> None:
        """Draws new numbers, where the generator is, so that they are the same on every device."""
        drawn = torch.empty_like(self.weight, device=None if generator is None else generator.device)
        drawn.uniform_(-bound, bound, generator=generator)
        diagonal = drawn.diagonal() if drawn.dim() == 2 else drawn
        diagonal.add_(self.first_diagonal)
        self._set("weight", self.weight, drawn)
        if self.bias is not None:
            self._set("bias", self.bias, torch.full_like(self.bias, self.first_bias))

    def _set(self, name: str, old: Tensor, new: Tensor) -> None:
        if nn.utils.parametrize.is_parametrized(self, name):  # then `old` is computed anew each time
            setattr(self, name, new.to(old))
        else:
            old.copy_(new)


class _Weights(nn.Module):
    """All weights of one direction of a layer."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
$weights


def _matrices(*weights: _Weight) -> Tensor:
    """Stacks the matrices that multiply one value."""
    return torch.cat([weight.weight for weight in weights])


def _transposed(*weights: _Weight) -> Tensor:
    """Stacks the same, transposed once for all time steps: `[columns, H]` side by side."""
    return _matrices(*weights).t().contiguous()


def _biases(*weights: _Weight) -> Tensor:
    """Stacks the biases that belong to stacked matrices: zeros for a missing one."""
    biases = (weight.weight.new_zeros(len(weight.weight)) if weight.bias is None else weight.bias for weight in weights)
    return torch.cat(list(biases))


def _run_direction(
    weights: _Weights, x: Tensor, runs: list[tuple[int, int]], states: tuple[Tensor, ...], is_reverse: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Runs one layer over packed data; sequences that have ended, or not begun, keep their states."""
    pieces = torch.split(x, [num_steps * size for num_steps, size in runs])
    outputs = []
    for (num_steps, size), piece in list(zip(runs, pieces, strict=True))[:: -1 if is_reverse else 1]:
        steps = piece.reshape(num_steps, size, x.shape[-1])
        steps = steps.flip(0) if is_reverse else steps
        output, news = _run_layer(weights, steps, tuple(state[:size] for state in states))
        outputs.append((output.flip(0) if is_reverse else output).flatten(0, 1))
        states = tuple(torch.cat((new, old[size:])) for new, old in zip(news, states, strict=True))
    return torch.cat(outputs[::-1] if is_reverse else outputs) if len(outputs) > 1 else outputs[0], states


$layer


$self_test
'''
