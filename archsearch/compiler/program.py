"""A lowered cell: what an engine runs.

The *prologue* depends on `x` alone and runs for all time steps at once; the *step* is what the next step waits for; the
*epilogue* is what no later step reads, again for all time steps at once. Matrices that multiply the same value in
the same part are packed into one product.

Shapes: `T` time steps, `B` sequences, `I` input features, `H` hidden units. Sizes are symbolic, so that one program
serves every width. Batch sizes that shrink along time (packed sequences) change no instruction: a program is run
anew for each stretch of time in which the same sequences take part, see `sequences`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Axis = Literal["time", "step", "state", "parameter"]
Width = Literal["I", "H"]
Backward = Literal["save", "recompute"]

PRODUCT = "product"
PEEPHOLE = "peephole"
AFFINE = "affine"
PROJECT = "project"
GATHER = "gather"
DELAY = "delay"


@dataclass(frozen=True, slots=True)
class Value:
    """What an instruction reads or gives.

    Attributes:
        name: A node's, a state's, `x`, or one with a dot, which no node can have.
        axis: `time`: `[T, B, width]`; `step`: `[B, width]`, new at every step; `state`: `[B, H]`, carried between
            steps; `parameter`: packed matrices `[members * H, width]` with their biases, or a vector `[width]`.
        width: Of the last axis.
        backward: `save` where a derivative reads the value, `recompute` where none does.
    """

    name: str
    axis: Axis
    width: Width
    backward: Backward


@dataclass(frozen=True, slots=True)
class Instruction:
    """One computation; results are values of their own, in the order in which the operation gives them.

    Attributes:
        operation: The primitive's name, or one of
            `product`: `(value, pack)` -> one result per member of the pack;
            `project`: `x` -> `x` as wide as the state, by the layer's input projection where `I` differs from `H`;
            `gather`: a step or state value -> that value at all time steps (a state as it was before each step);
            `delay`: `(state, its new values at all time steps)` -> the state before each step.
            `peephole` is `(value, pack)`, too, its one weight a vector.
        operands: Names of values.
        results: Names of values.
        constants: For `affine`: the factor and what is added.
    """

    operation: str
    operands: tuple[str, ...]
    results: tuple[str, ...]
    constants: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """The weights of one `linear` or `peephole`.

    Attributes:
        name: Under which they are stored and loaded.
        width: Columns of the matrix, `[H, width]`.
        diagonal: Added to the main diagonal of the freshly drawn matrix, or to the vector (R13).
        bias: Whether there is a bias `[H]`.
        bias_init: The bias before training.
        is_vector: Whether there is a vector `[H]` instead of a matrix, as a `peephole` has.
    """

    name: str
    width: Width
    diagonal: float
    bias: bool
    bias_init: float
    is_vector: bool = False


@dataclass(frozen=True, slots=True)
class Pack:
    """Matrices stacked for one product, or one vector.

    Attributes:
        name: The parameter value that stands for them.
        members: Names of parameters, top to bottom.
    """

    name: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class CellProgram:
    """A cell in three parts.

    Attributes:
        states: In the order in which a layer takes and returns them.
        recurrent: The states that the step carries. The others are read by the epilogue alone.
        parameters: One per `linear` or `peephole`, in the order of the graph's nodes.
        packs: How the products take them.
        values: Everything named in the instructions.
        prologue: From `x` to time values.
        step: From time values and states to step values.
        epilogue: From time, gathered and delayed values to time values.
        new_states: The next value of each state, in their order: for a recurrent state any value that the step can
            see; for another one a time value, of which the last step counts.
        output: The time value that the layer gives, `h'`.
        needs_input_projection: Whether `x` is read by anything but a `linear`: then a layer with `I != H` needs
            a matrix `[H, I]` more.
    """

    states: tuple[str, ...]
    recurrent: tuple[str, ...]
    parameters: tuple[ParameterSpec, ...]
    packs: tuple[Pack, ...]
    values: tuple[Value, ...]
    prologue: tuple[Instruction, ...]
    step: tuple[Instruction, ...]
    epilogue: tuple[Instruction, ...]
    new_states: tuple[str, ...]
    output: str
    needs_input_projection: bool

    @cached_property
    def by_name(self) -> dict[str, Value]:
        """The values by name."""
        return {value.name: value for value in self.values}

    @cached_property
    def members(self) -> dict[str, tuple[str, ...]]:
        """The parameters of each pack by its name."""
        return {pack.name: pack.members for pack in self.packs}

    @cached_property
    def streamed(self) -> tuple[str, ...]:
        """The time values that the step reads or carries on, in order of first use."""
        read = [operand for instruction in self.step for operand in instruction.operands]
        read += [value for state, value in zip(self.states, self.new_states, strict=True) if state in self.recurrent]
        return tuple(dict.fromkeys(name for name in read if self.by_name[name].axis == "time"))

    @cached_property
    def gathered(self) -> tuple[str, ...]:
        """The step and state values that the epilogue wants of every time step."""
        return tuple(instruction.operands[0] for instruction in self.epilogue if instruction.operation == GATHER)

    def __str__(self) -> str:
        lines = [f"states: {', '.join(self.states)}; the step carries {', '.join(self.recurrent) or 'none'}"]
        if self.needs_input_projection:
            lines.append("x is read without a matrix: projected where I != H")
        lines.append("parameters:")
        lines += [_parameter_line(spec) for spec in self.parameters] or ["  none"]
        lines.append("packs:")
        lines += [f"  {pack.name} = {', '.join(pack.members)}" for pack in self.packs] or ["  none"]
        for title, part in (
            ("prologue, all steps at once", self.prologue),
            ("step", self.step),
            ("epilogue, all steps at once", self.epilogue),
        ):
            lines.append(f"{title}:")
            lines += [self._instruction_line(instruction) for instruction in part] or ["  none"]
        lines.append("new states:")
        lines += [f"  {state}' = {value}" for state, value in zip(self.states, self.new_states, strict=True)]
        lines.append(f"output: {self.output}")
        return "\n".join(lines)

    def _instruction_line(self, instruction: Instruction) -> str:
        operands = (*instruction.operands, *(f"{constant:g}" for constant in instruction.constants))
        text = f"  {', '.join(instruction.results)} = {instruction.operation}({', '.join(operands)})"
        saved = [name for name in instruction.results if self.by_name[name].backward == "save"]
        return f"{text:<44} ; save {', '.join(saved)}" if saved else text


def _parameter_line(spec: ParameterSpec) -> str:
    bias = f"bias {spec.bias_init:g}" if spec.bias else "no bias"
    shape = "[H]" if spec.is_vector else f"[H, {spec.width}]"
    return f"  {spec.name}: {shape}, diagonal {spec.diagonal:g}, {bias}"
