"""A cell as the source of a torch module that needs nothing of archsearch."""

import keyword
from pathlib import Path
from string import Template

from archsearch.compiler.lower import lower
from archsearch.compiler.program import CellProgram
from archsearch.errors import ConfigError
from archsearch.export.layer_function import write_layer_function
from archsearch.graph.catalog import load_cell
from archsearch.graph.cell_graph import CellGraph

MAX_LINE = 120
_TAKEN_NAMES = frozenset({"math", "torch", "Tensor", "nn", "linear", "_LINEARS", "_Linear"})


def export_python(cell: CellGraph | str | Path, class_name: str | None = None) -> str:
    """Returns the source of a module that takes the place of `nn.GRU` or `nn.LSTM`.

    The class has the constructor's keywords, the calling convention, the initial weights and the names of weights of
    `RecurrentLayer`, so that either loads the other's `state_dict`.

    Args:
        cell: A cell, the name of one in the zoo, or a file of equations or JSON.
        class_name: What the class is called; `Cell` and the digest if None.

    Raises:
        ConfigError: The cell is not known, or the name cannot be that of a class.
    """
    cell = cell if isinstance(cell, CellGraph) else load_cell(cell)
    name = f"Cell{cell.digest.removeprefix('c_')}" if class_name is None else class_name
    if not name.isidentifier() or keyword.iskeyword(name) or name in _TAKEN_NAMES:
        raise ConfigError(
            f"export: expected a name for a class, got {name!r}. Use letters, digits and underscores, and none of "
            f"{', '.join(sorted(_TAKEN_NAMES))}."
        )
    program = lower(cell.structure)
    equations = cell.equations().strip()
    source = Template(_MODULE).substitute(
        name=name,
        digest=cell.digest,
        equations="\n".join(f"    {line}".rstrip() for line in equations.splitlines()),
        stands_for="nn.GRU" if len(program.states) == 1 else "nn.LSTM",
        linears=_linears(program),
        layer=write_layer_function(program),
        weights=_projection(program),
        **_state_texts(program.states),
    )
    if any(len(line.partition("  # noqa")[0]) > MAX_LINE for line in source.splitlines()):
        source = f"# ruff: noqa: E501\n{source}"
    return source


def _linears(program: CellProgram) -> str:
    rows = (
        f'    ("{spec.name}", "{spec.width}", {spec.diagonal!r}, {spec.bias}, {spec.bias_init!r}),\n'
        for spec in program.parameters
    )
    return f"(\n{''.join(rows)})" if program.parameters else "()"


def _projection(program: CellProgram) -> str:
    if not program.needs_input_projection:
        return ""
    return """\
    if input_size != hidden_size:  # the cell reads x without a matrix, which must then be as wide as the states
        weights.add_module("input_projection", _Linear(hidden_size, input_size, bias=False))
"""


def _state_texts(states: tuple[str, ...]) -> dict[str, str]:
    if len(states) == 1:
        return {
            "hx_type": "Tensor",
            "hx_text": "`[L, B, H]` (or `[L, H]`) states before the first step",
            "times": "",
            "given": "(hx,)",
            "returned": "after[0]",
        }
    return {
        "hx_type": "tuple[Tensor, ...]",
        "hx_text": f"a tuple of the `[L, B, H]` (or `[L, H]`) states {', '.join(states)} before the first step",
        "times": f" * {len(states)}",
        "given": "tuple(hx)",
        "returned": "after",
    }


