"""Runs a program in operations that `torch.export` can trace: the step is the body of torch's `scan`.

Shapes: `T` time steps, `B` sequences, `I` input features, `H` hidden units.
"""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from archsearch.compiler.interpreter import bind_step, number_values, run_program
from archsearch.compiler.program import CellProgram


def run_scanned(
    program: CellProgram, x: Tensor, states: tuple[Tensor, ...], parameters: Mapping[str, Tensor]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Unrolls a cell over a sequence, as the interpreter does.

    Args:
        program: The cell.
        x: `[T, B, I]` inputs.
        states: `[1, B, H]` each, in the program's order.
        parameters: `NAME.weight` and `NAME.bias` of each parameter.

    Returns:
        `[T, B, H]` outputs and the states after the last step, `[1, B, H]` each.
    """
    return run_program(program, x, states, parameters, partial(_scan, program))


def _scan(
    program: CellProgram,
    everywhere: Mapping[str, Tensor],
    before: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Runs the recurrent part; returns the carried states after the last step, and what is wanted of every step."""
    if not program.recurrent:
        return {}, {}
    # a scan takes its length from a sequence, so one that the step does not read counts the time steps
    streamed, gathered = program.streamed or ("x",), program.gathered
    new = dict(zip(program.states, program.new_states, strict=True))
    slots = number_values(program)
    run_step = bind_step(program, slots, parameters)

    def step(carried: list[Tensor], arrivals: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        values = [carried[0]] * len(slots)
        for name, value in zip((*program.recurrent, *streamed), (*carried, *arrivals), strict=True):
            values[slots[name]] = value
        for run in run_step:
            run(values)
        after = [_own(values[slots[new[state]]]) for state in program.recurrent]
        return after, [_own(values[slots[name]]) for name in gathered]

    carried = [_own(before[state]) for state in program.recurrent]
    after, sequences = torch._higher_order_ops.scan(step, carried, [_own(everywhere[name]) for name in streamed])
    return dict(zip(program.recurrent, after, strict=True)), dict(zip(gathered, sequences, strict=True))


def _own(value: Tensor) -> Tensor:
    """Returns a copy: what a scan takes and gives may share no memory, as the parts of one product do."""
    return value.clone(memory_format=torch.contiguous_format)
