"""Runs a program with torch's own operations; autograd does the backward pass. Any device, any type: the oracle."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu, linear

from archsearch.compiler.program import (
    AFFINE,
    DELAY,
    GATHER,
    PEEPHOLE,
    PRODUCT,
    PROJECT,
    CellProgram,
    Instruction,
)

Slots = list[Tensor]
RunStep = Callable[[Slots], None]

LEAKY_SLOPE = 0.01

FORMULAS: dict[str, Callable[..., Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "leaky_relu": partial(leaky_relu, negative_slope=LEAKY_SLOPE),
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
}


class RunSteps(Protocol):
    """Runs the recurrent part of a program."""

    def __call__(
        self, everywhere: Mapping[str, Tensor], before: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Takes `[T, B, width]` values and `[B, H]` states by name, and the weights.

        Returns:
            The carried states after the last step, `[B, H]`, and the gathered values of every step, `[T, B, H]`.
        """


class Interpreter:
    """A program, ready to run over sequences.

    Shapes: `T` time steps, `B` sequences, `I` input features, `H` hidden units.
    """

    def __init__(self, program: CellProgram) -> None:
        self.program = program
        self._slots = number_values(program)

    def __call__(
        self, x: Tensor, states: tuple[Tensor, ...], parameters: Mapping[str, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Unrolls the cell over a sequence.

        Args:
            x: `[T, B, I]` inputs, `T` at least 1.
            states: `[1, B, H]` each, in the program's order.
            parameters: `NAME.weight` and `NAME.bias` of each parameter.

        Returns:
            `[T, B, H]` outputs and the states after the last step, `[1, B, H]` each.
        """
        return run_program(self.program, x, states, parameters, self._run_steps)

    def _run_steps(
        self, everywhere: Mapping[str, Tensor], before: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """See `RunSteps`."""
        program, slots = self.program, self._slots
        run_step = bind_step(program, slots, parameters)
        streams = zip(*(everywhere[name].unbind(0) for name in program.streamed), strict=True)
        arrivals = list(streams) if program.streamed else [()] * len(everywhere["x"])
        arrival_slots = [slots[name] for name in program.streamed]
        new = dict(zip(program.states, program.new_states, strict=True))
        state_slots = [slots[state] for state in program.recurrent]
        new_slots = [slots[new[state]] for state in program.recurrent]
        kept: list[tuple[int, list[Tensor]]] = [(slots[name], []) for name in program.gathered]

        values: Slots = [next(iter(everywhere.values()))] * len(slots)
        for state in program.recurrent:
            values[slots[state]] = before[state]
        for arrival in arrivals:
            for slot, value in zip(arrival_slots, arrival, strict=True):
                values[slot] = value
            for run in run_step:
                run(values)
            for slot, sequence in kept:
                sequence.append(values[slot])
            news = [values[slot] for slot in new_slots]  # all at once: a new state may be another's old value
            for slot, value in zip(state_slots, news, strict=True):
                values[slot] = value
        after = {state: values[slots[state]] for state in program.recurrent}
        return after, {name: torch.stack(sequence) for name, (_, sequence) in zip(program.gathered, kept, strict=True)}


def run_program(
    program: CellProgram,
    x: Tensor,
    states: tuple[Tensor, ...],
    parameters: Mapping[str, Tensor],
    run_steps: RunSteps,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Unrolls a cell as `Interpreter` does, with another loop over the time steps.

    Args:
        program: The cell.
        x: As `states` and `parameters` what the interpreter takes.
        states: See there.
        parameters: See there.
        run_steps: The loop.
    """
    before = dict(zip(program.states, [state[0] for state in states], strict=True))
    everywhere = {"x": x}
    for instruction in program.prologue:
        _run_at_all_times(program, instruction, everywhere, before, parameters)
    after, gathered = run_steps(everywhere, before, parameters)
    for instruction in program.epilogue:
        if instruction.operation == GATHER:
            everywhere[instruction.results[0]] = gathered[instruction.operands[0]]
        else:
            _run_at_all_times(program, instruction, everywhere, before, parameters)
    news = zip(program.states, program.new_states, strict=True)
    final = tuple(after[state][None] if state in after else everywhere[value][-1:] for state, value in news)
    return everywhere[program.output], final


def number_values(program: CellProgram) -> dict[str, int]:
    """Returns where the step keeps each value."""
    return {value.name: index for index, value in enumerate(program.values)}


def bind_step(program: CellProgram, slots: Mapping[str, int], parameters: Mapping[str, Tensor]) -> list[RunStep]:
    """Returns functions that compute one time step, one after another, on a list of `[B, width]` values."""
    return [_bind(program, instruction, slots, parameters) for instruction in program.step]


def _run_at_all_times(
    program: CellProgram,
    instruction: Instruction,
    values: dict[str, Tensor],
    before: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
) -> None:
    """Computes one instruction of the prologue or epilogue on `[T, B, width]` values."""
    operands = instruction.operands
    if instruction.operation == PRODUCT:
        weight, bias = _pack(program.members[operands[1]], parameters)
        product = linear(values[operands[0]], weight, bias)
        values.update(zip(instruction.results, product.chunk(len(instruction.results), -1), strict=True))
        return
    if instruction.operation == PROJECT:
        projection = parameters.get("input_projection.weight")
        result = values["x"] if projection is None else linear(values["x"], projection)
    elif instruction.operation == DELAY:
        state, sequence = operands
        # cut off last: of a length T that is not known yet, T - 1 could be 0, and torch.export would guard against it
        result = torch.cat((before[state][None], values[sequence]))[:-1]
    else:
        formula, names = _formula(program, instruction, parameters)
        result = formula(*(values[name] for name in names))
    values[instruction.results[0]] = result


def _formula(
    program: CellProgram, instruction: Instruction, parameters: Mapping[str, Tensor]
) -> tuple[Callable[..., Tensor], tuple[str, ...]]:
    """Returns what computes an instruction without a product, and the names of the values that it takes."""
    operands = instruction.operands
    if instruction.operation == PEEPHOLE:
        [name] = program.members[operands[1]]
        return partial(torch.mul, parameters[f"{name}.weight"]), operands[:1]
    if instruction.operation == AFFINE:
        scale, shift = instruction.constants
        return lambda value: scale * value + shift, operands
    return FORMULAS[instruction.operation], operands


def _pack(members: tuple[str, ...], parameters: Mapping[str, Tensor]) -> tuple[Tensor, Tensor | None]:
    """Stacks matrices, `[members * H, width]`, and their biases; one without a bias has zeros, none if none has one."""
    weights = [parameters[f"{name}.weight"] for name in members]
    biases = [parameters.get(f"{name}.bias") for name in members]
    weight = torch.cat(weights)
    if all(bias is None for bias in biases):
        return weight, None
    zero = weight.new_zeros(weights[0].shape[0])
    return weight, torch.cat([zero if bias is None else bias for bias in biases])


def _bind(
    program: CellProgram, instruction: Instruction, slots: Mapping[str, int], parameters: Mapping[str, Tensor]
) -> RunStep:
    """Returns a function that computes one instruction of the step on a list of `[B, H]` values."""
    outs = [slots[name] for name in instruction.results]
    if instruction.operation == PRODUCT:
        # transposed once per sequence: BLAS is slower at transposing anew for the few rows of every step
        weight, bias = _pack(program.members[instruction.operands[1]], parameters)
        return _bind_product(weight.t().contiguous(), bias, slots[instruction.operands[0]], outs)
    formula, names = _formula(program, instruction, parameters)
    out, first = outs[0], slots[names[0]]
    if len(names) == 1:

        def run_unary(values: Slots) -> None:
            values[out] = formula(values[first])

        return run_unary
    second = slots[names[1]]

    def run_binary(values: Slots) -> None:
        values[out] = formula(values[first], values[second])

    return run_binary


def _bind_product(weight: Tensor, bias: Tensor | None, operand: int, outs: list[int]) -> RunStep:
    def run_product(values: Slots) -> None:
        value = values[operand]
        product = value @ weight if bias is None else torch.addmm(bias, value, weight)
        if len(outs) == 1:
            values[outs[0]] = product
        else:
            for out, result in zip(outs, product.chunk(len(outs), -1), strict=True):
                values[out] = result

    return run_product
