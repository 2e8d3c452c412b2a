"""The search itself: a pure function of plan and results, driven by ask and tell."""

from collections import deque
from dataclasses import dataclass, field

from archsearch.errors import SearchStateError
from archsearch.search.knowledge import Knowledge
from archsearch.search.outcome import StepOutcome
from archsearch.search.plan import SearchPlan
from archsearch.search.steps import Step, begin_step, check_baseline, founders_step
from archsearch.search.strategy import Mutation
from archsearch.trials.trial import Trial, TrialResult


@dataclass
class _Running:
    """A step in flight: its generator, the trials it waits for, and what has come in of them."""

    number: int
    step: Step
    asked: tuple[Trial, ...] | None = None
    results: dict[str, TrialResult] = field(default_factory=dict)
    outcome: StepOutcome | None = None

    @property
    def has_all_results(self) -> bool:
        """Whether the generator can go on; one that has not begun can."""
        return self.asked is None or len(self.results) == len(self.asked)


class Evolution:
    """A search as ask and tell: the one of Jozefowicz 2015, sec. 3.1, or what another strategy makes of it.

    Step `k` sees the world as it stood after step `k - lookahead`. `ask` gives the trials that the steps in flight
    want, `tell` hands in a result in any order, `take_consumed` gives the steps that ended, in their order. The same
    plan and the same results give the same steps, however many workers there are and whatever they finish first.

    Args:
        plan: What to do.
        mutation: Draws children instead of the plan's transformations; for a replay of recorded cells.
    """

    def __init__(self, plan: SearchPlan, mutation: Mutation | None = None) -> None:
        self._plan = plan
        self._mutation = mutation
        names = tuple(task.name for task in plan.tasks)
        self._knowledge = Knowledge(names, plan.list_size, plan.strategy.population_size, plan.penalty)
        self._folds: deque[Knowledge] = deque(maxlen=plan.lookahead)
        self._wanted: list[tuple[int, Trial]] = []
        self._waiting: dict[str, _Running] = {}
        self._running: deque[_Running] = deque()
        self._recent: deque[str | None] = deque(maxlen=plan.lookahead - 1)
        self._consumed: list[StepOutcome] = []
        self._num_started = 0
        self._num_proposed = 0
        self._start(0, founders_step(plan))
        self._settle()

    @property
    def knowledge(self) -> Knowledge:
        """The fold of all steps consumed."""
        return self._knowledge

    @property
    def finished(self) -> bool:
        """Whether every step has been consumed."""
        return not self._running

    def ask(self) -> tuple[tuple[int, Trial], ...]:
        """Returns the trials wanted since the last call, each with the number of its step.

        Trials of earlier steps are worth computing first: steps are consumed in order.
        """
        wanted, self._wanted = tuple(self._wanted), []
        return wanted

    def tell(self, key: str, result: TrialResult) -> None:
        """Hands in the result of a trial that was asked for.

        Raises:
            SearchStateError: No step waits for the key.
            SearchStateError: The founders are done and the baseline has no accuracy on a task.
        """
        running = self._waiting.pop(key, None)
        if running is None:
            raise SearchStateError(
                f"trial {key}: no step waits for it. A result is handed in once, after it was asked for."
            )
        running.results[key] = result
        if running.has_all_results:
            self._advance(running)
            self._settle()

    def take_consumed(self) -> tuple[StepOutcome, ...]:
        """Returns the steps consumed since the last call, in order."""
        consumed, self._consumed = tuple(self._consumed), []
        return consumed

    def _start(self, number: int, step: Step) -> None:
        running = _Running(number, step)
        self._running.append(running)
        self._advance(running)

    def _advance(self, running: _Running) -> None:
        """Runs a step's generator until it wants trials that are not there, or ends."""
        while running.has_all_results:
            try:
                if running.asked is None:
                    running.asked = next(running.step)
                else:
                    running.asked = running.step.send(tuple(running.results[trial.key] for trial in running.asked))
            except StopIteration as stop:
                running.outcome = stop.value
                return
            running.results = {}
            for trial in running.asked:
                self._waiting[trial.key] = running
            self._wanted.extend((running.number, trial) for trial in running.asked)

    def _settle(self) -> None:
        """Consumes one step, starts one, and looks again, until neither can be done."""
        while True:
            consumed = self._consume_one()
            started = self._start_one()
            if not consumed and not started:
                return

    def _consume_one(self) -> bool:
        if not self._running or self._running[0].outcome is None:
            return False
        outcome = self._running.popleft().outcome
        assert outcome is not None  # checked above
        if outcome.number == 0:
            check_baseline(self._plan, outcome)
        self._knowledge = self._knowledge.fold(outcome)
        if outcome.number == 0:
            self._folds.extend([self._knowledge] * self._plan.lookahead)
        else:
            self._folds.append(self._knowledge)
        self._consumed.append(outcome)
        return True

    def _start_one(self) -> bool:
        """Starts the next step if fewer than `lookahead` are in flight and candidates are left.

        Step `k` sees the fold of the steps up to `k - lookahead`. Of the folds kept, the last is that of the latest
        step consumed, so the one wanted lies as far from the first as there are steps in flight.
        """
        if not self._folds or len(self._running) >= self._plan.lookahead:
            return False
        if self._num_proposed >= self._plan.num_candidates:
            return False
        self._num_started += 1
        in_flight = frozenset(digest for digest in self._recent if digest is not None)
        started = begin_step(self._plan, self._num_started, self._folds[len(self._running)], in_flight, self._mutation)
        if started.kind == "propose":
            self._num_proposed += 1
        self._recent.append(started.digest)
        self._start(self._num_started, started.step)
        return True
