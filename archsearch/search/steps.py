"""The three kinds of step, each a generator that asks for trials and returns its outcome.

A step works with one frozen knowledge value and a generator of its own; what it does follows from these and from the
results it is given, never from when they arrive.
"""

import random
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from archsearch.errors import SearchStateError
from archsearch.mutation.mutate import NoChildError, mutate
from archsearch.search.inheritance import draw_fresh_settings
from archsearch.search.knowledge import CellRecord, Knowledge
from archsearch.search.outcome import (
    COMPLETED,
    EXHAUSTED,
    IN_FLIGHT,
    KNOWN,
    NO_CHILD,
    NOTHING_NEW,
    Examined,
    Introduced,
    Kind,
    StepOutcome,
)
from archsearch.search.plan import SearchPlan, TaskPlan
from archsearch.seeds import scalar_generator
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Trial, TrialResult

Asked = tuple[Trial, ...]
Answered = tuple[TrialResult, ...]
Step = Generator[Asked, Answered, StepOutcome]


def founders_step(plan: SearchPlan) -> Step:
    """Evaluates every founder on every allowed setting of every task (R2), or on a stated number of them.

    With a stated number all founders get the same settings, drawn once per task.
    """
    examined: list[Examined] = []
    wanted: list[tuple[Introduced, TaskPlan, Setting]] = []
    cells = tuple(Introduced(founder.graph.digest, founder.graph, founder.name) for founder in plan.founders)
    for task in plan.tasks:
        settings: Sequence[Setting] = task.space.all()
        if task.max_settings < len(settings):
            rng = scalar_generator(plan.root_seed, "baseline settings", task.name)
            settings = rng.sample(settings, task.max_settings)
        wanted += [(cell, task, setting) for cell in cells for setting in settings]
    trials = tuple(_trial(plan, cell, task, setting) for cell, task, setting in wanted)
    results = yield trials
    for trial, result in zip(trials, results, strict=True):
        examined.append(_examined(trial, result))
    return StepOutcome(0, "baseline", cells, COMPLETED, tuple(examined))


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


def begin_step(plan: SearchPlan, number: int, knowledge: Knowledge, in_flight: frozenset[str]) -> StartedStep:
    """Draws what step `number` will be about: a listed cell to re-evaluate (R4) or a new child (R5).

    Args:
        plan: The search's plan.
        number: The step's number, from 1.
        knowledge: The fold of the steps up to `number - lookahead`.
        in_flight: Digests that steps after those are about; they are neither proposed nor re-evaluated.
    """
    rng = scalar_generator(plan.root_seed, "step", number)
    if rng.random() < plan.reevaluate_probability:
        candidates = [
            digest
            for _, digest in knowledge.listed
            if digest not in in_flight and _has_fresh_settings(plan, knowledge.cells[digest])
        ]
        if candidates:
            digest = rng.choice(candidates)
            return StartedStep("reevaluate", digest, _reevaluate(plan, number, knowledge, rng, digest))
    child, dropped = _draw_child(plan, knowledge, in_flight, rng)
    if child is None:
        return StartedStep("propose", None, _propose_nothing(number, dropped))
    return StartedStep("propose", child.digest, _propose(plan, number, knowledge, rng, child, dropped))


def _reevaluate(plan: SearchPlan, number: int, knowledge: Knowledge, rng: random.Random, digest: str) -> Step:
    """R4: fresh settings for each task, drawn independently by R25."""
    record = knowledge.cells[digest]
    cell = Introduced(digest, knowledge.graphs[digest], record.name, record.parent, record.transformations)
    trials = tuple(
        _trial(plan, cell, task, setting)
        for task in plan.tasks
        for setting in _fresh_settings(plan, knowledge, rng, task, record)
    )
    results = yield trials
    examined = tuple(_examined(trial, result) for trial, result in zip(trials, results, strict=True))
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
    if screen and _best(record, screen) < plan.screen_accuracy:
        settings = _fresh_settings(plan, knowledge, rng, screen, record)
        record = yield from _examine(plan, cell, screen, settings, record, examined)
        if _best(record, screen) < plan.screen_accuracy:
            return outcome(screen.name)
    for task in plan.tasks:
        settings = _fresh_settings(plan, knowledge, rng, task, record)
        record = yield from _examine(plan, cell, task, settings, record, examined)
        if not _best(record, task) > plan.gate * knowledge.baseline[task.name]:
            return outcome(task.name)
    return outcome(COMPLETED)


def _examine(
    plan: SearchPlan,
    cell: Introduced,
    task: TaskPlan,
    settings: tuple[Setting, ...],
    record: CellRecord,
    examined: list[Examined],
) -> Generator[Asked, Answered, CellRecord]:
    """Asks for the trials of one stage, notes their results and returns the record that holds them."""
    if not settings:
        return record
    trials = tuple(_trial(plan, cell, task, setting) for setting in settings)
    results = yield trials
    entries = tuple(_examined(trial, result) for trial, result in zip(trials, results, strict=True))
    examined.extend(entries)
    return record.with_examined(entries)


