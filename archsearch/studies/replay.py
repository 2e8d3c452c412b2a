"""Strategies against recorded results: whole searches in seconds, over many seeds, without training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from archsearch.search.evolution import Evolution
from archsearch.search.outcome import COMPLETED, StepOutcome
from archsearch.search.plan import SearchPlan
from archsearch.studies.answers import Answers, Source
from archsearch.studies.continued_steps import ContinuedSteps
from archsearch.trials.setting import Setting


@dataclass(frozen=True)
class TracePoint:
    """How far one search has come after a step.

    Attributes:
        step: The step's number.
        candidates: Cells proposed by then.
        trials: Trials by then; each rung of a setting is one.
        training_steps: Steps of these trials where each goes on from the rung before.
        steps_anew: Steps where each begins at its beginning.
        fitness: The best of all cells that completed: least ratio of quality to the yardstick, which is the same for
            all strategies. A strategy's own ratios would flatter one that treats the baseline badly.
        expected_fitness: What that cell's best settings are expected to give when trained again; None where nothing is
            known of another training of one of them. A strategy that trains more to the end has more luck to choose
            from; this takes it away.
    """

    step: int
    candidates: int
    trials: int
    training_steps: int
    steps_anew: int
    fitness: float
    expected_fitness: float | None


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


@dataclass(frozen=True)
class _Best:
    """A cell's best trial on a task, and what another training of it is expected to give."""

    quality: float
    setting: Setting
    max_steps: int
    expected: float | None

    @property
    def place(self) -> tuple[float, Setting, int]:
        """Orders them, the best first; ties by setting, as in `TaskHistory.ranked`, never by what is expected."""
        return -self.quality, self.setting, -self.max_steps


class _Account:
    """What a search has spent and found so far."""

    def __init__(self, plan: SearchPlan, answers: Answers) -> None:
        self._yardsticks = {task.name: answers.yardstick(task, plan.baseline.graph) for task in plan.tasks}
        self._expected: dict[str, float | None] = {}
        self._bests: dict[tuple[str, str], _Best] = {}  # by cell and task
        self._steps = ContinuedSteps()
        self._completed: set[str] = set()
        self._candidates = self._trials = self._training_steps = self._steps_anew = 0
        self._leader = ""

    def expect(self, key: str, quality: float | None) -> None:
        """Takes note of what a trial is expected to give."""
        self._expected[key] = quality

    def after(self, outcome: StepOutcome) -> TracePoint:
        """Adds a step."""
        for entry in outcome.examined:
            self._training_steps += self._steps.add(entry)
            self._steps_anew += entry.result.steps
            self._trials += 1
            quality, expected = entry.result.quality, self._expected.pop(entry.key)
            if quality is not None:
                own = _Best(quality, entry.setting, entry.max_steps, expected)
                known = self._bests.setdefault((entry.cell, entry.task), own)
                self._bests[entry.cell, entry.task] = min(known, own, key=lambda best: best.place)
        self._candidates += outcome.kind == "propose"
        if outcome.stage == COMPLETED:
            self._completed |= {cell.digest for cell in outcome.cells}
        touched = {cell.digest for cell in outcome.cells} & self._completed
        rivals = [self._leader, *sorted(touched)]
        self._leader = max(rivals, key=self._fitness_of)  # of equals the first
        found = (self._fitness_of(self._leader), self._expected_fitness_of(self._leader))
        return TracePoint(
            outcome.number, self._candidates, self._trials, self._training_steps, self._steps_anew, *found
        )

    def _fitness_of(self, digest: str) -> float:
        bests = {task: self._bests.get((digest, task)) for task in self._yardsticks}
        return min(self._ratio(task, best.quality if best else 0.0) for task, best in bests.items())

    def _expected_fitness_of(self, digest: str) -> float | None:
        ratios = []
        for task in self._yardsticks:
            best = self._bests.get((digest, task))
            expected = best.expected if best else 0.0
            if expected is None:
                return None
            ratios.append(self._ratio(task, expected))
        return min(ratios)

    def _ratio(self, task: str, quality: float) -> float:
        yardstick = self._yardsticks[task]
        return quality / yardstick if yardstick else 0.0
