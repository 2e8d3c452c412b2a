"""Searches without training: `from shared_simulation import …`. Accuracies are a pure function of the trial."""

import hashlib
import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass, field

from archsearch.graph.catalog import zoo_cell
from archsearch.mutation.bounds import Bounds
from archsearch.mutation.combine_ancestors import CombineAncestors
from archsearch.mutation.insert_activation import InsertActivation
from archsearch.mutation.remove_node import RemoveNode
from archsearch.mutation.replace_by_ancestor import ReplaceByAncestor
from archsearch.mutation.swap_activation import SwapActivation
from archsearch.mutation.swap_elementwise import SwapElementwise
from archsearch.search.evolution import Evolution
from archsearch.search.outcome import StepOutcome
from archsearch.search.plan import Founder, SearchPlan, TaskPlan
from archsearch.trials.setting import SettingSpace
from archsearch.trials.trial import Recipe, Trial, TrialResult

SPACE = SettingSpace((0.7, 1.0, 1.4), (0.2, 0.5, 1.0), (1.0, 5.0), (1, 2), (1000,))
"""36 settings."""

TRANSFORMATIONS = (
    SwapActivation(),
    SwapElementwise(),
    InsertActivation(),
    RemoveNode(),
    ReplaceByAncestor(),
    CombineAncestors(),
)

Accuracy = Callable[[Trial], float | None]


def make_plan(**changes: object) -> SearchPlan:
    """Returns a small search: two tasks, five fresh settings a stage, the whole grid of 36 for the founders."""
    values: dict[str, object] = {
        "root_seed": 1,
        "recipe": Recipe(),
        "founders": tuple(Founder(name, zoo_cell(name).canonical()) for name in ("gru", "lstm")),
        "screen": TaskPlan("memorization", "d0", SPACE, max_steps=100, num_settings=1),
        "tasks": (
            TaskPlan("first", "d1", SPACE, max_steps=100, num_settings=5),
            TaskPlan("second", "d2", SPACE, max_steps=100, num_settings=5),
        ),
        "num_candidates": 40,
        "transformations": TRANSFORMATIONS,
        "bounds": Bounds(max_nodes=60, max_parameters=500_000, max_multiply_adds=500_000),
        "lookahead": 4,
    }
    return SearchPlan(**{**values, **changes})  # type: ignore[arg-type]


def make_small_plan(**changes: object) -> SearchPlan:
    """Returns a search of about a hundred trials: one task, four candidates that do not know of each other."""
    tasks = make_plan().tasks[:1]
    return make_plan(**{"tasks": tasks, "num_candidates": 4, "reevaluate_probability": 0.0, **changes})


def uniform(*names: object) -> float:
    """Returns a number in 0..1 that depends on the names alone."""
    return int.from_bytes(hashlib.sha256(repr(names).encode()).digest()[:6], "big") / 2**48


def drawn_accuracy(trial: Trial) -> float | None:
    """Gives each cell a level of its own on each task, some noise by setting, and now and then a failure."""
    if uniform("fails", trial.key) < 0.05:
        return None
    if trial.task == "memorization":
        return 0.9 + 0.12 * uniform("screen", trial.cell, trial.setting.key)
    return 0.25 + 0.3 * uniform("level", trial.cell, trial.task) + 0.1 * uniform("noise", trial.key)


@dataclass
class Simulated:
    """What a simulated search did."""

    evolution: Evolution
    outcomes: list[StepOutcome] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    results: dict[str, TrialResult] = field(default_factory=dict)

    @property
    def records(self) -> list[dict[str, object]]:
        """The decisions as they go into the journal."""
        return [outcome.to_record() for outcome in self.outcomes]


def answer(trial: Trial, accuracy: Accuracy = drawn_accuracy) -> TrialResult:
    """Returns the result that the accuracy stands for."""
    value = accuracy(trial)
    return TrialResult("ok", value) if value is not None else TrialResult("diverged", None)


def simulate(
    plan: SearchPlan, accuracy: Accuracy = drawn_accuracy, order: random.Random | None = None, at_once: int = 1
) -> Simulated:
    """Runs a search to its end.

    Args:
        plan: The search.
        accuracy: Of a trial; None for a diverged one.
        order: Draws which of the trials in flight ends next; None for the oldest.
        at_once: Trials in flight.
    """
    simulated = Simulated(Evolution(plan))
    evolution = simulated.evolution
    waiting: list[Trial] = []
    while not evolution.finished:
        waiting += [trial for _, trial in evolution.ask()]
        simulated.outcomes += evolution.take_consumed()
        if evolution.finished:
            break
        index = order.randrange(min(at_once, len(waiting))) if order else 0
        trial = waiting.pop(index)
        result = answer(trial, accuracy)
        assert trial.key not in simulated.results, "a trial was asked for twice"
        simulated.trials.append(trial)
        simulated.results[trial.key] = result
        evolution.tell(trial.key, result)
    simulated.outcomes += evolution.take_consumed()
    return simulated


class SimulatedEvaluator:
    """Answers at once; counts the trials it was asked for, and can be interrupted after some of them."""

    def __init__(self, interrupt_after: int | None = None) -> None:
        self.keys: list[str] = []
        self._interrupt_after = interrupt_after

    def evaluate(self, trial: Trial) -> TrialResult:
        """Returns the drawn accuracy."""
        if self._interrupt_after is not None and len(self.keys) >= self._interrupt_after:
            raise KeyboardInterrupt
        self.keys.append(trial.key)
        return answer(trial)


class KillingEvaluator(SimulatedEvaluator):
    """Ends its own process when it is to train a found cell."""

    def evaluate(self, trial: Trial) -> TrialResult:
        """Returns the drawn accuracy of a founder."""
        if trial.task == "memorization":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().evaluate(trial)


class SilentObserver:
    """Hears everything and says nothing."""

    def trial_answered(self, trial: Trial, result: TrialResult, *, recorded: bool) -> None:
        """Does nothing."""

    def step_consumed(self, outcome: StepOutcome, evolution: Evolution) -> None:
        """Does nothing."""

    def refresh(self, num_in_flight: int, num_waiting: int) -> None:
        """Does nothing."""
