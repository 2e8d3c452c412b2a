"""One time step of a cell as a torch module, where `nn.GRUCell` or `nn.LSTMCell` stood."""

from collections.abc import Mapping
from pathlib import Path

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from archsearch.compiler.cell_weights import (
    CellWeights,
    Device,
    describe,
    draw_weights,
    first_weight,
    load_by_name,
    tensors_by_name,
    weights_per_layer,
)
from archsearch.compiler.engines import choose_engine, prepare
from archsearch.compiler.layer import States
from archsearch.compiler.lower import lower
from archsearch.compiler.shapes import check_cell, check_dtype, check_input, check_sizes, check_states
from archsearch.graph.cell_graph import CellGraph

_LAYOUTS = {1: "[I]", 2: "[B, I]"}


class RecurrentCell(nn.Module):
    """One step of a cell.

    Called as `nn.GRUCell` for a cell of one state, `h = cell(input, h)`, and as `nn.LSTMCell` for several,
    `h, c = cell(input, (h, c))`, in the order of the cell's states. Weights are named as in a `RecurrentLayer` of one
    layer, so that either loads the other's `state_dict`. There is no `bias`: the cell's equations say which it has.

    Shapes: `B` sequences, `I` input features, `H` hidden units.

    Args:
        cell: A cell, the name of one in the zoo, or a file of equations or JSON.
        input_size: `I`.
        hidden_size: `H`.
        engine: What runs the cell: `auto`, or a name in `ENGINES`.
        device: Where the weights are made; torch's default if None.
        dtype: Their type; torch's default if None.

    Raises:
        ConfigError: A size is below 1, an argument has a wrong type, or the cell or the engine is not known.
    """

    def __init__(
        self,
        cell: CellGraph | str | Path,
        input_size: int,
        hidden_size: int,
        engine: str = "auto",
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_sizes("RecurrentCell", input_size=input_size, hidden_size=hidden_size)
        check_dtype("RecurrentCell", dtype)
        self.cell = check_cell("RecurrentCell", cell)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.engine = choose_engine(engine)
        self.program = lower(self.cell.structure)
        self.unroll = prepare(engine, self.program)
        self.layers = nn.ModuleList([CellWeights(self.program, input_size, hidden_size, device, dtype)])
        self.reset_parameters()

    def reset_parameters(self, init_scale: float = 1.0, generator: torch.Generator | None = None) -> None:
        """Draws new weights as `RecurrentLayer.reset_parameters` does; R13, R20."""
        draw_weights(self._weights, self.program, init_scale, generator)

    def load_weights(self, arrays: Mapping[str, ArrayLike | Tensor]) -> None:
        """Copies arrays into weights by name, as `RecurrentLayer.load_weights` does.

        Raises:
            ConfigError: A key names no weight.
            ShapeError: An array has another shape than its weight.
        """
        load_by_name({"layers.0": self._weights}, arrays)

    # named as in nn.GRUCell, so that calls with keywords work too
    def forward(self, input: Tensor, hx: States | None = None) -> States:  # noqa: A002
        """Runs one time step.

        Args:
            input: `[B, I]`, or for one sequence `[I]`.
            hx: The states before the step, `[B, H]` or `[H]`: a tensor for a cell of one state, a tuple for several.
                Zeros if None. Not modified.

        Returns:
            The states after the step, laid out as `hx`; the output is the one named `h`.

        Raises:
            ShapeError: Input or states do not fit the cell.
        """
        x = check_input("RecurrentCell", input, _LAYOUTS, self.input_size, first_weight(self._weights))
        names = self.program.states
        shape = (*x.shape[:-1], self.hidden_size)
        before = (
            (x.new_zeros(shape),) * len(names) if hx is None else check_states("RecurrentCell", hx, names, shape, x)
        )
        rows = tuple(state.reshape(1, -1, self.hidden_size) for state in before)
        _, after = self.unroll(x.reshape(1, -1, self.input_size), rows, tensors_by_name(self._weights))
        after = tuple(state.reshape(shape) for state in after)
        return after[0] if len(after) == 1 else after

    def extra_repr(self) -> str:
        """Names sizes, states, the input projection if there is one, and the engine."""
        return f"{self.input_size}, {self.hidden_size}, {describe(self.program, [self._weights], self.engine)}"

    @property
    def _weights(self) -> CellWeights:
        return weights_per_layer(self.layers)[0]
