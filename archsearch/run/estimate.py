"""What a search will cost, said before it starts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from archsearch.search.plan import SearchPlan, TaskPlan

EXPECTED_SHARE_PASSING = 0.5
"""Of the candidates, at each stage: a guess for the estimate only. The paper saw 1 in 10 pass memorization."""

_HERE = "on this machine"


@dataclass(frozen=True)
class CostEstimate:
    """Numbers of trials and the time they may take on this machine.

    Attributes:
        founder_trials: Trials of the baseline.
        most_trials: Trials if every candidate passed every gate and was re-evaluated as often as it could be.
        expected_trials: Trials if half of the candidates passed at each stage, re-evaluations included.
        seconds: Of the expected trials, with all workers busy.
        most_seconds: Of the most trials.
        place: Where that is what they take.
    """

    founder_trials: int
    most_trials: int
    expected_trials: int
    seconds: float
    most_seconds: float
    place: str = _HERE

    def __str__(self) -> str:
        return (
            f"This search will run about {self.expected_trials} trials ({self.founder_trials} for the founders, "
            f"{self.most_trials} at the most), about {_duration(self.seconds)} {self.place} "
            f"({_duration(self.most_seconds)} at the most)."
        )


def estimate_cost(plan: SearchPlan, trial_seconds: Mapping[str, float], workers: int | None) -> CostEstimate:
    """Returns the cost of a search whose trials all take what the baseline's do.

    Args:
        plan: The search.
        trial_seconds: Measured or estimated seconds of one trial, by task.
        workers: Trials at once; 0 counts as 1, and so does None, as many as a cluster has processors.
    """
    founders = sum(len(plan.founders) * plan.num_trials(task, task.max_settings) for task in plan.tasks)
    most, expected = _Sum(trial_seconds), _Sum(trial_seconds)
    reaching = 1.0
    for task in plan.all_tasks:
        at_stage = _climb(plan, task, min(task.num_settings, task.max_settings))
        most.add(task, at_stage, plan.num_candidates)
        expected.add(task, at_stage, plan.num_candidates * reaching)
        reaching *= EXPECTED_SHARE_PASSING
    chance = plan.reevaluate_probability if plan.strategy.reevaluates else 0.0
    reevaluations = plan.num_candidates * chance / max(1e-9, 1 - chance)
    for task in plan.tasks:
        left = max(0, task.max_settings - task.num_settings)
        again = _climb(plan, task, min(task.num_settings, left))
        rounds = math.ceil(left / task.num_settings)  # until a cell has had all settings
        expected.add(task, again, min(reevaluations, plan.num_candidates * reaching * rounds))
        if chance:
            most.add(task, _climb(plan, task, 1), plan.num_candidates * left)
        for total in (most, expected):
            total.add(task, _climb(plan, task, task.max_settings), len(plan.founders))
    at_once = max(1, workers or 1)
    return CostEstimate(
        founder_trials=founders,
        most_trials=round(most.trials),
        expected_trials=round(expected.trials),
        seconds=expected.seconds / at_once,
        most_seconds=most.seconds / at_once,
        place=_place(workers),
    )


def short_lookahead(lookahead: int, workers: int) -> str:
    """Returns what to say where workers will wait for each other, an empty text where they will not."""
    if workers <= 1 or lookahead >= 2 * workers:
        return ""
    return (
        f"archsearch: lookahead={lookahead} is less than twice the {workers} workers, some will stand idle. "
        f"A new run with lookahead={3 * workers} keeps them busy."
    )


def cost_of_beginning_again(plan: SearchPlan) -> float:
    """Returns how many times as many training steps the rungs take if each trains from its beginning.

    That is 1 without rungs, and up to rounding the same for any number of settings.
    """
    again = continued = 0.0
    for task in plan.tasks:
        before = 0
        for rung in plan.rungs(task):
            count, steps = rung.num_settings(task.num_settings), rung.max_steps(task.max_steps)
            again += count * steps
            continued += count * (steps - before)
            before = steps
    return again / continued


@dataclass(frozen=True)
class StudyCost:
    """What trials that are all known beforehand may take on this machine.

    Attributes:
        name: What they are for.
        num_trials: All of them.
        num_recorded: Those that are in the journal already.
        seconds: Of the rest, with all workers busy.
        place: Where that is what they take.
    """

    name: str
    num_trials: int
    num_recorded: int
    seconds: float
    place: str = _HERE

    def __str__(self) -> str:
        kept = f", {self.num_recorded} of which are kept from before" if self.num_recorded else ""
        return f"This {self.name} takes {self.num_trials} trials{kept}, about {_duration(self.seconds)} {self.place}."


def estimate_study(
    name: str,
    num_trials: Mapping[str, int],
    num_recorded: Mapping[str, int],
    trial_seconds: Mapping[str, float],
    workers: int | None,
) -> StudyCost:
    """Returns the cost of a study whose trials all take what the baseline's do.

    Args:
        name: What the trials are for.
        num_trials: By task.
        num_recorded: Those of them that need not be computed again, by task.
        trial_seconds: Measured or estimated seconds of one trial, by task.
        workers: Trials at once; 0 and None count as 1, as for `estimate_cost`.
    """
    left = {task: count - num_recorded.get(task, 0) for task, count in num_trials.items()}
    return StudyCost(
        name,
        sum(num_trials.values()),
        sum(num_recorded.get(task, 0) for task in num_trials),
        sum(count * trial_seconds[task] for task, count in left.items()) / max(1, workers or 1),
        _place(workers),
    )


@dataclass(frozen=True)
class _Climb:
    """What so many settings of one cell on one task cost: trials, and the time of so many whole ones."""

    trials: int
    whole: float


def _climb(plan: SearchPlan, task: TaskPlan, num_settings: int) -> _Climb:
    """Returns the cost of all rungs, each trial trained from its beginning: what continuing saves is not counted."""
    if not num_settings:
        return _Climb(0, 0.0)
    counts = [(rung.num_settings(num_settings), rung.max_steps(task.max_steps)) for rung in plan.rungs(task)]
    return _Climb(plan.num_trials(task, num_settings), sum(count * steps for count, steps in counts) / task.max_steps)


class _Sum:
    """Trials and their seconds."""

    def __init__(self, trial_seconds: Mapping[str, float]) -> None:
        self.trials = self.seconds = 0.0
        self._trial_seconds = trial_seconds

    def add(self, task: TaskPlan, climb: _Climb, times: float) -> None:
        self.trials += times * climb.trials
        self.seconds += times * climb.whole * self._trial_seconds[task.name]


def _place(workers: int | None) -> str:
    return _HERE if workers is not None else "of one processor of the cluster, less by their number"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.1f} days"