_MODULE = '''\
"""A recurrent cell as a torch module, written by archsearch. It needs torch alone.

Cell $digest. Each operand of a `linear` has a matrix of its own; the bias goes with the first:

$equations
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

# Of each matrix: name, columns, what is added to the main diagonal at first, whether it has a bias, the first bias
_LINEARS: tuple[tuple[str, str, float, bool, float], ...] = $linears


class $name(nn.Module):
    """Runs stacked layers of the cell; called as `$stands_for` is.

    Shapes: `T` time steps, `B` sequences, `I` input features, `H` hidden units, `L` layers.

    Args:
        input_size: `I`.
        hidden_size: `H`.
        num_layers: `L`.
        batch_first: Whether inputs and outputs are `[B, T, features]` rather than `[T, B, features]`.
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, *, batch_first: bool = False) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.batch_first = batch_first
        sizes = [input_size] + [hidden_size] * (num_layers - 1)
        self.layers = nn.ModuleList(_build_weights(size, hidden_size) for size in sizes)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self, init_scale: float = 1.0, generator: torch.Generator | None = None) -> None:
        """Draws matrices from U[-s/sqrt(H), s/sqrt(H)], adds their diagonals, and sets the biases."""
        bound = init_scale / math.sqrt(self.hidden_size)
        first = {name: (diagonal, bias) for name, _, diagonal, _, bias in _LINEARS}
        for weights in self.layers:
            for name, matrix in weights.named_children():
                diagonal, bias = first.get(name, (0.0, 0.0))
                matrix.weight.uniform_(-bound, bound, generator=generator)
                matrix.weight.diagonal().add_(diagonal)
                if matrix.bias is not None:
                    matrix.bias.fill_(bias)

    def forward(self, input: Tensor, hx: $hx_type | None = None) -> tuple[Tensor, $hx_type]:  # noqa: A002
        """Runs all layers over the input.

        Args:
            input: `[T, B, I]`, with `batch_first` `[B, T, I]`, or for one sequence `[T, I]`.
            hx: $hx_text; zeros if None.

        Returns:
            `[T, B, H]` outputs of the last layer, laid out as the input, and the states after the last step.
        """
        if input.dim() not in (2, 3) or input.shape[-1] != self.input_size:
            raise ValueError(f"expected 2 or 3 axes, the last of {self.input_size}, got shape {list(input.shape)}")
        is_batched = input.dim() == 3
        x = input if is_batched else input[:, None]
        if is_batched and self.batch_first:
            x = x.transpose(0, 1)
        if hx is None:
            before = (x.new_zeros(self.num_layers, x.shape[1], self.hidden_size),)$times
        else:
            before = $given
            if not is_batched:
                before = tuple(state[:, None] for state in before)
            expected = [self.num_layers, x.shape[1], self.hidden_size]
            if any(list(state.shape) != expected for state in before):
                raise ValueError(f"expected states of shape {expected}, got {[list(state.shape) for state in before]}")
        new_states = []
        for index, weights in enumerate(self.layers):
            x, states = _run_layer(weights, x, tuple(state[index] for state in before))
            new_states.append(states)
        after = tuple(torch.stack(layers) for layers in zip(*new_states, strict=True))
        if not is_batched:
            x, after = x[:, 0], tuple(state[:, 0] for state in after)
        elif self.batch_first:
            x = x.transpose(0, 1)
        return x, $returned

    def extra_repr(self) -> str:
        """Names the sizes and the cell."""
        return f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, cell=$digest"


class _Linear(nn.Module):
    """A matrix `[H, columns]` and perhaps a bias `[H]`."""

    def __init__(self, hidden_size: int, columns: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(hidden_size, columns))
        self.bias = nn.Parameter(torch.empty(hidden_size)) if bias else None


def _build_weights(input_size: int, hidden_size: int) -> nn.Module:
    """Returns the weights of one layer, not yet drawn."""
    weights = nn.Module()
$weights    for name, columns, _, bias, _ in _LINEARS:
        weights.add_module(name, _Linear(hidden_size, input_size if columns == "I" else hidden_size, bias))
    return weights


def _stack(*matrices: nn.Module) -> tuple[Tensor, Tensor | None]:
    """Stacks the matrices that multiply one value, and their biases: zeros for a missing one, None for none at all."""
    weight = torch.cat([matrix.weight for matrix in matrices])
    if all(matrix.bias is None for matrix in matrices):
        return weight, None
    biases = [weight.new_zeros(len(matrix.weight)) if matrix.bias is None else matrix.bias for matrix in matrices]
    return weight, torch.cat(biases)


$layer'''
