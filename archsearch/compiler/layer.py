"""A cell as a torch module that stands where `nn.GRU` or `nn.LSTM` stood."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast, overload

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from archsearch.compiler.cell_weights import (
    CellWeights,
    Device,
    describe,
    draw_weights,
    first_weight,
    load_by_name,
    weights_per_layer,
)
from archsearch.compiler.engines import choose_engine, prepare
from archsearch.compiler.lower import lower
from archsearch.compiler.sequences import EqualSequences, sequences_of
from archsearch.compiler.shapes import (
    check_cell,
    check_dropout,
    check_dtype,
    check_input,
    check_sizes,
    check_states,
    check_switches,
)
from archsearch.compiler.stack import rows_of, run_stack
from archsearch.errors import ShapeError
from archsearch.graph.cell_graph import CellGraph

States = Tensor | tuple[Tensor, ...]

_EQUAL_SEQUENCES = EqualSequences()
_TIME_FIRST = {2: "[T, I]", 3: "[T, B, I]"}
_BATCH_FIRST = {2: "[T, I]", 3: "[B, T, I]"}

DIRECTIONS = ("layers", "reverse_layers")  # what names of weights begin with: forward, backward


class RecurrentLayer(nn.Module):
    """One or several stacked layers of a cell, unrolled over sequences.

    Called as `nn.GRU` for a cell of one state, `output, h_n = layer(input, h_0)`, and as `nn.LSTM` for several,
    `output, (h_n, c_n) = layer(input, (h_0, c_0))`, in the order of the cell's states. The graph is lowered as it is
    given, so that its weights keep their names: `layers.K.NAME.weight` and `.bias` in the `state_dict`, and
    `reverse_layers.K.NAME.weight` in the backward direction. There is no `bias` and no `proj_size`: the cell's
    equations say which biases it has, and its states are as wide as its outputs.

    Inside transforms of `torch.func`, `torch.compile` and `torch.export`, `engine="auto"` runs the interpreter, which
    shows torch each operation; `engine="native"` refuses, or runs between the parts that `torch.compile` compiles.

    Shapes: `T` time steps, `B` sequences, `I` input features, `H` hidden units, `L` layers, `D` directions.

    Args:
        cell: A cell, the name of one in the zoo, or a file of equations or JSON.
        input_size: `I`.
        hidden_size: `H`.
        num_layers: `L`; each layer reads the outputs of the one below.
        batch_first: Whether inputs and outputs are `[B, T, features]` rather than `[T, B, features]`; of no account
            for states and packed sequences.
        dropout: The probability with which, in training mode, an output of any layer but the last is zeroed.
        bidirectional: Whether each layer also has weights that read the sequences from their ends, `D` 2 rather
            than 1; the outputs of both directions stand side by side, `2 * H` features.
        engine: What runs the cell: `auto`, or a name in `ENGINES`.
        precision: `full`; `bfloat16`, which rounds the factors of the large products (engines native and cuda); or
            `tf32` (engine cuda).
        device: Where the weights are made; torch's default if None.
        dtype: Their type; torch's default if None.

    Raises:
        ConfigError: A size is below 1, an argument makes no sense, the cell or the engine is not known, or the engine
            does not work here.
    """

    def __init__(
        self,
        cell: CellGraph | str | Path,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        engine: str = "auto",
        precision: str = "full",
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_sizes("RecurrentLayer", input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        check_switches("RecurrentLayer", batch_first=batch_first, bidirectional=bidirectional)
        check_dtype("RecurrentLayer", dtype)
        self.cell = check_cell("RecurrentLayer", cell)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.batch_first = batch_first
        self.dropout = check_dropout("RecurrentLayer", dropout, num_layers)
        self.bidirectional = bidirectional
        self.engine = choose_engine(engine)
        self.program = lower(self.cell.structure)
        self.unroll = prepare(engine, self.program, precision)
        widths = [input_size] + [hidden_size * self._num_directions] * (num_layers - 1)

        def one_direction() -> nn.ModuleList:
            return nn.ModuleList(CellWeights(self.program, width, hidden_size, device, dtype) for width in widths)

        self.layers = one_direction()
        self.reverse_layers = one_direction() if bidirectional else nn.ModuleList()
        self.reset_parameters()

    def reset_parameters(self, init_scale: float = 1.0, generator: torch.Generator | None = None) -> None:
        """Draws new weights, layer by layer, forward before backward, in the order of the cell's nodes.

        Matrices come from U[-s/sqrt(H), s/sqrt(H)] plus the `linear`'s diagonal, biases are its `bias_init`.

        Source: Jozefowicz 2015, sec. 3.2 and 3.3; R13, R20.

        Args:
            init_scale: `s`.
            generator: Where the numbers come from; torch's global one if None.
        """
        for directions in self.stacked_weights():
            for weights in directions:
                draw_weights(weights, self.program, init_scale, generator)

    def load_weights(self, arrays: Mapping[str, ArrayLike | Tensor]) -> None:
        """Copies arrays into weights by name; the others stay, and none is changed if one does not fit.

        Args:
            arrays: Keys are `NAME` or `NAME.weight` for matrices and `NAME.bias` for biases, where `NAME` is the
                `linear`'s; with several layers or directions behind `layers.K.` or `reverse_layers.K.`.

        Raises:
            ConfigError: A key names no weight.
            ShapeError: An array has another shape than its weight.
        """
        load_by_name(
            {
                f"{name}.{index}": weights
                for index, directions in enumerate(self.stacked_weights())
                for name, weights in zip(DIRECTIONS, directions, strict=False)
            },
            arrays,
        )

    def stacked_weights(self) -> list[tuple[CellWeights, ...]]:
        """Returns the weights of each layer: forward and, if it has one, backward; `DIRECTIONS` in the `state_dict`."""
        # attributes that are modules take longer than a small cell
        forwards = weights_per_layer(cast(nn.ModuleList, self._modules["layers"]))
        if not self.bidirectional:
            return [(weights,) for weights in forwards]
        return list(zip(forwards, weights_per_layer(self.reverse_layers), strict=True))

    def flatten_parameters(self) -> None:
        """Does nothing; here so that code written for `nn.GRU` runs."""

    @overload
    def forward(self, input: Tensor, hx: States | None = None) -> tuple[Tensor, States]: ...

    @overload
    def forward(self, input: PackedSequence, hx: States | None = None) -> tuple[PackedSequence, States]: ...

    # named as in nn.GRU, so that calls with keywords work too
    def forward(
        self,
        input: Tensor | PackedSequence,  # noqa: A002
        hx: States | None = None,
    ) -> tuple[Tensor | PackedSequence, States]:
        """Unrolls the layers over sequences.

        Args:
            input: `[T, B, I]`, with `batch_first` `[B, T, I]`, for one sequence `[T, I]`, or a packed sequence.
            hx: The states before the first step, `[L * D, B, H]` or for one sequence `[L * D, H]`, a layer's forward
                direction before its backward one: a tensor for a cell of one state, a tuple for several. Zeros if
                None. Not modified.

        Returns:
            `[T, B, D * H]` outputs of the last layer, laid out as the input, and the states after the last step,
            laid out as `hx`: of each sequence at its own end, backwards at its beginning.

        Raises:
            ShapeError: Input or states do not fit the layer.
        """
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        layouts = _BATCH_FIRST if self.batch_first else _TIME_FIRST
        stack = self.stacked_weights()
        x = check_input("RecurrentLayer", input, layouts, self.input_size, first_weight(stack[0][0]))
        is_batched = x.dim() == 3
        if not is_batched:
            x = x[:, None]
        elif self.batch_first:
            x = x.transpose(0, 1)
        num_steps, batch_size, _ = x.shape
        if num_steps == 0:
            raise ShapeError(f"RecurrentLayer: expected at least one time step, got shape {list(input.shape)}.")
        before = self._states_before(hx, x, batch_size, is_batched)
        output, after = run_stack(
            self.unroll, _EQUAL_SEQUENCES, stack, x, before, self.dropout if self.training else 0.0
        )
        if not is_batched:
            output, after = output[:, 0], tuple(state[:, 0] for state in after)
        elif self.batch_first:
            output = output.transpose(0, 1)
        return output, after[0] if len(after) == 1 else after

    def extra_repr(self) -> str:
        """Names sizes, states, the input projection if there is one, and the engine."""
        sizes = f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, batch_first={self.batch_first}"
        if self.dropout:
            sizes += f", dropout={self.dropout:g}"
        if self.bidirectional:
            sizes += ", bidirectional=True"
        return f"{sizes}, {describe(self.program, weights_per_layer(self.layers), self.engine)}"

    def _forward_packed(self, packed: PackedSequence, hx: object) -> tuple[PackedSequence, States]:
        stack = self.stacked_weights()
        x = check_input("RecurrentLayer", packed.data, {2: "[N, I]"}, self.input_size, first_weight(stack[0][0]))
        sequences = sequences_of(packed)
        before = self._states_before(hx, x, int(packed.batch_sizes[0]), is_batched=True)
        if packed.sorted_indices is not None:
            before = [tuple([state.index_select(1, packed.sorted_indices) for state in row]) for row in before]
        output, after = run_stack(self.unroll, sequences, stack, x, before, self.dropout if self.training else 0.0)
        if packed.unsorted_indices is not None:
            after = tuple(state.index_select(1, packed.unsorted_indices) for state in after)
        return packed._replace(data=output), after[0] if len(after) == 1 else after

    def _states_before(self, hx: object, x: Tensor, batch_size: int, is_batched: bool) -> list[tuple[Tensor, ...]]:
        names, num_rows = self.program.states, self.num_layers * self._num_directions
        if hx is None:
            return [(x.new_zeros(1, batch_size, self.hidden_size),) * len(names)] * num_rows
        shape = (num_rows, batch_size, self.hidden_size) if is_batched else (num_rows, self.hidden_size)
        states = check_states("RecurrentLayer", hx, names, shape, x)
        return rows_of(states if is_batched else tuple(state[:, None] for state in states), num_rows)

    @property
    def _num_directions(self) -> int:
        return 2 if self.bidirectional else 1
