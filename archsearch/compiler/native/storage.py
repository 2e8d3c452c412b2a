"""Where the values of a planned program lie in the work arena, and which of them the backward pass finds there.

Every value is an array of rows `[B, padded H]`, one per time step or fewer. At time step t a value's row is number
`(t + offset) & mask` of its array, which gives each kind of array one form of address:

    sequence  T + 1 rows, mask all ones: a state, before each step and after the last
    whole     T rows, mask all ones: what is wanted of all time steps
    kept      T rows in training, mask all ones; else one, mask 0: what the backward pass reads
    once      1 row, mask 0: what lives within a time step
    two       2 rows, mask 1: what is handed from one time step to the next
    vector    1 row, mask 0: the vector of a peephole, or its gradient, for every sequence; read and written at each
              time step even in loops over all of them
"""

import re
from dataclasses import dataclass, field
from typing import Literal

from archsearch.compiler.blocks import Block, Delay, Elementwise, Plan, Products
from archsearch.compiler.formulas import formula_of
from archsearch.compiler.program import AFFINE, PEEPHOLE, Instruction

Kind = Literal["sequence", "whole", "kept", "once", "two", "vector"]

SLOTS: dict[Kind, str] = {
    "sequence": "T + 1",
    "whole": "T",
    "kept": "keep ? T : 1",
    "once": "1",
    "two": "2",
    "vector": "1",
}
MASKS: dict[Kind, str] = {"sequence": "-1", "whole": "-1", "kept": "keep", "once": "0", "two": "1", "vector": "0"}

# Up to so many additions and multiplications are done again in the backward pass rather than stored and read.
MAX_RECOMPUTED = 3


@dataclass(frozen=True, slots=True)
class Array:
    """Rows in the arena; the name is a C identifier."""

    name: str
    kind: Kind


