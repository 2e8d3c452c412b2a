"""From a program to all that a layer computes for a population."""

from archsearch.compiler.blocks import Products, plan_blocks
from archsearch.compiler.narrowing import leading_to_output
from archsearch.compiler.program import CellProgram
from archsearch.compiler.vectorized.backward import BackwardWriter
from archsearch.compiler.vectorized.forward import ForwardWriter
from archsearch.compiler.vectorized.stages import OUTPUT, regroup
from archsearch.compiler.vectorized.storage import Storage
from archsearch.compiler.vectorized.work import Passes
from archsearch.graph.structure import INPUT


def plan_passes(program: CellProgram, *, is_projected: bool = False, with_last_states: bool = False) -> Passes:
    """Plans the passes of one layer.

    Args:
        program: The cell.
        is_projected: Whether the layer has an input projection, as one of another width than its input has.
        with_last_states: Whether states that nothing reads are computed, and states after the last step have
            gradients, as a module's caller may want. Training on pieces of sequences does not.
    """
    plan = plan_blocks(program)
    if not with_last_states:
        plan = leading_to_output(plan)
    stages = regroup(plan, with_last_states=with_last_states)
    storage = Storage(stages, is_projected, with_last_states)
    forward = ForwardWriter(stages, storage, is_projected)
    backward = BackwardWriter(stages, storage, is_projected)
    back_epilogue, back_step, back_prologue = backward.epilogue(), backward.step(), backward.prologue()
    endings = backward.endings()
    return Passes(
        buffers=tuple(storage.buffers),
        states={state: storage.values[before] for state, before in stages.before.items()},
        inputs=storage.values[INPUT],
        d_inputs=storage.gradients[INPUT],
        outputs=storage.value(stages.outputs[OUTPUT]),
        d_outputs=storage.d_outputs,
        prologue=forward.prologue(),
        step=forward.step(),
        epilogue=forward.epilogue(),
        back_epilogue=back_epilogue,
        back_step=back_step,
        back_prologue=back_prologue,
        endings=endings,
        d_states={state: tuple(storage.parts.get(before, ())) for state, before in stages.before.items()},
        last_values=storage.last_values,
        d_last_values=storage.d_last_values,
    )


def parameter_order(program: CellProgram) -> tuple[str, ...]:
    """Returns the parameters in the order in which their matrices, and after them the vectors, should lie in memory.

    Matrices that one value is multiplied by are neighbours then, so that one product takes them all.
    """
    plan = plan_blocks(program)
    blocks = (*leading_to_output(plan).blocks, *plan.blocks)
    products = [block for block in blocks if isinstance(block, Products)]
    names = [member.parameter for block in products for member in block.members]
    return tuple(dict.fromkeys([*names, *(spec.name for spec in program.parameters)]))
