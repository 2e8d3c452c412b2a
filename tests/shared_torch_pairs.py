"""torch's recurrent modules beside the zoo's cells of the same function: `from shared_torch_pairs import build_pair`.

Shapes: `T` time steps, `B` sequences, `I` = 5 input features, `H` = 7 hidden units, `L` layers, `D` directions.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from archsearch.compiler.layer import RecurrentLayer

INPUT_SIZE, HIDDEN_SIZE = 5, 7
LENGTHS = (6, 6, 4, 1)

# torch's module, its gates as it stacks them, and those of them that add two biases
PAIRS = {
    "gru_torch": (nn.GRU, ("reset", "update", "new"), ("reset", "update")),
    "lstm_torch": (nn.LSTM, ("input", "forget", "candidate", "output"), ("input", "forget", "candidate", "output")),
    "tanh": (nn.RNN, ("new",), ("new",)),
}

ENGINES = ("interpreter", "native")


def build_pair(
    name: str, num_layers: int = 1, engine: str = "auto", **arguments: object
) -> tuple[nn.RNNBase, nn.Module]:
    """Builds torch's module and a layer with its weights; the arguments are those that both know."""
    torch.manual_seed(3)
    reference = PAIRS[name][0](INPUT_SIZE, HIDDEN_SIZE, num_layers, **arguments)
    layer = RecurrentLayer(name, INPUT_SIZE, HIDDEN_SIZE, num_layers, engine=engine, **arguments)
    layer.load_weights(by_name(reference, name, lambda weight: weight.detach(), torch.add))
    return reference, layer


def by_name(
    reference: nn.RNNBase, name: str, read: Callable[[Tensor], Tensor], join: Callable[[Tensor, Tensor], Tensor]
) -> dict[str, Tensor]:
    """Returns something of each of torch's weights under the names that the layer gives them.

    Args:
        reference: torch's module.
        name: Of the zoo's cell.
        read: What of a weight.
        join: What it is for a bias that is the sum of two.
    """
    _, gates, joined = PAIRS[name]
    named = {}
    for prefix, suffix in _places(reference):
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        rows = [read(getattr(reference, kind + suffix)).chunk(len(gates)) for kind in kinds]
        for gate, w_x, w_h, b_x, b_h in zip(gates, *rows, strict=True):
            named[f"{prefix}.{gate}_1.weight"], named[f"{prefix}.{gate}_2.weight"] = w_x, w_h
            named[f"{prefix}.{gate}_1.bias"] = join(b_x, b_h) if gate in joined else b_x
            if gate not in joined:
                named[f"{prefix}.{gate}_2.bias"] = b_h
    return named


def _places(reference: nn.RNNBase) -> Iterator[tuple[str, str]]:
    for index in range(reference.num_layers):
        yield f"layers.{index}", f"_l{index}"
        if reference.bidirectional:
            yield f"reverse_layers.{index}", f"_l{index}_reverse"


def as_tuple(states: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Returns states as a tuple, also that of a cell of one."""
    return states if isinstance(states, tuple) else (states,)


def data_of(sequences: Tensor | PackedSequence) -> Tensor:
    """Returns the tensor behind inputs or outputs."""
    return sequences.data if isinstance(sequences, PackedSequence) else sequences


def draw_input(layout: str, dtype: torch.dtype) -> tuple[Tensor | PackedSequence, Tensor]:
    """Draws an input.

    Args:
        layout: `time first`, `batch first`, `one sequence`, `sorted` or `unsorted` (both packed).
        dtype: Of the numbers.

    Returns:
        The input as a module takes it, and the tensor that it was made of, which requires gradients.
    """
    generator = torch.Generator().manual_seed(4)
    num_steps, batch_size = max(LENGTHS), len(LENGTHS)
    shapes = {"one sequence": (num_steps, INPUT_SIZE), "batch first": (batch_size, num_steps, INPUT_SIZE)}
    shape = shapes.get(layout, (num_steps, batch_size, INPUT_SIZE))
    x = torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()
    if layout == "sorted":
        return pack_padded_sequence(x, torch.tensor(LENGTHS)), x
    if layout == "unsorted":
        lengths = torch.tensor([LENGTHS[place] for place in (2, 0, 3, 1)])
        return pack_padded_sequence(x, lengths, enforce_sorted=False), x
    return x, x


def weighed_sum(tensors: Sequence[Tensor]) -> Tensor:
    """Returns a loss that weighs every number differently."""
    weighed = ((t * torch.linspace(-1, 1, t.numel(), dtype=t.dtype).view_as(t)).sum() for t in tensors)
    return sum(weighed, torch.zeros((), dtype=tensors[0].dtype))
