"""What a replayed search is told instead of training: the interface, and recorded curves behind it.

What was not recorded is answered by a rule, never made up:

- Only recorded cells are proposed: a child is drawn among the recorded children of its parent, or, where no lineage is
  recorded, among all other cells.
- A setting that was not recorded stands for one that was. Which one is drawn once for each seed, task and setting, so
  that all cells see the same settings; if the cell lacks it, another of its own is drawn.
- Of several replicates one is drawn for each seed, cell, task and setting.
- A cell without a curve on a task has no accuracy there, so that it falls.
- Beyond its end a curve stays as it is; before its first validation it counts as that.
"""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

from archsearch.graph.cell_graph import CellGraph
from archsearch.mutation.mutate import Child, NoChildError
from archsearch.search.plan import TaskPlan
from archsearch.search.strategy import Mutation
from archsearch.seeds import derive
from archsearch.studies.recorded_curves import Curve, RecordedCurves
from archsearch.trials.trial import Trial, TrialResult

T = TypeVar("T")


class Answers(Protocol):
    """Results without training, for one seed."""

    @property
    def mutation(self) -> Mutation | None:
        """Draws the children that can be answered for; None if all can."""

    def answer(self, trial: Trial) -> TrialResult:
        """Returns the result of a trial; equal trials have equal results."""

    def expected(self, trial: Trial) -> float | None:
        """Returns what another training of the trial is expected to give; None where nothing is known of another."""

    def yardstick(self, task: TaskPlan, baseline: CellGraph) -> float:
        """Returns the quality that fitness is measured with: the baseline's best, whatever a strategy finds of it."""


class Source(Protocol):
    """Where answers come from."""

    @property
    def lengths(self) -> Mapping[str, int]:
        """The tasks, with the steps of a whole trial."""

    def for_seed(self, seed: int) -> Answers:
        """Returns the answers of one replay."""


@dataclass(frozen=True)
class RecordedSource:
    """Recorded curves, drawn anew for each seed."""

    recorded: RecordedCurves

    @property
    def lengths(self) -> Mapping[str, int]:
        """The most steps recorded on each task."""
        return self.recorded.lengths

    def for_seed(self, seed: int) -> Answers:
        """Returns the curves with the draws of a seed."""
        return _RecordedAnswers(self.recorded, seed)


@dataclass(frozen=True)
class _RecordedAnswers:
    recorded: RecordedCurves
    seed: int

    @property
    def mutation(self) -> Mutation:
        """Draws among recorded cells."""
        return self._child

    def answer(self, trial: Trial) -> TrialResult:
        """Looks the curve up, by the rules above."""
        curves = self._curves(trial)
        if not curves:
            return TrialResult("failed", None, error="not recorded")
        quality, steps = self._replicate(curves, trial).until(trial.max_steps)
        return TrialResult("ok", quality, steps=steps)  # as an accuracy, whose quality is itself

    def expected(self, trial: Trial) -> float | None:
        """Returns the mean over the other replicates: the one that was drawn may have been chosen for its luck."""
        curves = self._curves(trial)
        drawn = self._replicate(curves, trial) if curves else None
        qualities = [curve.until(trial.max_steps)[0] for curve in curves if curve is not drawn]
        return sum(qualities) / len(qualities) if qualities else None

    def yardstick(self, task: TaskPlan, baseline: CellGraph) -> float:
        """Returns the baseline's best of all curves."""
        settings = self.recorded.settings.get((baseline.digest, task.name), ())
        curves = [curve for s in settings for curve in self.recorded.curves[baseline.digest, task.name, s]]
        return max((curve.until(task.max_steps)[0] for curve in curves), default=0.0)

    def _replicate(self, curves: Sequence[Curve], trial: Trial) -> Curve:
        return self._drawn(curves, "replicate", trial.cell, trial.task, trial.setting.key)

    def _curves(self, trial: Trial) -> tuple[Curve, ...]:
        own = self.recorded.settings.get((trial.cell, trial.task))
        if own is None:
            return ()
        setting = trial.setting
        if setting not in own:
            setting = self._drawn(self.recorded.settings_of_tasks[trial.task], trial.task, setting.key)
        if setting not in own:
            setting = self._drawn(own, trial.cell, trial.task, trial.setting.key)
        return self.recorded.curves[trial.cell, trial.task, setting]

    @cached_property
    def _children(self) -> Mapping[str, Sequence[str]]:
        children: dict[str, list[str]] = defaultdict(list)
        for child, parent in self.recorded.parents.items():
            children[parent].append(child)
        return {parent: sorted(found) for parent, found in children.items()}

    def _child(self, parent: CellGraph, rng: random.Random) -> Child:
        if self.recorded.parents:
            children = self._children.get(parent.digest, ())
        else:
            children = sorted(set(self.recorded.graphs) - {parent.digest})
        if not children:
            raise NoChildError(f"cell {parent.digest}: expected recorded children, found none.")
        return Child(self.recorded.graphs[rng.choice(children)], ("recorded",))

    def _drawn(self, values: Sequence[T], *names: str) -> T:
        return values[derive(self.seed, "replay", *names) % len(values)]
