"""Which child a step proposes: drawn until one is worth its trials."""

import random

from archsearch.graph.structure import Structure
from archsearch.mutation.mutate import NoChildError
from archsearch.mutation.rejections import rejection
from archsearch.search.knowledge import CellRecord, Knowledge
from archsearch.search.outcome import EXHAUSTED, IN_FLIGHT, KNOWN, NO_CHILD, Introduced
from archsearch.search.plan import SearchPlan, TaskPlan
from archsearch.search.strategy import Mutation


def find_child(
    plan: SearchPlan, knowledge: Knowledge, in_flight: frozenset[str], rng: random.Random, mutation: Mutation
) -> tuple[Introduced | None, tuple[tuple[str, str], ...]]:
    """Mutates the strategy's parents until a child is worth its trials, at most `plan.max_draws` times.

    A parent that has no child by the transformations allowed is not drawn again.

    Returns:
        The child, None if there was none, and what was drawn in vain, see `StepOutcome.dropped`.
    """
    dropped: list[tuple[str, str]] = []
    childless: set[str] = set()
    for _ in range(plan.max_draws):
        drawn = plan.strategy.draw_parent(knowledge, childless, rng)
        if drawn is None:
            break
        parent, graph = drawn
        try:
            child = plan.strategy.draw_child(graph, mutation, rng)
        except NoChildError:
            childless.add(parent)
            dropped.append((parent, NO_CHILD))
            continue
        digest = child.graph.digest
        reason = _reason_to_drop(plan, knowledge, in_flight, digest, child.graph.structure)
        if reason is None:
            known = knowledge.cells.get(digest)
            if known:
                introduced = Introduced(digest, child.graph, known.name, known.parent, known.transformations)
            else:
                introduced = Introduced(digest, child.graph, "", parent, child.transformations)
            return introduced, tuple(dropped)
        dropped.append((digest, reason))
    return None, tuple(dropped)


def has_fresh_settings(plan: SearchPlan, record: CellRecord) -> bool:
    """Tells whether a cell may get another setting on some task."""
    return any(_num_fresh(task, record) > 0 for task in plan.tasks)


def is_to_be_screened(screen: TaskPlan, plan: SearchPlan, record: CellRecord) -> bool:
    """Tells whether a proposed cell has the screen before it; founders, met again as children, never have (R2)."""
    return bool(record.parent) and record.best(screen.name) < plan.screen_accuracy


def _reason_to_drop(
    plan: SearchPlan, knowledge: Knowledge, in_flight: frozenset[str], digest: str, structure: Structure
) -> str | None:
    violation = plan.bounds.violation(structure)
    if violation is not None:
        return violation
    if digest in in_flight:
        return IN_FLIGHT
    known = knowledge.cells.get(digest)
    if known is None:
        return rejection(structure, plan.rejections)
    if plan.on_duplicate == "redraw":
        return KNOWN
    return None if _next_stage_has_fresh_settings(plan, knowledge, known) else EXHAUSTED


def _next_stage_has_fresh_settings(plan: SearchPlan, knowledge: Knowledge, record: CellRecord) -> bool:
    """Whether examining the cell again would run a trial before it falls."""
    if plan.screen and is_to_be_screened(plan.screen, plan, record):
        return _num_fresh(plan.screen, record) > 0
    for task in plan.tasks:
        if _num_fresh(task, record) > 0:
            return True
        if not record.best(task.name) > plan.gate * knowledge.baseline[task.name]:
            return False
    return False


def _num_fresh(task: TaskPlan, record: CellRecord) -> int:
    return task.max_settings - len(record.history(task.name).tried)
