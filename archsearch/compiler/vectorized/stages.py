"""Regroups the blocks of a plan for machines on which a loop costs more to start than to run.

Each elementwise block also finishes the products before it: it adds to what the matrices gave the bias and the value
that the product was to start from. A product whose result is such a value needs no finishing of its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from archsearch.compiler.blocks import Block, Delay, Elementwise, Member, Plan, Products
from archsearch.compiler.program import Instruction
from archsearch.compiler.vectorized.work import Region

FINISH = "finish"
COPY = "copy"
OUTPUT = "output"


@dataclass(frozen=True)
class Stage:
    """Instructions that one kernel computes, those that finish products among them."""

    region: Region
    instructions: tuple[Instruction, ...]

    @property
    def made(self) -> frozenset[str]:
        """The values it computes."""
        return frozenset(instruction.results[0] for instruction in self.instructions)


@dataclass(frozen=True)
class Multiplication:
    """The products of one value at one place of the program."""

    region: Region
    products: Products


Item = Stage | Multiplication


@dataclass(frozen=True)
class Stages:
    """A plan, regrouped.

    Attributes:
        plan: What was regrouped.
        prologue: On all time steps.
        step: On one time step.
        epilogue: On all time steps.
        members: The matrix that gives a product's result, by result.
        deferred: The results that other products start from, with the results of those.
        written_by: The value written where a state is looked for at the next step, by state.
        before: The value that a state has before each step, by state; the state itself, but for a delayed one.
        outputs: The output, and by state that nothing reads its new value: a copy where it is a state before the step.
    """

    plan: Plan
    prologue: tuple[Item, ...]
    step: tuple[Item, ...]
    epilogue: tuple[Item, ...]
    members: dict[str, Member]
    deferred: dict[str, str]
    written_by: dict[str, str]
    before: dict[str, str]
    outputs: dict[str, str]

    @property
    def items(self) -> tuple[Item, ...]:
        """All of them in the order of the forward pass."""
        return (*self.prologue, *self.step, *self.epilogue)

    @cached_property
    def made(self) -> frozenset[str]:
        """The values that kernels compute, but for finished products."""
        stages = (item for item in self.items if isinstance(item, Stage))
        return frozenset(name for stage in stages for name in stage.made) - self.members.keys()

    def base(self, name: str) -> str:
        """Returns the value behind another name: that of a step behind its gathered one."""
        return self.plan.gathers.get(name, name)


def regroup(plan: Plan, *, with_last_states: bool) -> Stages:
    """Regroups a plan whose last step is not apart.

    Args:
        plan: See there.
        with_last_states: Whether states that nothing reads are wanted.
    """
    return _Regrouping(plan, with_last_states).regroup()


class _Regrouping:
    def __init__(self, plan: Plan, with_last_states: bool) -> None:
        self._plan = plan
        self._with_last_states = with_last_states
        self._members = {member.result: member for block in plan.products for member in block.members}
        inits = ((member.init, member.result) for member in self._members.values() if member.init is not None)
        self._deferred = {
            init: result for init, result in inits if init in self._members
        }  # of one reader, see `blocks`
        self._written_by: dict[str, str] = {}
        self._before: dict[str, str] = {}
        self._taken: set[str] = set()

    def regroup(self) -> Stages:
        plan, program = self._plan, self._plan.program
        new_of = dict(zip(program.states, program.new_states, strict=True))
        in_step = {name for block in plan.step if isinstance(block, Elementwise) for name in _results(block)}
        early: list[Instruction] = []
        late: list[Instruction] = []
        for state in plan.recurrent:
            self._before[state] = state
            new = new_of[state]
            if new in in_step and new not in self._taken:
                self._write_as(state, new)
                continue
            is_of_step = new in in_step or new in plan.program.states or program.by_name[new].axis == "step"
            (late if is_of_step else early).append(self._copy(state, new))
        prologue = [*self._regroup(plan.prologue, "time"), *self._stage(early, "time")]
        step = _append(self._regroup(plan.step, "step"), self._stage(late, "step"))
        epilogue = self._regroup(plan.epilogue, "time")
        outputs = {OUTPUT: program.output} | {state: new_of[state] for state in self._unread()}
        for name, value in outputs.items():
            if plan.gathers.get(value, value) in self._before.values():
                outputs[name] = f"{name}.copy"
                epilogue.append(Stage("time", (Instruction(COPY, (value,), (outputs[name],)),)))
        return Stages(
            plan,
            tuple(prologue),
            tuple(step),
            tuple(epilogue),
            self._members,
            self._deferred,
            self._written_by,
            self._before,
            outputs,
        )

    def _unread(self) -> list[str]:
        """Returns the states that are neither carried nor delayed, if the plan computes them."""
        program = self._plan.program
        return [state for state in program.states if state not in self._before] if self._with_last_states else []

    def _write_as(self, state: str, new: str) -> None:
        self._written_by[state] = new
        self._taken.add(new)

    def _copy(self, state: str, new: str) -> Instruction:
        result = f"{state}.next"
        self._write_as(state, result)
        return Instruction(COPY, (new,), (result,))

    def _regroup(self, blocks: Iterable[Block], region: Region) -> list[Item]:
        items: list[Item] = []
        finishing: list[Instruction] = []

        def flush() -> None:
            items.extend(self._stage(finishing, region))
            finishing.clear()

        for block in blocks:
            if isinstance(block, Products):
                if any(block.operand in instruction.results for instruction in finishing):
                    flush()
                items.append(Multiplication(region, block))
                finishing += [
                    Instruction(FINISH, (), (member.result,))
                    for member in block.members
                    if member.result not in self._deferred
                ]
            elif isinstance(block, Elementwise):
                items.append(Stage(region, (*finishing, *block.instructions)))
                finishing.clear()
            else:
                flush()
                items.extend(self._stage(self._delay(block), "time"))
        flush()
        return items

    def _delay(self, block: Delay) -> list[Instruction]:
        """Lets a delayed state's new values lie where it is looked for, one row later; copies those that cannot."""
        self._before[block.state] = block.result
        name = self._plan.gathers.get(block.sequence, block.sequence)
        made = {result for each in self._plan.blocks if isinstance(each, Elementwise) for result in _results(each)}
        if name in made and name not in self._taken:
            self._write_as(block.state, name)
            return []
        return [self._copy(block.state, block.sequence)]

    @staticmethod
    def _stage(instructions: Iterable[Instruction], region: Region) -> list[Item]:
        found = tuple(instructions)
        return [Stage(region, found)] if found else []


def _append(items: list[Item], more: list[Item]) -> list[Item]:
    """Adds a stage to the last one of a part, if that is one."""
    if items and more and isinstance(items[-1], Stage) and isinstance(more[0], Stage):
        return [*items[:-1], Stage(items[-1].region, (*items[-1].instructions, *more[0].instructions))]
    return items + more


def _results(block: Elementwise) -> tuple[str, ...]:
    return tuple(instruction.results[0] for instruction in block.instructions)
