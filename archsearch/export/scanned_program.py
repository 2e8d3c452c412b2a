"""Runs a program in operations that `torch.export` can trace: the step is the body of torch's `scan`.

Shapes: `T` time steps, `B` sequences, `I` input features, `H` hidden units.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import linear

from archsearch.compiler.cell_weights import CellWeights, tensors_by_name
from archsearch.compiler.interpreter import FORMULAS
from archsearch.compiler.lower import INPUT_PROJECTION
from archsearch.compiler.program import AFFINE, DELAY, GATHER, PEEPHOLE, PRODUCT, PROJECT, CellProgram, Instruction

Packs = dict[str, tuple[Tensor, Tensor | None]]


def run_scanned(
    program: CellProgram, weights: CellWeights, x: Tensor, states: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Unrolls a cell over a sequence, as the interpreter does.

    Args:
        program: The cell.
        weights: Of one layer.
        x: `[T, B, I]` inputs.
        states: `[B, H]` each, in the program's order.

    Returns:
        `[T, B, H]` outputs and the states after the last step, `[B, H]` each.
    """
    packs = _pack(program, weights)
    before = dict(zip(program.states, states, strict=True))
    everywhere = {"x": x}
    for instruction in program.prologue:
        _compute(instruction, everywhere, packs)
    after, gathered = _scan(program, everywhere, before, packs)
    for instruction in program.epilogue:
        if instruction.operation == GATHER:
            everywhere[instruction.results[0]] = gathered[instruction.operands[0]]
        elif instruction.operation == DELAY:
            state, sequence = instruction.operands
            # in this order, as a length that could become T - 1 = 0 would be guarded against
            everywhere[instruction.results[0]] = torch.cat((before[state][None], everywhere[sequence]))[:-1]
        else:
            _compute(instruction, everywhere, packs)
    news = zip(program.states, program.new_states, strict=True)
    return everywhere[program.output], tuple(
        after[state] if state in after else everywhere[value][-1] for state, value in news
    )


def _scan(
    program: CellProgram, everywhere: Mapping[str, Tensor], before: Mapping[str, Tensor], packs: Packs
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Runs the recurrent part; returns the carried states after the last step, and what is wanted of every step."""
    if not program.recurrent:
        return {}, {}
    # a scan takes its length from a sequence, so one that the step does not read counts the time steps
    streamed, gathered = program.streamed or ("x",), program.gathered
    new = dict(zip(program.states, program.new_states, strict=True))

    def step(carried: list[Tensor], arrivals: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        values = dict(zip((*program.recurrent, *streamed), (*carried, *arrivals), strict=True))
        for instruction in program.step:
            _compute(instruction, values, packs)
        after = [_own(values[new[state]]) for state in program.recurrent]
        return after, [_own(values[name]) for name in gathered]

    carried = [_own(before[state]) for state in program.recurrent]
    after, sequences = torch._higher_order_ops.scan(step, carried, [_own(everywhere[name]) for name in streamed])
    return dict(zip(program.recurrent, after, strict=True)), dict(zip(gathered, sequences, strict=True))


def _own(value: Tensor) -> Tensor:
    """Returns a copy: what a scan takes and gives may share no memory, as the parts of one product do."""
    return value.clone(memory_format=torch.contiguous_format)


def _compute(instruction: Instruction, values: dict[str, Tensor], packs: Packs) -> None:
    """Computes one instruction on `[T, B, width]` or `[B, width]` values."""
    operation, operands = instruction.operation, instruction.operands
    first = values[operands[0]]
    if operation == PRODUCT:
        product = linear(first, *packs[operands[1]])
        values.update(zip(instruction.results, product.chunk(len(instruction.results), -1), strict=True))
        return
    if operation == PROJECT:
        result = linear(first, *packs[INPUT_PROJECTION]) if INPUT_PROJECTION in packs else first
    elif operation == PEEPHOLE:
        result = packs[operands[1]][0] * first
    elif operation == AFFINE:
        scale, shift = instruction.constants
        result = scale * first + shift
    else:
        result = FORMULAS[operation](*(values[name] for name in operands))
    values[instruction.results[0]] = result


def _pack(program: CellProgram, weights: CellWeights) -> Packs:
    """Returns what each product multiplies by and adds, stacked once for all time steps."""
    tensors = tensors_by_name(weights)
    packs: Packs = {}
    if f"{INPUT_PROJECTION}.weight" in tensors:
        packs[INPUT_PROJECTION] = tensors[f"{INPUT_PROJECTION}.weight"], None
    for pack in program.packs:
        matrices = [tensors[f"{member}.weight"] for member in pack.members]
        biases = [tensors.get(f"{member}.bias") for member in pack.members]
        bias = None
        if any(one is not None for one in biases):
            bias = torch.cat([matrices[0].new_zeros(len(matrices[0])) if one is None else one for one in biases])
        packs[pack.name] = torch.cat(matrices), bias
    return packs
