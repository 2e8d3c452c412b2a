"""A cell as a torch module that stands where `nn.GRU` or `nn.LSTM` stood."""

from collections.abc import Mapping
from pathlib import Path

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from archsearch.compiler.cell_weights import (
    CellWeights,
    describe,
    draw_weights,
    load_by_name,
    tensors_by_name,
    weights_per_layer,
)
from archsearch.compiler.engines import choose_engine, prepare
from archsearch.compiler.lower import lower
from archsearch.compiler.shapes import check_input, check_sizes, check_states
from archsearch.errors import ConfigError, ShapeError
from archsearch.graph.catalog import load_cell
from archsearch.graph.cell_graph import CellGraph

States = Tensor | tuple[Tensor, ...]


class RecurrentLayer(nn.Module):
    """One or several stacked layers of a cell, unrolled over sequences.

    Called as `nn.GRU` for a cell of one state, `output, h_n = layer(input, h_0)`, and as `nn.LSTM` for several,
    `output, (h_n, c_n) = layer(input, (h_0, c_0))`, in the order of the cell's states. The graph is lowered as it is
    given, so that its weights keep their names.

    Shapes: `T` time steps, `B` sequences, `I` input features, `H` hidden units, `L` layers.

    Args:
        cell: A cell, the name of one in the zoo, or a file of equations or JSON.
        input_size: `I`.
        hidden_size: `H`.
        num_layers: `L`; each layer reads the outputs of the one below.
        batch_first: Whether inputs and outputs are `[B, T, features]` rather than `[T, B, features]`.
        dropout: Not supported yet; must be 0.
        bidirectional: Not supported yet; must be False.
        engine: What runs the cell: `auto`, or a name in `ENGINES`.
        precision: `full`, or `bfloat16`, which rounds the factors of the large products (engine native only).

    Raises:
        ConfigError: A size is below 1, the cell or the engine is not known, or a feature is not supported yet or here.
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
    ) -> None:
        super().__init__()
        check_sizes("RecurrentLayer", input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        _refuse_what_is_not_built(dropout, bidirectional)
        self.cell = cell if isinstance(cell, CellGraph) else load_cell(cell)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.batch_first = batch_first
        self.dropout = dropout
        self.bidirectional = bidirectional
        self.engine = choose_engine(engine)
        self.program = lower(self.cell.structure)
        self.unroll = prepare(engine, self.program, precision)
        self.layers = nn.ModuleList(
            CellWeights(self.program, hidden_size if index else input_size, hidden_size) for index in range(num_layers)
        )
        self.reset_parameters()

    def reset_parameters(self, init_scale: float = 1.0, generator: torch.Generator | None = None) -> None:
        """Draws new weights, layer by layer, in the order of the cell's nodes.

        Matrices come from U[-s/sqrt(H), s/sqrt(H)] plus the `linear`'s diagonal, biases are its `bias_init`.

        Source: Jozefowicz 2015, sec. 3.2 and 3.3; R13, R20.

        Args:
            init_scale: `s`.
            generator: Where the numbers come from; torch's global one if None.
        """
        for weights in weights_per_layer(self.layers):
            draw_weights(weights, self.program, init_scale, generator)

    def load_weights(self, arrays: Mapping[str, ArrayLike | Tensor]) -> None:
        """Copies arrays into weights by name; the others stay, and none is changed if one does not fit.

        Args:
            arrays: Keys are `NAME` or `NAME.weight` for matrices and `NAME.bias` for biases, where `NAME` is the
                `linear`'s; with several layers behind `layers.K.`.

        Raises:
            ConfigError: A key names no weight.
            ShapeError: An array has another shape than its weight.
        """
        load_by_name(weights_per_layer(self.layers), arrays)

    # named as in nn.GRU, so that calls with keywords work too
    def forward(self, input: Tensor, hx: States | None = None) -> tuple[Tensor, States]:  # noqa: A002
        """Unrolls the layers over sequences.

        Args:
            input: `[T, B, I]`, with `batch_first` `[B, T, I]`, or for one sequence `[T, I]`.
            hx: The states before the first step, `[L, B, H]` or for one sequence `[L, H]`: a tensor for a cell of one
                state, a tuple for several. Zeros if None. Not modified.

        Returns:
            `[T, B, H]` outputs of the last layer, laid out as the input, and the states after the last step,
            laid out as `hx`.

        Raises:
            ShapeError: Input or states do not fit the layer.
        """
        layouts = ("[T, I]", "[B, T, I]" if self.batch_first else "[T, B, I]")
        x = check_input("RecurrentLayer", input, layouts, self.input_size, next(self.parameters(), None))
        is_batched = x.dim() == 3
        if not is_batched:
            x = x[:, None]
        elif self.batch_first:
            x = x.transpose(0, 1)
        num_steps, batch_size, _ = x.shape
        if num_steps == 0:
            raise ShapeError(f"RecurrentLayer: expected at least one time step, got shape {list(input.shape)}.")
        before = self._states_before(hx, x, batch_size, is_batched)
        output, after = self._run_layers(x, before)
        if not is_batched:
            output, after = output[:, 0], tuple(state[:, 0] for state in after)
        elif self.batch_first:
            output = output.transpose(0, 1)
        return output, after[0] if len(after) == 1 else after

    def extra_repr(self) -> str:
        """Names sizes, states, the input projection if there is one, and the engine."""
        sizes = f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, batch_first={self.batch_first}"
        return f"{sizes}, {describe(self.program, weights_per_layer(self.layers)[0], self.engine)}"

    def _run_layers(self, x: Tensor, before: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        after = []
        for index, weights in enumerate(weights_per_layer(self.layers)):
            x, states = self.unroll(x, tuple(state[index] for state in before), tensors_by_name(weights))
            after.append(states)
        return x, tuple(torch.stack(layers) for layers in zip(*after, strict=True))

    def _states_before(self, hx: object, x: Tensor, batch_size: int, is_batched: bool) -> tuple[Tensor, ...]:
        names = self.program.states
        if hx is None:
            zeros = x.new_zeros(self.num_layers, batch_size, self.hidden_size)
            return (zeros,) * len(names)
        shape = (self.num_layers, batch_size, self.hidden_size) if is_batched else (self.num_layers, self.hidden_size)
        states = check_states("RecurrentLayer", hx, names, shape, x)
        return states if is_batched else tuple(state[:, None] for state in states)


def _refuse_what_is_not_built(dropout: float, bidirectional: bool) -> None:
    if dropout:
        raise ConfigError(
            f"RecurrentLayer: dropout={dropout} is not supported yet. Leave it at 0; put nn.Dropout between layers of "
            "num_layers=1 instead."
        )
    if bidirectional:
        raise ConfigError(
            "RecurrentLayer: bidirectional=True is not supported yet. Run a second layer over x.flip(0) and "
            "concatenate its flipped output instead."
        )
