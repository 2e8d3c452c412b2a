"""What a pass over a population consists of: kernels on numbers at the same place, and matrix products between them.

Every value lies in a buffer `[P, rows, B, columns * H]`, `P` members, `B` sequences, `H` units, where `rows` are the
`T` time steps or one more: a state before each step and after the last. Values that one product gives lie side by side,
as columns of one buffer.
"""

from dataclasses import dataclass, replace
from typing import Literal

Region = Literal["time", "step"]
Rows = Literal["whole", "sequence"]


@dataclass(frozen=True, slots=True)
class Buffer:
    """Memory of its own.

    Attributes:
        name: A Python identifier, unique within a pass.
        rows: `whole`: one per time step; `sequence`: one more, which holds zeros until something is written there.
        columns: Values side by side.
    """

    name: str
    rows: Rows
    columns: int = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value lies: in a buffer, its row of time step 0 being row number `offset`."""

    buffer: Buffer
    column: int = 0
    offset: int = 0

    def later(self, steps: int = 1) -> "Place":
        """Returns the place of what this value is so many steps later."""
        return replace(self, offset=self.offset + steps)


@dataclass(frozen=True, slots=True)
class Vector:
    """A bias or a peephole's vector, `[P, H]`: the same for all time steps and sequences.

    Attributes:
        key: `NAME.bias` or `NAME.weight`.
    """

    key: str


Source = Place | Vector


@dataclass(frozen=True, slots=True)
class Kernel:
    """Elementwise work in one loop.

    Attributes:
        region: On all time steps at once, or on one.
        loads: What is read; number `i` is called `ai`.
        lines: Assignments in Python, in order, each to a name of its own.
        stores: Where which of the names goes.
    """

    region: Region
    loads: tuple[Source, ...]
    lines: tuple[str, ...]
    stores: tuple[tuple[Place, str], ...]


@dataclass(frozen=True, slots=True)
class Product:
    """A value times several matrices, side by side in memory and in the result.

    Attributes:
        region: On all time steps at once, or on one.
        operand: `[B, width]`, or of a backward product the gradients `[B, members * H]`.
        parameters: Whose matrices.
        result: The first of the results' columns, or of a backward product the operand's gradient.
        is_backward: The sum over the members of the gradient times the matrix, instead of the operand times each
            transposed matrix.
        accumulates: Whether it is added to what the result's place holds.
    """

    region: Region
    operand: Place
    parameters: tuple[str, ...]
    result: Place
    is_backward: bool = False
    accumulates: bool = False


@dataclass(frozen=True, slots=True)
class WeightGradient:
    """The gradients of matrices side by side, from all time steps.

    Attributes:
        gradient: The first column of the results' gradients.
        operand: What was multiplied.
        parameters: Whose matrices.
    """

    gradient: Place
    operand: Place
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VectorGradient:
    """The gradients of biases side by side, or of a peephole's vector: sums over time steps and sequences.

    Attributes:
        gradient: The first column of what is summed.
        keys: `NAME.bias` or `NAME.weight`.
    """

    gradient: Place
    keys: tuple[str, ...]


Work = Kernel | Product
Ending = WeightGradient | VectorGradient


@dataclass(frozen=True)
class Passes:
    """All that a layer computes.

    Attributes:
        buffers: All of them, those of inputs and outputs included.
        states: Where each state lies before the first step; after the last one `T` rows further on. States that
            nothing depends on are left out.
        inputs: `x`.
        d_inputs: Its gradient.
        outputs: What the layer gives.
        d_outputs: Its gradient, which is given.
        prologue: Forward, on all time steps.
        step: Forward, on one time step.
        epilogue: Forward, on all time steps.
        back_epilogue: Backward, on all time steps, before the steps.
        back_step: Backward, on one time step.
        back_prologue: Backward, on all time steps, after the steps.
        endings: The gradients of weights.
        d_states: By state: places whose sum is its gradient before the first step, and, `T` rows further on, the first
            of which takes the gradient after the last.
        last_values: By state that nothing reads: the time value whose last row it is.
        d_last_values: By such a state: where that row's gradient is given, all other rows being zero.
    """

    buffers: tuple[Buffer, ...]
    states: dict[str, Place]
    inputs: Place
    d_inputs: Place
    outputs: Place
    d_outputs: Place
    prologue: tuple[Work, ...]
    step: tuple[Work, ...]
    epilogue: tuple[Work, ...]
    back_epilogue: tuple[Work, ...]
    back_step: tuple[Work, ...]
    back_prologue: tuple[Work, ...]
    endings: tuple[Ending, ...]
    d_states: dict[str, tuple[Place, ...]]
    last_values: dict[str, Place]
    d_last_values: dict[str, Place]
