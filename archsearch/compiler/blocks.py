"""Groups a program's instructions: matrix products, and between them the elementwise work that runs in one loop.

An addition to the result of a product is left to the product, which can start its sums from any value.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from archsearch.compiler.program import DELAY, GATHER, PEEPHOLE, PRODUCT, PROJECT, CellProgram, Instruction


@dataclass(frozen=True, slots=True)
class Member:
    """One matrix of a product.

    Attributes:
        parameter: The name of its weights.
        result: The value it gives.
        init: The value that is added to the product, if any.
    """

    parameter: str
    result: str
    init: str | None = None


@dataclass(frozen=True, slots=True)
class Products:
    """Several matrices that multiply one value.

    Attributes:
        number: Among the products of the plan; their weights are packed under it.
        operand: The value.
        members: The matrices, with what they give.
    """

    number: int
    operand: str
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Elementwise:
    """Instructions on numbers at the same place, in order; one loop computes them all."""

    instructions: tuple[Instruction, ...]


@dataclass(frozen=True, slots=True)
class Delay:
    """A state before each step, from its new values at all time steps."""

    result: str
    state: str
    sequence: str


Block = Products | Elementwise | Delay


@dataclass(frozen=True)
class Plan:
    """A program as blocks; what nothing depends on is left out.

    Attributes:
        program: What is planned.
        prologue: Blocks on all time steps at once.
        step: Blocks on one time step.
        epilogue: Blocks on all time steps at once.
        last: Blocks on the last time step alone, after all others; see `narrowing`.
        gathers: The step or state value that stands behind each gathered time value.
        projects: The name of `x` made as wide as the state, if it is read so.
        recurrent: States that the step carries.
        uses: How often each value is read: by instructions, as a new state, as output.
    """

    program: CellProgram
    prologue: tuple[Block, ...]
    step: tuple[Block, ...]
    epilogue: tuple[Block, ...]
    gathers: Mapping[str, str]
    projects: str | None
    recurrent: tuple[str, ...]
    uses: Mapping[str, int]
    last: tuple[Block, ...] = ()

    @cached_property
    def vectors(self) -> dict[str, str]:
        """The vectors that peepholes multiply with: of each pack its one parameter."""
        loops = (block.instructions for block in self.blocks if isinstance(block, Elementwise))
        packs = (instruction.operands[1] for loop in loops for instruction in loop if instruction.operation == PEEPHOLE)
        return {pack: self.program.members[pack][0] for pack in packs}

    @property
    def delays(self) -> tuple[Delay, ...]:
        """The delays, in order."""
        return tuple(block for block in self.epilogue if isinstance(block, Delay))

    @cached_property
    def products(self) -> tuple[Products, ...]:
        """The products, in order."""
        return tuple(block for block in self.blocks if isinstance(block, Products))

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All blocks in the order of the forward pass."""
        return (*self.prologue, *self.step, *self.epilogue, *self.last)


def plan_blocks(program: CellProgram) -> Plan:
    """Plans how a program runs natively."""
    live = _live_instructions(program)
    by_operation: dict[str, list[Instruction]] = defaultdict(list)
    for instruction in live:
        by_operation[instruction.operation].append(instruction)
    products, merged = _merge_additions(program, live)

    numbers = {instruction: number for number, instruction in enumerate(products)}

    def group(part: tuple[Instruction, ...]) -> tuple[Block, ...]:
        kept = [instruction for instruction in part if instruction in live and instruction.results[0] not in merged]
        return _group(kept, products, numbers)

    return Plan(
        program,
        prologue=group(program.prologue),
        step=group(program.step),
        epilogue=group(program.epilogue),
        gathers={instruction.results[0]: instruction.operands[0] for instruction in by_operation[GATHER]},
        projects=by_operation[PROJECT][0].results[0] if by_operation[PROJECT] else None,
        recurrent=program.recurrent,
        uses=_count_uses(program, live),
    )


def _live_instructions(program: CellProgram) -> dict[Instruction, None]:
    """Returns, in order, the instructions that the output or a new state depends on."""
    wanted = leading_to(program, {program.output, *program.new_states})
    instructions = (*program.prologue, *program.step, *program.epilogue)
    return dict.fromkeys(instruction for instruction in instructions if wanted.intersection(instruction.results))


def leading_to(program: CellProgram, names: Iterable[str]) -> set[str]:
    """Returns the values that some values depend on, themselves among them, through any number of time steps."""
    instructions = (*program.prologue, *program.step, *program.epilogue)
    operands_of = {result: instruction.operands for instruction in instructions for result in instruction.results}
    operands_of |= {state: (new,) for state, new in zip(program.states, program.new_states, strict=True)}
    wanted: set[str] = set()
    stack = list(names)
    while stack:
        name = stack.pop()
        if name not in wanted:
            wanted.add(name)
            stack.extend(operands_of.get(name, ()))
    return wanted


