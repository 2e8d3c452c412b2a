"""A cell and its simplifications, trained the same way: what mattered, and what may go.

All train with the cell's own setting, for the same steps, on the same fresh replicates, and are compared on validation
data: test data are kept for `confirm`. A setting gives a budget of parameters, not a width, so that a cell with fewer
matrices has more units, as in the search (R24).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from archsearch.errors import SearchStateError
from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.cost import count_parameters
from archsearch.graph.measures import count_matrices
from archsearch.mutation.bounds import REFERENCE_SIZE
from archsearch.studies.intervals import interval_columns
from archsearch.studies.replicates import ABLATING_REPLICATE
from archsearch.studies.simplifications import Simplification
from archsearch.studies.sitting import Sitting
from archsearch.studies.values import validation_value
from archsearch.studies.verdicts import Judgement, judge
from archsearch.trials.trial import Trial, TrialResult

Effect = Literal["matters", "loses nothing", "not settled", "failed"]


@dataclass(frozen=True)
class AblationPlan:
    """What to train.

    Attributes:
        trials: The cell's trial on each task, whose setting, steps and recipe all take.
        simplifications: The cells with one thing less.
        num_seeds: Fresh replicates.
        confidence: Of the interval of each cell by itself.
        tolerance: How much of a ratio counts as nothing.
    """

    trials: tuple[Trial, ...]
    simplifications: tuple[Simplification, ...]
    num_seeds: int
    confidence: float
    tolerance: float

    @property
    def graph(self) -> CellGraph:
        """The whole cell."""
        return self.trials[0].graph

    def all_trials(self) -> tuple[Trial, ...]:
        """Returns, seed by seed, the cell and all its simplifications on every task."""
        graphs = [self.graph, *(simplification.graph for simplification in self.simplifications)]
        return tuple(
            replace(trial, cell=graph.digest, graph=graph, replicate=ABLATING_REPLICATE + seed)
            for seed in range(self.num_seeds)
            for trial in self.trials
            for graph in graphs
        )

    def num_trials(self) -> dict[str, int]:
        """Returns the number of trials by task."""
        per_task = (1 + len(self.simplifications)) * self.num_seeds
        return {trial.task: per_task for trial in self.trials}


@dataclass(frozen=True)
class Ablated:
    """A simplification beside the whole cell.

    Attributes:
        simplification: See there.
        judgement: Its ratios to the whole cell, and the least of them.
        effect: What the part that is gone was worth: it `matters`, its loss `loses nothing` beyond the tolerance, or
            that is `not settled` with so few seeds.
    """

    simplification: Simplification
    judgement: Judgement
    effect: Effect

    @property
    def size(self) -> tuple[int, int]:
        """Parameters at the reference size, and nodes."""
        return size_of(self.simplification.graph)


@dataclass(frozen=True)
class Ablation:
    """What came of it.

    Attributes:
        plan: What was trained.
        rows: What costs most to lose comes first.
    """

    plan: AblationPlan
    rows: tuple[Ablated, ...]

    def offered(self) -> Ablated | None:
        """Returns the smallest cell that loses nothing; if none surely does, the smallest that may.

        A cell counts as smaller if it has no more parameters and nodes than the whole one, and fewer of one of them.
        """
        whole = size_of(self.plan.graph)
        smaller = [row for row in self.rows if row.size != whole and all(map(int.__le__, row.size, whole))]
        sure = [row for row in smaller if row.effect == "loses nothing"]
        maybe = [
            row for row in smaller if row.effect == "not settled" and self._estimate(row) >= 1 - self.plan.tolerance
        ]
        return min(sure or maybe, key=lambda row: (row.size, -self._estimate(row)), default=None)

    def frame(self) -> pd.DataFrame:
        """Returns one row per simplification, what costs most to lose first; limits are of the ratio to the cell."""
        rows = []
        for row in self.rows:
            graph, judgement = row.simplification.graph, row.judgement
            flat: dict[str, object] = {"change": row.simplification.change, "effect": row.effect, "cell": graph.digest}
            flat |= interval_columns("ratio", judgement.fitness)
            for trial in self.plan.trials:
                flat |= interval_columns(f"ratio_{trial.task}", judgement.ratios.get(trial.task))
            parameters, nodes = row.size
            rows.append(
                flat
                | {"parameters": parameters, "nodes": nodes, "matrices": count_matrices(graph.structure)}
                | {"states": len(graph.states), "equations": graph.equations()}
            )
        return pd.DataFrame(rows)

    def _estimate(self, row: Ablated) -> float:
        return row.judgement.fitness.estimate if row.judgement.fitness else 0.0


def ablate(plan: AblationPlan, sitting: Sitting) -> Ablation:
    """Trains what the sitting's journal lacks and compares each simplification with the cell.

    Raises:
        SearchStateError: The cell itself had no result in one of its trainings.
        ArchSearchError: See `Sitting.results`.
    """
    trials = plan.all_trials()
    results = sitting.results("ablating", trials)
    values = _values(trials, results)
    whole = values[plan.graph.digest]
    for trial in trials:
        if trial.cell == plan.graph.digest and not validation_value(results[trial.key]):
            result = results[trial.key]
            raise SearchStateError(
                f"cell {trial.cell}, task '{trial.task}': expected a result of the whole cell on every seed, got none "
                f"on one ({result.status} {result.error}). Give another setting.…, or more steps=…"
            )
    rows = []
    for simplification in plan.simplifications:
        judgement = judge(values[simplification.graph.digest], whole, plan.confidence)
        rows.append(Ablated(simplification, judgement, _effect(judgement, plan.tolerance)))
    rows.sort(key=lambda row: (row.judgement.fitness.estimate if row.judgement.fitness else 0.0, row.size))
    return Ablation(plan, tuple(rows))


def size_of(graph: CellGraph) -> tuple[int, int]:
    """Returns a cell's parameters at the reference size, and its nodes."""
    return count_parameters(graph.structure, REFERENCE_SIZE, REFERENCE_SIZE), len(graph.nodes)


def _values(
    trials: Sequence[Trial], results: Mapping[str, TrialResult]
) -> dict[str, dict[str, tuple[float | None, ...]]]:
    """Returns, by cell and task, one value per seed."""
    values: dict[str, dict[str, tuple[float | None, ...]]] = {}
    for trial in trials:
        of_cell = values.setdefault(trial.cell, {})
        of_cell[trial.task] = (*of_cell.get(trial.task, ()), validation_value(results[trial.key]))
    return values


def _effect(judgement: Judgement, tolerance: float) -> Effect:
    if judgement.fitness is None:
        return "failed"
    if judgement.fitness.low > 1 - tolerance:
        return "loses nothing"
    return "matters" if judgement.verdict == "worse" else "not settled"
