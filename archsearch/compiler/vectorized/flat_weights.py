"""Where a layer's weights lie in the rows of a population's weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

from torch import Tensor

from archsearch.compiler.lower import INPUT_PROJECTION
from archsearch.compiler.program import CellProgram, Width
from archsearch.compiler.vectorized.planning import parameter_order

ALIGNMENT = 32  # numbers: a line of a GPU's memory in float32


def layer_sizes(program: CellProgram, *, has_projection: bool = False) -> dict[str, tuple[Width, ...]]:
    """Returns the sizes of each `NAME.weight` and `NAME.bias` of a layer, in the order of memory.

    Shapes: `I` input features, `H` hidden units.

    Args:
        program: The cell.
        has_projection: Whether the layer has an input projection.
    """
    specs = {spec.name: spec for spec in program.parameters}
    order = [specs[name] for name in parameter_order(program)]
    sizes: dict[str, tuple[Width, ...]] = {}
    for spec in order:
        sizes[f"{spec.name}.weight"] = ("H",) if spec.is_vector else ("H", spec.width)
    sizes |= {f"{spec.name}.bias": ("H",) for spec in order if spec.bias}
    if has_projection:
        sizes[f"{INPUT_PROJECTION}.weight"] = ("H", "I")
    return sizes


@dataclass(frozen=True)
class FlatWeights:
    """The places of one layer's weights in a row of numbers.

    Attributes:
        program: The cell.
        input_size: `I`.
        hidden_size: `H`.
        has_projection: Whether the layer has an input projection.
    """

    program: CellProgram
    input_size: int
    hidden_size: int
    has_projection: bool = False

    @cached_property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each `NAME.weight` and `NAME.bias`, in their order: see `layer_sizes`."""
        numbers = {"I": self.input_size, "H": self.hidden_size}
        sizes = layer_sizes(self.program, has_projection=self.has_projection)
        return {name: tuple(numbers[letter] for letter in letters) for name, letters in sizes.items()}

    @cached_property
    def length(self) -> int:
        """Numbers in a row, filled up to whole lines of memory; at least one line."""
        length = sum(prod(shape) for shape in self.shapes.values())
        return max(1, -(-length // ALIGNMENT)) * ALIGNMENT

    def views(self, rows: Tensor) -> dict[str, Tensor]:
        """Returns the weights, `[P, *shape]` each, as views of `[P, length]` rows."""
        views: dict[str, Tensor] = {}
        begin = 0
        for name, shape in self.shapes.items():
            size = prod(shape)
            views[name] = rows[:, begin : begin + size].view(-1, *shape)
            begin += size
        return views
