"""Strategies against recorded results: whole searches in seconds, over many seeds, without training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from archsearch.search.evolution import Evolution
from archsearch.search.outcome import COMPLETED, StepOutcome
from archsearch.search.plan import SearchPlan
from archsearch.studies.answers import Answers, Source
from archsearch.studies.continued_steps import ContinuedSteps


@dataclass(frozen=True)
class TracePoint:
    """How far one search has come after a step.

    Attributes:
        step: The step's number.
        candidates: Cells proposed by then.
        trials: Trials by then; each rung of a setting is one.
        training_steps: Steps of these trials where each goes on from the rung before.
        steps_anew: Steps where each begins at its beginning.
        fitness: The best of all cells that completed: least ratio of accuracy to the yardstick, which is the same for
            all strategies. A strategy's own ratios would flatter one that treats the baseline badly.
        expected_fitness: What that cell's best settings are expected to give when trained again. A strategy that
            trains more to the end has more luck to choose from; this takes it away.
    """

    step: int
    candidates: int
    trials: int
    training_steps: int
    steps_anew: int
    fitness: float
    expected_fitness: float


def replay(plan: SearchPlan, source: Source, seeds: Sequence[int]) -> Mapping[int, tuple[TracePoint, ...]]:
    """Runs a search once for each seed, which decides its draws and the source's.

    Raises:
        SearchStateError: The baseline has no result on a task.
    """
    return {seed: _replay_once(replace(plan, root_seed=seed), source.for_seed(seed)) for seed in seeds}


def _replay_once(plan: SearchPlan, answers: Answers) -> tuple[TracePoint, ...]:
    evolution = Evolution(plan, answers.mutation)
    account = _Account(plan, answers)
    trace = []
    while not evolution.finished:
        for _, trial in evolution.ask():
            account.expect(trial.key, answers.expected(trial))
            evolution.tell(trial.key, answers.answer(trial))
        trace += [account.after(outcome) for outcome in evolution.take_consumed()]
    return tuple(trace)


class _Account:
    """What a search has spent and found so far."""

    def __init__(self, plan: SearchPlan, answers: Answers) -> None:
        self._yardsticks = {task.name: answers.yardstick(task, plan.baseline.graph) for task in plan.tasks}
        self._expected: dict[str, float | None] = {}
        self._bests: dict[tuple[str, str], tuple[float, float]] = {}  # as found, and as expected of another training
        self._steps = ContinuedSteps()
        self._completed: set[str] = set()
        self._candidates = self._trials = self._training_steps = self._steps_anew = 0
        self._fitness = (0.0, 0.0)

    def expect(self, key: str, accuracy: float | None) -> None:
        """Takes note of what a trial is expected to give."""
        self._expected[key] = accuracy

    def after(self, outcome: StepOutcome) -> TracePoint:
        """Adds a step."""
        for entry in outcome.examined:
            self._training_steps += self._steps.add(entry)
            self._steps_anew += entry.result.steps
            self._trials += 1
            quality, expected = entry.result.quality, self._expected.pop(entry.key)
            if quality is not None and expected is not None:
                pair = (entry.cell, entry.task)
                self._bests[pair] = max((quality, expected), self._bests.get(pair, (0.0, 0.0)))
        self._candidates += outcome.kind == "propose"
        if outcome.stage == COMPLETED:
            self._completed |= {cell.digest for cell in outcome.cells}
        touched = {cell.digest for cell in outcome.cells} & self._completed
        self._fitness = max([self._fitness, *(self._fitness_of(digest) for digest in touched)])
        return TracePoint(
            outcome.number, self._candidates, self._trials, self._training_steps, self._steps_anew, *self._fitness
        )

    def _fitness_of(self, digest: str) -> tuple[float, float]:
        ratios = []
        for task, yardstick in self._yardsticks.items():
            found, expected = self._bests.get((digest, task), (0.0, 0.0))
            ratios.append((found / yardstick, expected / yardstick) if yardstick else (0.0, 0.0))
        return min(found for found, _ in ratios), min(expected for _, expected in ratios)
