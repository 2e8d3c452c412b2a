"""The model that a trial trains: embedding or input layer, stacked recurrent layers, readout."""

import math

import torch
from torch import Tensor, nn

from archsearch.compiler.layer import RecurrentLayer
from archsearch.graph.cell_graph import CellGraph
from archsearch.trials.interface import Interface
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Recipe

State = Tensor | tuple[Tensor, ...]


class SequenceModel(nn.Module):
    """Predicts, at every step, what is asked for.

    Shapes: `T` time steps, `B` sequences, `F` numbers read, `K` numbers predicted, `H` hidden units.

    In training mode, dropout zeroes what goes from one layer to the next, the first layer's input and the last layer's
    output included, but nothing that goes from one step to the next (Zaremba 2014, Recurrent neural network
    regularization; arxiv.org/abs/1409.2329).

    Args:
        cell: The recurrent cell of every layer.
        interface: What is read and predicted.
        hidden_size: `H`; the embedding or input layer is as wide.
        num_layers: Stacked layers.
        engine: What runs the layers.
        precision: Of the large products, see `RecurrentLayer`.
        dropout: The probability of a zero.
    """

    def __init__(
        self,
        cell: CellGraph,
        interface: Interface,
        hidden_size: int,
        num_layers: int = 1,
        engine: str = "auto",
        precision: str = "full",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.interface = interface
        self.embedding: nn.Embedding | nn.Linear
        if interface.num_symbols:
            self.embedding = nn.Embedding(interface.num_symbols, hidden_size)
        else:
            self.embedding = nn.Linear(interface.input_size, hidden_size, bias=False)
        between = dropout if num_layers > 1 else 0.0
        self.layers = RecurrentLayer(
            cell, hidden_size, hidden_size, num_layers, engine=engine, precision=precision, dropout=between
        )
        self.readout = nn.Linear(hidden_size, interface.output_size)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, inputs: Tensor, state: State | None = None, positions: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Reads a piece of a sequence.

        Args:
            inputs: `[T, B]` symbols, int64, or `[T, B, F]` numbers.
            state: As returned for the piece before; zeros if None.
            positions: `[N]` indices into the `T * B` positions, time first, that the readout is wanted at.

        Returns:
            `[T, B, K]` numbers that the interface's loss gives a meaning, or `[N, K]` for given positions, and the
            state after the last step.
        """
        if inputs.is_floating_point():
            inputs = inputs.to(self.readout.weight.dtype)
        outputs, state = self.layers(self.dropout(self.embedding(inputs)), state)
        if positions is not None:
            outputs = outputs.flatten(0, 1).index_select(0, positions)
        return self.readout(self.dropout(outputs)), state

    @torch.no_grad()
    def reset_parameters(self, init_scale: float, generator: torch.Generator) -> None:
        """Draws all weights from U[-s/sqrt(H), s/sqrt(H)]; biases are zero, but for the cell's `bias_init`.

        The paper does not say what it does with embedding, readout and biases; this is our choice.

        Source: Jozefowicz 2015, sec. 3.3; R13, R20.

        Args:
            init_scale: `s`.
            generator: The only source of randomness.
        """
        bound = init_scale / math.sqrt(self.readout.in_features)
        self.embedding.weight.uniform_(-bound, bound, generator=generator)
        self.layers.reset_parameters(init_scale, generator)
        self.readout.weight.uniform_(-bound, bound, generator=generator)
        self.readout.bias.zero_()


def build_model(
    cell: CellGraph, interface: Interface, hidden_size: int, setting: Setting, recipe: Recipe, engine: str, seed: int
) -> SequenceModel:
    """Builds a model whose weights depend on the arguments alone; torch's global generator stays as it was."""
    with torch.random.fork_rng(devices=()):  # new torch modules draw weights of their own, all overwritten below
        precision = products_precision(recipe)
        model = SequenceModel(cell, interface, hidden_size, setting.num_layers, engine, precision, recipe.dropout)
    model.to(torch.float64 if recipe.precision == "float64" else torch.float32)
    model.reset_parameters(setting.init_scale, torch.Generator().manual_seed(seed))
    return model


def products_precision(recipe: Recipe) -> str:
    """Returns the precision of products as engines call it: rounded ones by their names, all others `full`."""
    return recipe.precision if recipe.precision in ("bfloat16", "tf32") else "full"
