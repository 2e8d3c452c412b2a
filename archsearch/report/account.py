"""What became of the candidates and of the trials: the funnel, each transformation's success, cost and failures."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from archsearch.run.reading import Run
from archsearch.search.outcome import COMPLETED, EXHAUSTED, IN_FLIGHT, KNOWN, NOTHING_NEW, StepOutcome
from archsearch.trials.trial import TrialResult

MAX_ERRORS = 12
_NUMBERS = re.compile(r"\d+(\.\d+)?(e[+-]?\d+)?|\b(nan|inf)\b")


@dataclass(frozen=True)
class Level:
    """What is left of the candidates after a stage."""

    label: str
    count: int
    share: float


@dataclass(frozen=True)
class Success:
    """How the candidates fared that a transformation had a part in.

    Attributes:
        name: The transformation.
        proposed: Candidates.
        screened: Of them, those that came past the screen.
        passed: Those that passed every gate.
        better: Those that came out better than their parent is.
        listed: Those that are on the leaderboard now.
    """

    name: str
    proposed: int
    screened: int
    passed: int
    better: int
    listed: int


@dataclass(frozen=True)
class TaskCost:
    """What the trials on a task took."""

    task: str
    trials: int
    seconds: float
    failed: int


@dataclass(frozen=True)
class Failure:
    """A kind of failure, one of its causes, and how often that was."""

    status: str
    error: str
    count: int


def stages(run: Run) -> list[str]:
    """Returns the tasks in the order in which candidates meet them, the screen first."""
    tasks = dict.fromkeys(task for task, _ in _results(run))
    return [*(task for task in tasks if task not in run.tasks), *run.tasks]


def funnel(run: Run) -> list[Level]:
    """Returns how many candidates were left after each stage."""
    proposed = [outcome for outcome in run.outcomes if outcome.kind == "propose"]
    fallen = Counter(outcome.stage for outcome in proposed)
    left = len(proposed) - fallen[NOTHING_NEW]
    counts = [("proposed", len(proposed)), ("a new cell was found", left)]
    if not fallen[NOTHING_NEW]:
        counts.pop()
    for stage in stages(run):
        left -= fallen[stage]
        counts.append((f"passed {stage}", left))
    listed = sum(digest not in run.knowledge.founders for _, digest in run.knowledge.listed)
    counts.append(("on the leaderboard now", listed))
    return [Level(label, count, count / max(1, len(proposed))) for label, count in counts]


def successes(run: Run) -> list[Success]:
    """Returns each transformation's success, the most used first; a candidate counts for each that made it."""
    by_name: dict[str, list[StepOutcome]] = {}
    for outcome in run.outcomes:
        if outcome.kind == "propose" and outcome.cells:
            for name in dict.fromkeys(outcome.cells[0].transformations):
                by_name.setdefault(name, []).append(outcome)
    screens = {stage for stage in stages(run) if stage not in run.tasks}
    listed = {digest for _, digest in run.knowledge.listed}
    found = [
        Success(
            name,
            len(outcomes),
            sum(outcome.stage not in screens for outcome in outcomes),
            sum(outcome.stage == COMPLETED for outcome in outcomes),
            sum(_is_better(run, outcome) for outcome in outcomes),
            sum(outcome.cells[0].digest in listed for outcome in outcomes),
        )
        for name, outcomes in by_name.items()
    ]
    return sorted(found, key=lambda success: (-success.proposed, success.name))


def _is_better(run: Run, outcome: StepOutcome) -> bool:
    cells, child = run.knowledge.cells, outcome.cells[0]
    if outcome.stage != COMPLETED or child.parent not in cells:
        return False
    own, parents = (run.knowledge.fitness(cells[digest]) for digest in (child.digest, child.parent))
    return own is not None and parents is not None and own > parents


def task_costs(run: Run) -> list[TaskCost]:
    """Returns what the trials on each task took."""
    costs, found = [], list(_results(run))
    for task in stages(run):
        results = [result for name, result in found if name == task]
        failed = sum(result.status != "ok" for result in results)
        costs.append(TaskCost(task, len(results), sum(result.seconds for result in results), failed))
    return costs


def failures(run: Run) -> list[Failure]:
    """Returns the commonest failures; errors whose first lines differ in numbers alone are one, told by the first."""
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    for _, result in _results(run):
        if result.status != "ok":
            error = next(iter(result.error.splitlines()), "")
            kind = result.status, _NUMBERS.sub("#", error)
            counts[kind] += 1
            examples.setdefault(kind, error)
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [Failure(kind[0], examples[kind], count) for kind, count in ranked[:MAX_ERRORS]]


def _results(run: Run) -> Iterator[tuple[str, TrialResult]]:
    """Yields task and result of the consumed trials; of all there are if the founders never came to an end."""
    if not run.outcomes:
        yield from ((trial.task, trial.result) for trial in run.journaled_trials)
    for outcome in run.outcomes:
        yield from ((entry.task, entry.result) for entry in outcome.examined)


def num_duplicates(run: Run) -> int:
    """Returns how many children were drawn that the search knew already."""
    return sum(reason in {KNOWN, IN_FLIGHT, EXHAUSTED} for outcome in run.outcomes for _, reason in outcome.dropped)


def environments(run: Run) -> list[tuple[str, int]]:
    """Returns on what the trials ran, and how many of them."""
    counts = Counter(_one_line(trial.result.environment) for trial in run.journaled_trials)
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _one_line(environment: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in environment.items()) or "not recorded"