def _draw_child(
    plan: SearchPlan, knowledge: Knowledge, in_flight: frozenset[str], rng: random.Random
) -> tuple[Introduced | None, tuple[tuple[str, str], ...]]:
    """Mutates random listed cells until a child is worth its trials, at most `plan.max_draws` times.

    A parent that has no child by the transformations allowed is not drawn again.
    """
    dropped: list[tuple[str, str]] = []
    parents = [digest for _, digest in knowledge.listed]
    for _ in range(plan.max_draws):
        if not parents:
            break
        parent = rng.choice(parents)
        try:
            child = mutate(knowledge.graphs[parent], plan.transformations, rng)
        except NoChildError:
            parents.remove(parent)
            dropped.append((parent, NO_CHILD))
            continue
        digest = child.graph.digest
        reason = _reason_to_drop(plan, knowledge, in_flight, digest, plan.bounds.violation(child.graph.structure))
        if reason is None:
            known = knowledge.cells.get(digest)
            if known:
                introduced = Introduced(digest, child.graph, known.name, known.parent, known.transformations)
            else:
                introduced = Introduced(digest, child.graph, "", parent, child.transformations)
            return introduced, tuple(dropped)
        dropped.append((digest, reason))
    return None, tuple(dropped)


def _reason_to_drop(
    plan: SearchPlan, knowledge: Knowledge, in_flight: frozenset[str], digest: str, violation: str | None
) -> str | None:
    if violation is not None:
        return violation
    if digest in in_flight:
        return IN_FLIGHT
    known = knowledge.cells.get(digest)
    if known is None:
        return None
    if plan.on_duplicate == "redraw":
        return KNOWN
    return None if _next_stage_has_fresh_settings(plan, knowledge, known) else EXHAUSTED


def _next_stage_has_fresh_settings(plan: SearchPlan, knowledge: Knowledge, record: CellRecord) -> bool:
    """Whether examining the cell again would run a trial before it falls."""
    screen = plan.screen
    if screen and _best(record, screen) < plan.screen_accuracy:
        return _num_fresh(screen, record) > 0
    for task in plan.tasks:
        if _num_fresh(task, record) > 0:
            return True
        if not _best(record, task) > plan.gate * knowledge.baseline[task.name]:
            return False
    return False


def _num_fresh(task: TaskPlan, record: CellRecord) -> int:
    return task.max_settings - len(record.history(task.name).tried)


def _has_fresh_settings(plan: SearchPlan, record: CellRecord) -> bool:
    return any(_num_fresh(task, record) > 0 for task in plan.tasks)


def _best(record: CellRecord, task: TaskPlan) -> float:
    """Returns the best quality, or one below every threshold where there is none."""
    best = record.history(task.name).best
    return -1.0 if best is None else best


def _fresh_settings(
    plan: SearchPlan, knowledge: Knowledge, rng: random.Random, task: TaskPlan, record: CellRecord
) -> tuple[Setting, ...]:
    parent = knowledge.cells[record.parent].history(task.name) if record.parent else None
    founders = [knowledge.cells[digest].history(task.name) for digest in knowledge.founders]
    if plan.screen is not None and task.name == plan.screen.name:
        parent, founders = None, []  # R6: one random setting
    return draw_fresh_settings(rng, task, record.history(task.name), parent, founders, plan.inheritance)


def _trial(plan: SearchPlan, cell: Introduced, task: TaskPlan, setting: Setting) -> Trial:
    return Trial(
        cell=cell.digest,
        graph=cell.graph,
        task=task.name,
        task_digest=task.digest,
        recipe=plan.recipe,
        setting=setting,
        replicate=0,
        max_steps=task.max_steps,
        root_seed=plan.root_seed,
    )


def _examined(trial: Trial, result: TrialResult) -> Examined:
    return Examined(trial.key, trial.cell, trial.task, trial.setting, result)


def check_baseline(plan: SearchPlan, knowledge: Knowledge, outcome: StepOutcome) -> None:
    """Checks that there is something to compare with.

    Args:
        plan: The search's plan.
        knowledge: The fold of the founders' step.
        outcome: That step.

    Raises:
        SearchStateError: The baseline has no positive quality on a task.
    """
    for task in plan.tasks:
        if knowledge.baseline.get(task.name, 0.0) > 0.0:
            continue
        digest = plan.baseline.graph.digest
        results = [entry.result for entry in outcome.examined if (entry.cell, entry.task) == (digest, task.name)]
        causes = Counter(f"{result.status} ({result.error})" if result.error else result.status for result in results)
        cause, times = causes.most_common(1)[0]
        raise SearchStateError(
            f"baseline '{plan.baseline.name}', task '{task.name}': expected an accuracy above 0 (or a value of another "
            f"metric) from at least one of {len(results)} settings, got none; {times} of them: {cause}. Every ratio "
            "would be meaningless. If training diverged or learned nothing, start a new run with other settings or "
            "more steps."
        )
