"""The weights of one layer: how they are named, drawn and loaded."""

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from archsearch.compiler.lower import INPUT_PROJECTION
from archsearch.compiler.program import CellProgram
from archsearch.errors import ConfigError, ShapeError

Device = torch.device | str | int | None


class LinearWeights(nn.Module):
    """A matrix `[H, width]` and, where the `linear` has one, a bias `[H]`; for a `peephole` a vector `[H]`."""

    def __init__(
        self,
        hidden_size: int,
        width: int | None,
        bias: bool,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        shape = (hidden_size,) if width is None else (hidden_size, width)
        self.weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(hidden_size, device=device, dtype=dtype)) if bias else None

    def extra_repr(self) -> str:
        """Names the shapes."""
        return f"weight {list(self.weight.shape)}, {'no bias' if self.bias is None else 'bias'}"


class CellWeights(nn.Module):
    """All weights of one layer, a child module per `linear` or `peephole`, in the order of the cell's nodes.

    Where the cell reads `x` without a matrix and `input_size` differs from `hidden_size`, `input_projection` stands
    before them. The class has no attributes of its own, so that a `linear` may be called anything but what every
    torch module has.
    """

    def __init__(
        self,
        program: CellProgram,
        input_size: int,
        hidden_size: int,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if program.needs_input_projection and input_size != hidden_size:
            projection = LinearWeights(hidden_size, input_size, bias=False, device=device, dtype=dtype)
            self.add_module(INPUT_PROJECTION, projection)
        for spec in program.parameters:
            width = input_size if spec.width == "I" else hidden_size
            columns = None if spec.is_vector else width
            self.add_module(spec.name, LinearWeights(hidden_size, columns, spec.bias, device, dtype))


def weights_per_layer(layers: nn.ModuleList) -> list[CellWeights]:
    """Returns a module's layers with the type that a `ModuleList` forgets."""
    return [weights for weights in layers._modules.values() if isinstance(weights, CellWeights)]


def tensors_by_name(weights: CellWeights) -> dict[str, Tensor]:
    """Returns the tensors of one layer as engines take them: `NAME.weight` and `NAME.bias`."""
    tensors: dict[str, Tensor] = {}
    # named_children() and attributes of modules take longer than a small cell
    for name, linear in weights._modules.items():
        assert isinstance(linear, LinearWeights)  # the constructor adds nothing else
        weight, bias = linear._parameters.get("weight"), linear._parameters.get("bias")
        # not there: parametrized, or a bias that the linear does not have
        tensors[name + ".weight"] = linear.weight if weight is None else weight
        bias = linear.bias if bias is None else bias
        if bias is not None:
            tensors[name + ".bias"] = bias
    return tensors


def first_weight(weights: CellWeights) -> Tensor | None:
    """Returns any weight of a layer, or None for a cell without any."""
    linear = next(iter(weights._modules.values()), None)
    return linear.weight if isinstance(linear, LinearWeights) else None


@torch.no_grad()
def draw_weights(
    weights: CellWeights, program: CellProgram, init_scale: float, generator: torch.Generator | None
) -> None:
    """Draws matrices from U[-s/sqrt(H), s/sqrt(H)], adds the diagonals, sets the biases to `bias_init`.

    The main diagonal of a rectangle is that of its first square. The vector of a peephole is drawn as a matrix is.

    Source: Jozefowicz 2015, sec. 3.2 and 3.3; R13, R20.
    """
    specs = {spec.name: spec for spec in program.parameters}
    for name, linear in _linears(weights):
        bound = init_scale / math.sqrt(linear.weight.shape[0])
        drawn = _draw_uniform(linear.weight, bound, generator)
        if name in specs:
            diagonal = drawn if specs[name].is_vector else drawn.diagonal()
            diagonal.add_(specs[name].diagonal)
        _assign(linear, "weight", drawn)
        if linear.bias is not None:
            _assign(linear, "bias", torch.full_like(linear.bias, specs[name].bias_init))


def _draw_uniform(weight: Tensor, bound: float, generator: torch.Generator | None) -> Tensor:
    # drawn where the generator lives, so that a layer on any device starts from the same numbers
    device = weight.device if generator is None else generator.device
    drawn = torch.empty(weight.shape, dtype=weight.dtype, device=device)
    return drawn.uniform_(-bound, bound, generator=generator)


def _linears(weights: CellWeights) -> Iterator[tuple[str, LinearWeights]]:
    for name, linear in weights.named_children():
        assert isinstance(linear, LinearWeights)  # the constructor adds nothing else
        yield name, linear


def describe(program: CellProgram, layers: Sequence[CellWeights], engine: str) -> str:
    """Returns what a module's `repr` says of its cell."""
    text = f"states=({', '.join(program.states)})"
    if any(INPUT_PROJECTION in dict(weights.named_children()) for weights in layers):
        text += ", input projection (x is read without a matrix and is not as wide as the states)"
    return f"{text}, engine={engine}"


@torch.no_grad()
def load_by_name(layers: Mapping[str, CellWeights], arrays: Mapping[str, ArrayLike | Tensor]) -> None:
    """Copies arrays into weights by name; nothing is changed if one of them does not fit.

    Args:
        layers: All weights, by the name of their layer: `layers.K` or `reverse_layers.K`.
        arrays: Keys are `NAME` or `NAME.weight` for matrices and `NAME.bias` for biases, behind the layer's name and a
            dot where there are several layers. Weights that are not named stay as they are.

    Raises:
        ConfigError: The arrays are no mapping, or a key names no weight.
        ShapeError: An array is none, or has another shape than its weight.
    """
    if not isinstance(arrays, Mapping):
        raise ConfigError(
            f"load_weights: expected a dict of arrays by the names of weights, got {type(arrays).__name__}. Give one."
        )
    targets = {
        f"{layer}.{name}": (linear, kind)
        for layer, weights in layers.items()
        for name, linear, kind in _places(weights)
    }
    only = f"{next(iter(layers))}." if len(layers) == 1 else ""
    copies = []
    for key, array in arrays.items():
        spellings = (key, f"{key}.weight", f"{only}{key}", f"{only}{key}.weight")
        place = next((targets[name] for name in spellings if name in targets), None)
        if place is None:
            known = ", ".join(name.removeprefix(only) for name in targets)
            raise ConfigError(f"load_weights: no weight is called {key!r}. Expected some of: {known}.")
        source, expected = _tensor_of(key, array), getattr(*place).shape
        if source.shape != expected:
            raise ShapeError(
                f"load_weights: {key!r} has shape {list(source.shape)}, expected {list(expected)}. "
                "Matrices are [hidden_size, input_size or hidden_size]: transpose or slice the array."
            )
        copies.append((place, source))
    for (linear, kind), source in copies:
        _assign(linear, kind, source)


def _tensor_of(key: str, array: object) -> Tensor:
    try:
        return torch.as_tensor(array)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ShapeError(
            f"load_weights: expected for {key!r} an array of numbers, got {type(array).__name__} ({error}). Give one."
        ) from error


def _places(weights: CellWeights) -> Iterator[tuple[str, LinearWeights, str]]:
    for name, linear in _linears(weights):
        yield f"{name}.weight", linear, "weight"
        if linear.bias is not None:
            yield f"{name}.bias", linear, "bias"


def _assign(linear: LinearWeights, kind: str, value: Tensor) -> None:
    weight: Tensor = getattr(linear, kind)
    if is_parametrized(linear, kind):  # then it is computed anew each time, and to be set through what computes it
        setattr(linear, kind, value.to(weight))
    else:
        weight.copy_(value)
