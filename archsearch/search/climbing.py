"""How any strategy asks for trials: settings climb its rungs, or the one rung of those that have none.

Source of successive halving: Jamieson & Talwalkar 2016, Non-stochastic Best Arm Identification and Hyperparameter
Optimization; arxiv.org/abs/1502.07943. Ours: a rung's trial is the same trial with a larger number of steps, and a
cell's quality counts what it reached at any rung.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

from archsearch.search.outcome import Examined, Introduced
from archsearch.search.plan import SearchPlan, TaskPlan
from archsearch.search.strategy import Rung
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Trial, TrialResult

Asked = tuple[Trial, ...]
Answered = tuple[TrialResult, ...]
RungGate = Callable[[Rung, tuple[Examined, ...]], bool]
"""Whether a cell falls after a rung, by all that was examined so far."""


@dataclass(frozen=True)
class Group:
    """Settings that compete with each other: those of one cell on one task."""

    cell: Introduced
    task: TaskPlan
    settings: tuple[Setting, ...]


def climb(
    plan: SearchPlan, groups: Sequence[Group], falls: RungGate = lambda _rung, _examined: False
) -> Generator[Asked, Answered, tuple[tuple[Examined, ...], bool]]:
    """Asks for the trials of one rung after the other; of each group only the best settings go on.

    Settings without a result do not go on, ties go by setting. Groups climb side by side.

    Args:
        plan: The search's plan.
        groups: What is trained; all at tasks that are examined alike, the screen or others.
        falls: Asked after each rung.

    Returns:
        All results in the order asked for, and whether the cell fell on the way.
    """
    sizes = [len(group.settings) for group in groups]
    examined: tuple[Examined, ...] = ()
    rungs = plan.rungs(groups[0].task)
    for number, rung in enumerate(rungs):
        trials = tuple(_trial(plan, group, setting, rung) for group in groups for setting in group.settings)
        if not trials:
            break
        results = yield trials
        entries = tuple(
            Examined(trial.key, trial.cell, trial.task, trial.setting, result, trial.max_steps)
            for trial, result in zip(trials, results, strict=True)
        )
        examined += entries
        if falls(rung, examined):
            return examined, True
        if number + 1 < len(rungs):
            ahead = rungs[number + 1]
            counts = [ahead.num_settings(size) for size in sizes]
            groups = [_survivors(group, entries, count) for group, count in zip(groups, counts, strict=True)]
    return examined, False


def _survivors(group: Group, entries: Sequence[Examined], count: int) -> Group:
    own = [entry for entry in entries if (entry.cell, entry.task) == (group.cell.digest, group.task.name)]
    counted = [(entry.result.quality, entry.setting) for entry in own if entry.result.quality is not None]
    ranked = sorted(counted, key=lambda pair: (-pair[0], pair[1]))
    return replace(group, settings=tuple(setting for _, setting in ranked[:count]))


def _trial(plan: SearchPlan, group: Group, setting: Setting, rung: Rung) -> Trial:
    return Trial(
        cell=group.cell.digest,
        graph=group.cell.graph,
        task=group.task.name,
        task_digest=group.task.digest,
        recipe=plan.recipe,
        setting=setting,
        replicate=0,
        max_steps=rung.max_steps(group.task.max_steps),
        root_seed=plan.root_seed,
    )
