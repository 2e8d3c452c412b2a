"""The three kinds of step, each a generator that asks for trials and returns its outcome.

A step works with one frozen knowledge value and a generator of its own; what it does follows from these and from the
results it is given, never from when they arrive.
"""

import random
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from archsearch.errors import SearchStateError
from archsearch.mutation.mutate import mutate
from archsearch.search.children import find_child, has_fresh_settings, is_to_be_screened
from archsearch.search.climbing import Answered, Asked, Group, RungGate, climb
from archsearch.search.inheritance import draw_fresh_settings
from archsearch.search.knowledge import CellRecord, Knowledge
from archsearch.search.outcome import COMPLETED, NOTHING_NEW, Examined, Introduced, Kind, StepOutcome
from archsearch.search.plan import SearchPlan, TaskPlan
from archsearch.search.strategy import Mutation, Rung
from archsearch.seeds import scalar_generator
from archsearch.trials.setting import Setting
from archsearch.trials.trial import TrialResult

Step = Generator[Asked, Answered, StepOutcome]


def founders_step(plan: SearchPlan) -> Step:
    """Evaluates every founder on every allowed setting of every task (R2), or on a stated number of them.

    With a stated number all founders get the same settings, drawn once per task.
    """
    groups: list[Group] = []
    cells = tuple(Introduced(founder.graph.digest, founder.graph, founder.name) for founder in plan.founders)
    for task in plan.tasks:
        settings: Sequence[Setting] = task.space.all()
        if task.max_settings < len(settings):
            rng = scalar_generator(plan.root_seed, "baseline settings", task.name)
            settings = rng.sample(settings, task.max_settings)
        groups += [Group(cell, task, tuple(settings)) for cell in cells]
    examined, _ = yield from climb(plan, groups)
    return StepOutcome(0, "baseline", cells, COMPLETED, examined)


@dataclass(frozen=True)
class StartedStep:
    """A step whose cell is known and whose trials are still to come.

    Attributes:
        kind: `propose` or `reevaluate`.
        digest: The cell it is about, None if no new one was found.
        step: The generator to run.
    """

    kind: Kind
    digest: str | None
    step: Step


def begin_step(
    plan: SearchPlan,
    number: int,
    knowledge: Knowledge,
    in_flight: frozenset[str],
    mutation: Mutation | None = None,
) -> StartedStep:
    """Draws what step `number` will be about: a cell to look at again (R4) or a new child (R5).

    Args:
        plan: The search's plan.
        number: The step's number, from 1.
        knowledge: The fold of the steps up to `number - lookahead`.
        in_flight: Digests that steps after those are about; they are neither proposed nor re-evaluated.
        mutation: Draws children; None for the plan's transformations.
    """
    rng = scalar_generator(plan.root_seed, "step", number)

    def listed() -> list[str]:
        return [
            digest
            for _, digest in knowledge.listed
            if digest not in in_flight and has_fresh_settings(plan, knowledge.cells[digest])
        ]

    digest = plan.strategy.draw_reevaluated(listed, plan.reevaluate_probability, rng)
    if digest is not None:
        return StartedStep("reevaluate", digest, _reevaluate(plan, number, knowledge, rng, digest))
    draw = mutation or (lambda parent, rng: mutate(parent, plan.transformations, rng))
    child, dropped = find_child(plan, knowledge, in_flight, rng, draw)
    if child is None:
        return StartedStep("propose", None, _propose_nothing(number, dropped))
    return StartedStep("propose", child.digest, _propose(plan, number, knowledge, rng, child, dropped))


def _reevaluate(plan: SearchPlan, number: int, knowledge: Knowledge, rng: random.Random, digest: str) -> Step:
    """R4: fresh settings for each task, drawn independently by R25."""
    record = knowledge.cells[digest]
    cell = Introduced(digest, knowledge.graphs[digest], record.name, record.parent, record.transformations)
    groups = [Group(cell, task, _fresh_settings(plan, knowledge, rng, task, record)) for task in plan.tasks]
    examined, _ = yield from climb(plan, groups)
    return StepOutcome(number, "reevaluate", (cell,), COMPLETED, examined)