def _count_uses(program: CellProgram, live: Iterable[Instruction]) -> Counter[str]:
    uses = Counter(operand for instruction in live for operand in instruction.operands)
    uses.update(program.new_states)
    uses[program.output] += 1
    return uses


def _merge_additions(
    program: CellProgram, live: Mapping[Instruction, None]
) -> tuple[dict[Instruction, tuple[Member, ...]], set[str]]:
    """Returns the members of each product, and the additions that they take over.

    An addition can be taken over where the product's result is used by it alone, and where the other operand is used
    by it alone too (so that it has the same gradient, in the same place) and is there when the product runs.
    """
    uses = _count_uses(program, live)
    position = {result: index for index, instruction in enumerate(live) for result in instruction.results}
    part_of = {
        result: part
        for part, instructions in enumerate((program.prologue, program.step, program.epilogue))
        for instruction in instructions
        for result in instruction.results
    }
    members = {
        instruction: [
            Member(parameter, result)
            for parameter, result in zip(program.members[instruction.operands[1]], instruction.results, strict=True)
            if uses[result]
        ]
        for instruction in live
        if instruction.operation == PRODUCT
    }
    carrier = {member.result: product for product, found in members.items() for member in found}
    level = _levels(live, part_of)
    merged: set[str] = set()
    for instruction in live:
        if instruction.operation != "add":
            continue
        total = instruction.results[0]

        def is_ready(init: str, result: str) -> bool:
            if part_of[init] != part_of[result] or level[init] < level[result]:
                return True
            return init in carrier and level[init] == level[result] and position[init] < position[result]

        # of two products the later one takes the sum over
        for result, init in sorted(
            (instruction.operands, instruction.operands[::-1]), key=lambda pair: -position.get(pair[0], -1)
        ):
            product = carrier.get(result)
            is_mergeable = (
                product is not None
                and part_of[result] == part_of[total]
                and uses[result] == uses[init] == 1
                and init in position
                and carrier.get(init) is not product
                and is_ready(init, result)
            )
            if not is_mergeable or product is None:
                continue
            index = next(place for place, member in enumerate(members[product]) if member.result == result)
            if members[product][index].init is None:
                members[product][index] = replace(members[product][index], result=total, init=init)
                carrier[total] = product
                position[total], level[total] = position[result], level[result]
                merged.add(total)
                break
    return {product: tuple(found) for product, found in members.items()}, merged


def _levels(live: Iterable[Instruction], part_of: Mapping[str, int]) -> dict[str, int]:
    """Returns how many products of its own part lie behind each value; a delay counts as one, see `_group`."""
    level: dict[str, int] = {}
    for instruction in live:
        part = part_of[instruction.results[0]]
        deepest = max((level.get(name, 0) for name in instruction.operands if part_of.get(name) == part), default=0)
        level |= dict.fromkeys(instruction.results, deepest + (instruction.operation in (PRODUCT, DELAY)))
    return level


def _group(
    instructions: Iterable[Instruction],
    products: Mapping[Instruction, tuple[Member, ...]],
    numbers: Mapping[Instruction, int],
) -> tuple[Block, ...]:
    """Groups the instructions of one part by the number of products that must come before them.

    A delayed value counts as the result of a product: in one loop with the value it delays, the backward pass would
    read a gradient before it is there.
    """
    levels: dict[str, int] = {}  # what an earlier part computed is there from the start
    elementwise: dict[int, list[Instruction]] = defaultdict(list)
    multiplied: dict[int, list[Products | Delay]] = defaultdict(list)
    for instruction in instructions:
        level = max(levels.get(operand, 0) for operand in instruction.operands)
        if instruction.operation in (GATHER, DELAY, PROJECT):
            level += instruction.operation == DELAY
            levels[instruction.results[0]] = level
            if instruction.operation == DELAY:
                multiplied[level].append(Delay(instruction.results[0], *instruction.operands))
            continue
        if instruction.operation == PRODUCT:
            members = products[instruction]
            level += 1
            levels.update({member.result: level for member in members})
            multiplied[level].append(Products(numbers[instruction], instruction.operands[0], members))
        else:
            levels[instruction.results[0]] = level
            elementwise[level].append(instruction)
    blocks: list[Block] = []
    for level in range(1 + max((*elementwise, *multiplied), default=-1)):
        blocks += multiplied[level]
        if elementwise[level]:
            blocks.append(Elementwise(tuple(elementwise[level])))
    return tuple(blocks)
