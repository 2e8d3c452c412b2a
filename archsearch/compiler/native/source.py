"""The C source of one cell: its arena, its forward pass, its backward pass."""

from functools import cache
from importlib.resources import files

from archsearch.compiler.blocks import plan_blocks
from archsearch.compiler.narrowing import leading_to_output, with_last_step_apart
from archsearch.compiler.native.backward import BackwardWriter
from archsearch.compiler.native.call_table import FIXED, SIZES, CallTable
from archsearch.compiler.native.forward import ForwardWriter
from archsearch.compiler.native.packing import PACKED, Packing
from archsearch.compiler.native.storage import D_PROJECTED, PROJECTED, SLOTS, Array, plan_storage
from archsearch.compiler.native.text import STAGGER
from archsearch.compiler.program import CellProgram

_HEADER = """\
#include "vector.h"
#include "runtime.h"
"""


@cache
def runtime_source() -> str:
    """Returns the C that all cells share."""
    folder = files("archsearch.compiler.native")
    text = '#include "runtime.c"\n'
    for name in ("runtime.c", "bfloat16.c", "products.c", "ends.c"):
        text = text.replace(f'#include "{name}"\n', (folder / name).read_text(encoding="utf-8"))
    return text


def cell_source(program: CellProgram, with_after: bool = True) -> str:
    """Returns C that runs a program; the same program gives the same text.

    Args:
        program: What to run.
        with_after: Whether the states after the last step may have gradients. Training on pieces of sequences gives
            them none, and then what leads to such a state alone need not be derived.

    It exports `arena_numbers(sizes)`, the length of the arena, `row_length(H)`, that of its rows, and `forward(call)`
    and `backward(call)`, which take the table of `CallTable`. The backward pass reads, and uses up, what a forward pass
    with `is_training` left in the arena.
    """
    plan = plan_blocks(program)
    plan = plan if with_after else with_last_step_apart(plan)
    derived = plan if with_after else leading_to_output(plan)
    storage = plan_storage(plan, derived)
    table = CallTable(program)
    packing = Packing(plan)
    forward = ForwardWriter(plan, storage, packing, table)
    forward_lines = forward.write()
    backward = BackwardWriter(derived, storage, packing, table, with_after)
    backward_lines = backward.write()
    widest = "(H > I ? padded : ROUND_UP(I, LANES))"
    most_parts = max((len(block.members) for block in plan.products), default=1)
    work = f"work_numbers(T * B, {widest}, {widest}, {most_parts})"
    shared = _declare(storage.arrays, {PACKED: packing.size, "work": work})
    own = _declare(backward.arrays, {})
    choice: list[str] = []
    backward_choice: list[str] = []
    if plan.projects is not None:
        shared += _declare([], {f"own_{PROJECTED.name}": "T * row"})
        own += _declare([], {f"own_{D_PROJECTED.name}": "T * row"})
        choice = [_choose(PROJECTED, "x")]
        backward_choice = [*choice, _choose(D_PROJECTED, "dx")]
    return "\n".join(
        [
            _HEADER,
            *_arena_length(shared, own),
            *_pass("forward", [*shared, *choice, *forward_lines]),
            *_pass("backward", [*shared, *own, *backward_choice, *backward_lines]),
        ]
    )


def _lengths() -> list[str]:
    """Returns lines that name the sizes of a call."""
    sizes = [f"    const long {name} = sizes[{place}];" for place, name in enumerate(SIZES)]
    return [*sizes, "    const long padded = ROUND_UP(H, LANES), row = B * padded, keep = -is_training;"]


def _arena_length(shared: list[str], own: list[str]) -> list[str]:
    """Returns the functions of lengths, from the declarations of both passes and of the backward pass alone."""
    return [
        "long arena_numbers(const long *sizes) {",
        *_lengths(),
        "    REAL *at = 0;",
        *shared,
        "    if (!is_training)",
        "        return at - (REAL *)0;",
        *own,
        "    return at - (REAL *)0;",
        "}",
        "",
        "long row_length(long H) { return ROUND_UP(H, LANES); }",
        "",
    ]


def _pass(name: str, body: list[str]) -> list[str]:
    """Returns the function of a pass."""
    fixed = [f"    REAL *const {entry} = call[{place}];" for place, entry in enumerate(FIXED) if entry not in _SPECIAL]
    return [
        f"void {name}(void **call) {{",
        "    const long *const sizes = call[1];",
        *_lengths(),
        "    const Runtime *const runtime = call[0];",
        *fixed,
        "    REAL *at = arena;",
        *body,
        "}",
        "",
    ]


_SPECIAL = ("runtime", "sizes", "d_out", "out_in_arena")


def _declare(arrays: list[Array], others: dict[str, str]) -> list[str]:
    """Returns lines that give each array its part of the arena, from `at` on."""
    sizes = [(array.name, f"({SLOTS[array.kind]}) * row") for array in arrays]
    sizes += others.items()
    return [
        line
        for name, size in sizes
        for line in (f"    REAL *const {name} = at;", f"    at += ROUND_UP({size}, LANES) + {STAGGER};")
    ]


def _choose(array: Array, given: str) -> str:
    """Returns a line by which an array lies in the caller's memory, or in the arena if that is not laid out alike.

    Memory whose rows end within a vector is left alone: what stands behind them would be computed with.
    """
    fits = f"{given} && I == H && H == padded && x_ld == padded && (unsigned long){given} % VECTOR_BYTES == 0"
    return f"    REAL *const {array.name} = {fits} ? {given} : own_{array.name};"
