"""Learning curves out of a model, so that strategies can be compared on any cell, any setting and many seeds.

    accuracy(t) = floor + (top - floor) * t / (t + tau)

`top` is a level plus normal deviates of the cell, the setting, both together and the seed; `log tau` likewise. A
cell's deviate is a sum over its local patterns (a node's primitive with those of its operands), so that children
resemble their parents. All cells' deviates have one variance, such that between the ten cells of the measurements,
which resemble each other, the standard deviation is the measured one. A `top` below the floor is one that never rises.
The numbers are those that `benchmarks/calibration_tables.py` fitted to real curves; see
`docs/calibration.md`. What no model of this kind has: cells that fail, and curves with plateaus.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

from archsearch.graph.catalog import zoo_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.structure import Structure
from archsearch.search.plan import TaskPlan
from archsearch.search.strategy import Mutation
from archsearch.seeds import derive
from archsearch.studies.answers import Answers
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Trial, TrialResult


@dataclass(frozen=True)
class SyntheticTask:
    """How curves on one task spread; each `…_spread` is a standard deviation.

    Attributes:
        max_steps: Of a whole trial.
        floor: Accuracy at the beginning.
        top: Accuracy that the baseline tends to with the settings' mean.
        cell_spread: Of `top` between the cells of `FITTED`.
        setting_spread: Between settings.
        pair_spread: Of what a cell and a setting have together.
        seed_spread: Between trainings that differ in nothing but the seed.
        tau: Steps to half of the way, the median.
        tau_spread: Of log tau between settings.
        tau_pair_spread: Of log tau, of what a cell and a setting have together.
    """

    max_steps: int
    floor: float
    top: float
    cell_spread: float
    setting_spread: float
    pair_spread: float
    seed_spread: float
    tau: float
    tau_spread: float
    tau_pair_spread: float


FITTED = ("gru", "tanh", "lstm", "lstm_f", "lstm_i", "lstm_o", "lstm_b", "mut1", "mut2", "mut3")
"""The cells whose curves were measured."""

TASKS = {  # as fitted to arithmetic of up to 3 digits, XML of 4 letters and words
    "arithmetic": SyntheticTask(2_000, 0.270, 0.529, 0.061, 0.029, 0.075, 0.020, 351.0, 0.00, 1.07),
    "xml": SyntheticTask(2_000, 0.356, 0.679, 0.023, 0.000, 0.061, 0.028, 94.0, 0.65, 0.81),
    "words": SyntheticTask(1_000, 0.092, 0.346, 0.039, 0.032, 0.053, 0.012, 120.0, 0.15, 1.01),
}


@dataclass(frozen=True)
class SyntheticSource:
    """Curves of the model, on some tasks."""

    tasks: Mapping[str, SyntheticTask]

    @property
    def lengths(self) -> Mapping[str, int]:
        """The steps of a whole trial on each task."""
        return {name: task.max_steps for name, task in self.tasks.items()}

    def for_seed(self, seed: int) -> Answers:
        """Returns the model with the deviates of a seed."""
        return _SyntheticAnswers(self.tasks, seed)


@dataclass(frozen=True)
class _SyntheticAnswers:
    tasks: Mapping[str, SyntheticTask]
    seed: int

    @property
    def mutation(self) -> Mutation | None:
        """Returns nothing: every cell can be answered for."""
        return None

    def answer(self, trial: Trial) -> TrialResult:
        """Evaluates the model at the end of the trial."""
        top, tau = self._top_and_tau(trial.task, trial.graph, trial.cell, trial.setting)
        top += self.tasks[trial.task].seed_spread * self._deviate("seed", trial.task, trial.cell, trial.setting.key)
        return TrialResult("ok", self._accuracy(trial.task, top, tau, trial.max_steps), steps=trial.max_steps)

    def expected(self, trial: Trial) -> float | None:
        """Evaluates the model without the seed's part."""
        top, tau = self._top_and_tau(trial.task, trial.graph, trial.cell, trial.setting)
        return self._accuracy(trial.task, top, tau, trial.max_steps)

    def yardstick(self, task: TaskPlan, baseline: CellGraph) -> float:
        """Returns the baseline's best over all settings of the task, without the seed's part."""
        pairs = (self._top_and_tau(task.name, baseline, baseline.digest, setting) for setting in task.space.all())
        return max(self._accuracy(task.name, top, tau, task.max_steps) for top, tau in pairs)

    def _accuracy(self, task: str, top: float, tau: float, steps: int) -> float:
        floor = self.tasks[task].floor
        return min(floor + max(top - floor, 0.0) * steps / (steps + tau), 1.0)

    def _top_and_tau(self, name: str, graph: CellGraph, digest: str, setting: Setting) -> tuple[float, float]:
        task = self.tasks[name]
        top = task.top + task.cell_spread * self._level(name, graph.structure)
        top += task.setting_spread * self._deviate("setting", name, setting.key)
        top += task.pair_spread * self._deviate("pair", name, digest, setting.key)
        spread = task.tau_spread * self._deviate("tau", name, setting.key)
        spread += task.tau_pair_spread * self._deviate("tau pair", name, digest, setting.key)
        return top, task.tau * math.exp(spread)

    def _level(self, task: str, structure: Structure) -> float:
        """Returns a cell's deviate: of standard deviation 1 between the fitted cells, over seeds the same for all."""
        weights = _weights(structure)
        return sum(w * self._deviate("pattern", task, pattern) for pattern, w in weights.items()) / _fitted_spread()

    def _deviate(self, *names: str) -> float:
        """Returns a standard normal number that depends on the seed and the names alone."""
        return NormalDist().inv_cdf((derive(self.seed, "synthetic", *names) + 0.5) / 2**63)


def _weights(structure: Structure) -> Mapping[str, float]:
    """Returns the patterns of a cell with what each weighs; the squares add up to 1."""
    counts = Counter(_pattern(structure, name) for name in structure.nodes)
    length = math.sqrt(sum(count**2 for count in counts.values()))
    return {pattern: count / length for pattern, count in sorted(counts.items())}


@cache
def _fitted_spread() -> float:
    """Returns the standard deviation between the fitted cells of weighted sums: less than 1, as they share patterns."""
    cells = [_weights(zoo_cell(name).canonical().structure) for name in FITTED]
    patterns = sorted({pattern for weights in cells for pattern in weights})
    means = [sum(weights.get(pattern, 0.0) for weights in cells) / len(cells) for pattern in patterns]
    return math.sqrt((1 - sum(mean**2 for mean in means)) * len(cells) / (len(cells) - 1))


def _pattern(structure: Structure, name: str) -> str:
    node = structure.nodes[name]
    operands = (structure.nodes[o].primitive if o in structure.nodes else o for o in node.operands)
    return f"{node.primitive}({', '.join(sorted(operands))})"
