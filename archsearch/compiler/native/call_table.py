"""The table of addresses by which Python hands a layer's tensors to the generated code."""

from dataclasses import dataclass
from functools import cached_property

from archsearch.compiler.lower import INPUT_PROJECTION
from archsearch.compiler.program import CellProgram

# The numbers that the code takes, in this order.
SIZES = ("T", "B", "H", "I", "is_training", "x_ld", "d_out_ld")

FIXED = ("runtime", "sizes", "arena", "x", "out", "d_out", "dx", "out_in_arena")


@dataclass(frozen=True)
class CallTable:
    """Which entry of the table stands for what.

    Entries are addresses. Those of inputs, states and weights must be there; those of `out` and of gradients may be
    null, where they are not wanted (`d_...` of weights, of states before and `dx`) or zero (`d_out`, `d_after`).

        x             [T * B, I], rows `x_ld` apart; dx likewise, written while x and d_out are still read
        out, d_out    [T * B, H], rows of d_out `d_out_ld` apart
        before.K, after.K, d_before.K, d_after.K    [B, H], of state number K
        weight.K, bias.K, d_weight.K, d_bias.K      [H, width] and [H], of parameter number K
        weight.projection, d_weight.projection      [H, I], where `x` is read bare and I is not H
        out_in_arena  written by the forward pass: the address of the output, [T * B, padded H], to be read only: where
                      it is x unchanged, it may be that of x
    """

    program: CellProgram

    @cached_property
    def entries(self) -> tuple[str, ...]:
        """Names of the entries, in order."""
        names = [*FIXED]
        for index in range(len(self.program.states)):
            names += [f"{kind}.{index}" for kind in ("before", "after", "d_before", "d_after")]
        parameters = [str(index) for index in range(len(self.program.parameters))]
        if self.program.needs_input_projection:
            parameters.append("projection")
        for name in parameters:
            names += [f"{kind}.{name}" for kind in ("weight", "bias", "d_weight", "d_bias")]
        return tuple(names)

    @cached_property
    def index(self) -> dict[str, int]:
        """The place of each entry."""
        return {name: place for place, name in enumerate(self.entries)}

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The number, as text, of each parameter by its name."""
        numbers = {spec.name: str(number) for number, spec in enumerate(self.program.parameters)}
        return numbers | {INPUT_PROJECTION: "projection"}

    def weight_shapes(self, input_size: int, hidden_size: int) -> list[tuple[int, ...]]:
        """Returns the shapes of a layer's weights, in the order of `Places.keys`."""
        shapes: list[tuple[int, ...]] = []
        for spec in self.program.parameters:
            width = input_size if spec.width == "I" else hidden_size
            shapes.append((hidden_size,) if spec.is_vector else (hidden_size, width))
            if spec.bias:
                shapes.append((hidden_size,))
        if self.program.needs_input_projection and input_size != hidden_size:
            shapes.append((hidden_size, input_size))
        return shapes

    def entry(self, name: str) -> str:
        """Returns C for an entry."""
        return f"call[{self.index[name]}]"

    def weight(self, parameter: str, kind: str = "weight") -> str:
        """Returns C for the entry of a parameter: `weight`, `bias`, `d_weight` or `d_bias`."""
        return self.entry(f"{kind}.{self.parameters[parameter]}")
