"""The model that a trial trains: embedding, stacked recurrent layers, readout."""

import math

import torch
from torch import Tensor, nn

from archsearch.compiler.layer import RecurrentLayer
from archsearch.graph.cell_graph import CellGraph
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Recipe

State = Tensor | tuple[Tensor, ...]


class SequenceModel(nn.Module):
    """Predicts, at every step, the symbol asked for.

    Shapes: `T` time steps, `B` sequences, `V` symbols, `H` hidden units.

    Args:
        cell: The recurrent cell of every layer.
        vocabulary_size: `V`.
        hidden_size: `H`; the embedding is as wide.
        num_layers: Stacked layers.
        engine: What runs the layers.
        precision: Of the large products, see `RecurrentLayer`.
    """

    def __init__(
        self,
        cell: CellGraph,
        vocabulary_size: int,
        hidden_size: int,
        num_layers: int = 1,
        engine: str = "auto",
        precision: str = "full",
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, hidden_size)
        self.layers = RecurrentLayer(cell, hidden_size, hidden_size, num_layers, engine=engine, precision=precision)
        self.readout = nn.Linear(hidden_size, vocabulary_size)

    def forward(
        self, inputs: Tensor, state: State | None = None, positions: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Reads a piece of a sequence.

        Args:
            inputs: `[T, B]` symbols, int64.
            state: As returned for the piece before; zeros if None.
            positions: `[N]` indices into the `T * B` positions, time first, that the readout is wanted at.

        Returns:
            `[T, B, V]` unnormalized log probabilities, or `[N, V]` for given positions, and the state after the last
            step.
        """
        outputs, state = self.layers(self.embedding(inputs), state)
        if positions is not None:
            outputs = outputs.flatten(0, 1).index_select(0, positions)
        return self.readout(outputs), state

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
    cell: CellGraph, vocabulary_size: int, hidden_size: int, setting: Setting, recipe: Recipe, engine: str, seed: int
) -> SequenceModel:
    """Builds a model whose weights depend on the arguments alone; torch's global generator stays as it was."""
    with torch.random.fork_rng(devices=()):  # new torch modules draw weights of their own, all overwritten below
        precision = "bfloat16" if recipe.precision == "bfloat16" else "full"
        model = SequenceModel(cell, vocabulary_size, hidden_size, setting.num_layers, engine, precision)
    model.to(torch.float64 if recipe.precision == "float64" else torch.float32)
    model.reset_parameters(setting.init_scale, torch.Generator().manual_seed(seed))
    return model