def _propose_nothing(number: int, dropped: tuple[tuple[str, str], ...]) -> Step:
    yield ()
    return StepOutcome(number, "propose", (), NOTHING_NEW, (), dropped)


def _propose(
    plan: SearchPlan,
    number: int,
    knowledge: Knowledge,
    rng: random.Random,
    cell: Introduced,
    dropped: tuple[tuple[str, str], ...],
) -> Step:
    """R6 and R7: memorization first, then the tasks, each behind its gate."""
    known = knowledge.cells.get(cell.digest)
    record = known or CellRecord(cell.digest, number, "", cell.parent, cell.transformations)
    examined: list[Examined] = []

    def outcome(stage: str) -> StepOutcome:
        return StepOutcome(number, "propose", (cell,), stage, tuple(examined), dropped)

    screen = plan.screen
    if screen and is_to_be_screened(screen, plan, record):
        settings = _fresh_settings(plan, knowledge, rng, screen, record)
        entries, _ = yield from climb(plan, [Group(cell, screen, settings)])
        examined.extend(entries)
        record = record.with_examined(entries)
        if record.best(screen.name) < plan.screen_accuracy:
            return outcome(screen.name)
    for task in plan.tasks:
        settings = _fresh_settings(plan, knowledge, rng, task, record)
        entries, fell = yield from climb(plan, [Group(cell, task, settings)], _rung_gate(knowledge, task, record))
        examined.extend(entries)
        record = record.with_examined(entries)
        if fell or not record.best(task.name) > plan.gate * knowledge.baseline[task.name]:
            return outcome(task.name)
    return outcome(COMPLETED)


def _rung_gate(knowledge: Knowledge, task: TaskPlan, record: CellRecord) -> RungGate:
    """Returns whether a candidate falls after a rung: its best so far against the baseline's at that rung."""

    def falls(rung: Rung, examined: tuple[Examined, ...]) -> bool:
        baseline = knowledge.baseline_rungs.get((task.name, rung.max_steps(task.max_steps)), 0.0)
        return rung.gate > 0 and not record.with_examined(examined).best(task.name) > rung.gate * baseline

    return falls


def _fresh_settings(
    plan: SearchPlan, knowledge: Knowledge, rng: random.Random, task: TaskPlan, record: CellRecord
) -> tuple[Setting, ...]:
    parent = knowledge.cells[record.parent].history(task.name) if record.parent else None
    founders = [knowledge.cells[digest].history(task.name) for digest in knowledge.founders]
    if plan.screen is not None and task.name == plan.screen.name:
        parent, founders = None, []  # R6: one random setting
    return draw_fresh_settings(rng, task, record.history(task.name), parent, founders, plan.inheritance)


def check_baseline(plan: SearchPlan, outcome: StepOutcome) -> None:
    """Checks that there is something to compare with, before anything is divided by it.

    Args:
        plan: The search's plan.
        outcome: The founders' step.

    Raises:
        SearchStateError: The baseline has no positive quality on a task.
    """
    digest = plan.baseline.graph.digest
    for task in plan.tasks:
        results = [entry.result for entry in outcome.examined if (entry.cell, entry.task) == (digest, task.name)]
        if any(result.quality is not None and result.quality > 0.0 for result in results):
            continue
        cause, times = Counter(map(_cause, results)).most_common(1)[0]
        raise SearchStateError(
            f"baseline '{plan.baseline.name}', task '{task.name}': expected an accuracy above 0 (or a value of another "
            f"metric) from at least one of {len(results)} settings, got none; {times} of them: {cause}. Every ratio "
            "would be meaningless. If training diverged or learned nothing, start a new run with other settings or "
            "more steps."
        )


def _cause(result: TrialResult) -> str:
    """Says why a result is nothing to compare with."""
    if result.value is not None:
        return f"{result.metric} {result.value:g}"
    return f"{result.status} ({result.error})" if result.error else result.status