# `x` as wide as the state, and its gradient. Where x is that wide already, in whole vectors, and laid out as in the
# arena, both lie where the caller has them, so that nothing else may be written there. They are declared in source.py.
PROJECTED, D_PROJECTED = Array("projected", "whole"), Array("d_projected", "whole")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value lies: in an array, its row of time step 0 being row number `offset`."""

    array: Array
    offset: int = 0

    def at_step(self) -> str:
        """Returns C for the address of the row of time step `t`."""
        number = f"(t + {self.offset})" if self.offset else "t"
        mask = MASKS[self.array.kind]
        return self.array.name + {"0": "", "-1": f" + {number} * row"}.get(mask, f" + ({number} & {mask}) * row")

    def at_start(self) -> str:
        """Returns C for the address of the row of time step 0, others following."""
        return f"{self.array.name} + {self.offset} * row" if self.offset else self.array.name


@dataclass
class Storage:
    """The arrays of a pass.

    Attributes:
        prefix: What their names in C begin with, other than those of another pass: the names of values and of
            gradients of values may be the same.
        places: Of every value that has one. The others live in registers, inside the loop of one block.
        arrays: All of them, in order.
        copied: States whose new value lies elsewhere, so that it is copied to where the next step looks for it.
    """

    prefix: str = "v"
    places: dict[str, Place] = field(default_factory=dict)
    arrays: list[Array] = field(default_factory=list)
    copied: set[str] = field(default_factory=set)

    def add(self, name: str, kind: Kind) -> Array:
        """Adds an array; the name is made fit for C and unique."""
        name_in_c = re.sub(r"\W", "_", name, flags=re.ASCII)
        array = Array(f"{self.prefix}_{name_in_c}_{len(self.arrays)}", kind)
        self.arrays.append(array)
        return array


def plan_storage(plan: Plan, backward: Plan) -> Storage:
    """Finds a place for every value that needs one.

    Args:
        plan: The forward pass.
        backward: The part of it that the backward pass derives.
    """
    storage = Storage()
    program = plan.program
    delays = {delay.state: delay for delay in plan.delays}
    new_of = dict(zip(program.states, program.new_states, strict=True))
    made = _made_by_blocks(plan)
    if plan.projects is not None:
        storage.places[plan.projects] = Place(PROJECTED)
    placed: dict[str, Place] = {}  # new values that lie where their state is looked for
    for state in program.states:
        delay = delays.get(state)
        if state not in program.recurrent and delay is None:
            continue
        array = storage.add(state, "sequence")
        new = new_of[state] if delay is None else delay.sequence
        storage.places[state if delay is None else delay.result] = Place(array)
        if new in made and new not in placed:
            placed[new] = Place(array, 1)
        else:
            storage.copied.add(state)
    storage.places |= placed
    of_last_step = {name for block in plan.last for name in results_of(block)}
    time_values = {name for name in made if program.by_name[name].axis == "time"} - of_last_step
    gathered = set(plan.gathers.values())
    crossing = _crossing(plan)
    kept = _read_backward(backward, crossing | set(placed))
    overwritten = _overwritten(plan, kept)
    for name in made:
        if name in storage.places or not (name in crossing or name in kept):
            continue
        kind: Kind = "once"
        if name in time_values or name in gathered:
            kind = "whole"
        elif name in kept:
            kind = "kept"
        before = storage.places.get(overwritten.get(name, ""))
        if before is not None and (before.array.kind == kind or before.array.kind == "whole"):
            storage.places[name] = before
        else:
            storage.places[name] = Place(storage.add(name, kind))
    for alias, source in plan.gathers.items():
        storage.places[alias] = storage.places[source]
    # last, so that nothing is written over them
    storage.places |= {pack: Place(storage.add(pack, "vector")) for pack in plan.vectors}
    return storage


def _made_by_blocks(plan: Plan) -> dict[str, None]:
    """Returns the values that blocks compute, and the projected input."""
    made: dict[str, None] = {} if plan.projects is None else {plan.projects: None}
    for block in plan.blocks:
        made |= dict.fromkeys(results_of(block))
    return made


def results_of(block: Block) -> tuple[str, ...]:
    """Returns the values that a block computes; a delay computes none."""
    if isinstance(block, Products):
        return tuple(member.result for member in block.members)
    if isinstance(block, Delay):
        return ()
    return tuple(instruction.results[0] for instruction in block.instructions)


def operands_of(block: Block) -> tuple[str, ...]:
    """Returns the values that a block reads, its own among them."""
    if isinstance(block, Products):
        return (block.operand, *(member.init for member in block.members if member.init is not None))
    if isinstance(block, Delay):
        return (block.sequence,)
    return tuple(operand for instruction in block.instructions for operand in instruction.operands)


def _overwritten(plan: Plan, kept: set[str]) -> dict[str, str]:
    """Returns for results the value in whose array they may lie, as its only reader is what computes them.

    Less memory to walk through: the recurrent part of a gate is added to the part that comes from x, and the gate's
    activation takes the place of both.
    """
    pairs: dict[str, str] = {}
    untouched = kept | {plan.projects}
    for block in plan.blocks:
        if isinstance(block, Products):
            for member in block.members:
                if member.init is not None and member.init not in untouched:
                    pairs[member.result] = member.init
        elif isinstance(block, Elementwise):
            for instruction in block.instructions:
                for operand in instruction.operands:
                    is_free = operand not in untouched and operand not in plan.program.states
                    if plan.uses[operand] == 1 and is_free:
                        pairs.setdefault(instruction.results[0], operand)
    return pairs


def _crossing(plan: Plan) -> set[str]:
    """Returns the values that are read outside the loop that computes them."""
    block_of = {name: block for block in plan.blocks for name in results_of(block)}
    crossing = {plan.program.output, *plan.program.new_states, *plan.gathers.values()}
    for block in plan.blocks:
        if isinstance(block, Products):
            crossing.update(results_of(block))
        crossing |= {name for name in operands_of(block) if block_of.get(name) is not block}
    return crossing


def _read_backward(plan: Plan, stored: set[str]) -> set[str]:
    """Returns the values whose rows of all time steps the backward pass reads."""
    kept: set[str] = set()
    for block in plan.blocks:
        if isinstance(block, Products):
            kept.add(block.operand)
        if not isinstance(block, Elementwise):
            continue
        made = {instruction.results[0]: instruction for instruction in block.instructions}
        for instruction in block.instructions:
            for name in values_read_backward(instruction):
                if not is_recomputed(name, made, stored | kept):
                    kept.add(name)
    # what is computed again reads its operands
    for block in plan.blocks:
        if isinstance(block, Elementwise):
            made = {instruction.results[0]: instruction for instruction in block.instructions}
            wanted = [name for instruction in block.instructions for name in values_read_backward(instruction)]
            while wanted:
                name = wanted.pop()
                if name in kept or name not in made or name in stored:
                    kept.add(name)
                else:
                    wanted.extend(made[name].operands)
    return kept


def last_readers(plan: Plan, storage: Storage) -> dict[str, Block | None]:
    """Returns where the backward pass reads arrays with a row per time step for the last time.

    By array: the block, or None for an array that it does not read. Those it needs at the very end, for the gradients
    of the weights, are left out.
    """
    at_the_end = {
        storage.places[block.operand].array.name
        for block in plan.blocks
        if isinstance(block, Products) and block.operand in storage.places
    }
    arrays = [array.name for array in storage.arrays if array.kind in ("whole", "kept")]
    last: dict[str, Block | None] = {name: None for name in arrays if name not in at_the_end}
    for block in reversed(plan.blocks):
        if isinstance(block, Elementwise):
            last |= dict.fromkeys(_arrays_read(block, storage) & last.keys(), block)
    return last


def _arrays_read(block: Elementwise, storage: Storage) -> set[str]:
    made = {instruction.results[0]: instruction for instruction in block.instructions}
    wanted = [name for instruction in block.instructions for name in values_read_backward(instruction)]
    read = set()
    while wanted:
        name = wanted.pop()
        if name in storage.places:
            read.add(storage.places[name].array.name)
        else:
            wanted.extend(made[name].operands)
    return read


def values_read_backward(instruction: Instruction) -> tuple[str, ...]:
    """Returns the values that the derivatives of an elementwise instruction read."""
    names = dict(zip("ab", instruction.operands, strict=False)) | {"y": instruction.results[0]}
    return tuple(names[letter] for letter in sorted(formula_of(instruction).read_backward))


def is_recomputed(name: str, made: dict[str, Instruction], stored: set[str]) -> bool:
    """Says whether a value of a block is cheap enough to be computed again in its backward pass.

    Args:
        name: The value.
        made: The block's instructions by result.
        stored: Values that lie in an array, or will.
    """
    cost, wanted = 0, [name]
    while wanted:
        name = wanted.pop()
        if name in stored or name not in made:
            continue
        if made[name].operation not in ("add", "sub", "mul", AFFINE, PEEPHOLE):
            return False
        cost += 1
        if cost > MAX_RECOMPUTED:
            return False
        wanted.extend(made[name].operands)
    return cost > 0
