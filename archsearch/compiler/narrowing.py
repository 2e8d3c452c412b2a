"""Parts of a plan: what leads to the output, and what only the last time step needs."""

from dataclasses import replace

from archsearch.compiler.blocks import Block, Elementwise, Plan, Products, leading_to


def leading_to_output(plan: Plan) -> Plan:
    """Returns the part of a plan that the output depends on, at this or a later time step."""
    wanted = leading_to(plan.program, {plan.program.output})
    return replace(
        plan,
        prologue=_narrow_part(plan.prologue, wanted),
        step=_narrow_part(plan.step, wanted),
        epilogue=_narrow_part(plan.epilogue, wanted),
        last=_narrow_part(plan.last, wanted),
        gathers={alias: value for alias, value in plan.gathers.items() if alias in wanted},
        projects=plan.projects if plan.projects in wanted else None,
        recurrent=tuple(state for state in plan.recurrent if state in wanted),
    )


def with_last_step_apart(plan: Plan) -> Plan:
    """Returns a plan with what only leads to a state that nothing reads computed at the last time step alone."""
    program = plan.program
    delayed = (delay.result for delay in plan.delays)
    at_all_times = leading_to(program, {program.output, *plan.recurrent, *plan.gathers.values(), *delayed})
    rest = program.by_name.keys() - at_all_times
    last = _narrow_part(plan.prologue, rest) + _narrow_part(plan.epilogue, rest)
    first_free = len(plan.products)
    return replace(
        plan,
        prologue=_narrow_part(plan.prologue, at_all_times),
        epilogue=_narrow_part(plan.epilogue, at_all_times),
        last=tuple(
            replace(block, number=first_free + place) if isinstance(block, Products) else block
            for place, block in enumerate(last)
        ),
    )


def _narrow_part(part: tuple[Block, ...], wanted: set[str]) -> tuple[Block, ...]:
    narrowed = (_narrow(block, wanted) for block in part)
    return tuple(block for block in narrowed if block is not None)


def _narrow(block: Block, wanted: set[str]) -> Block | None:
    """Returns the part of a block that computes wanted values, if there is any."""
    if isinstance(block, Products):
        members = tuple(member for member in block.members if member.result in wanted)
        return replace(block, members=members) if members else None
    if isinstance(block, Elementwise):
        instructions = tuple(instruction for instruction in block.instructions if instruction.results[0] in wanted)
        return Elementwise(instructions) if instructions else None
    return block if block.result in wanted else None
