"""What a search knows after a step: a value that is never changed, only folded further."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from immutables import Map

from archsearch.graph.cell_graph import CellGraph
from archsearch.search.cost_penalty import NO_PENALTY, CostPenalty
from archsearch.search.outcome import COMPLETED, Examined, Introduced, StepOutcome
from archsearch.trials.metric import METRICS, Metric
from archsearch.trials.setting import Setting

_NUM_KEPT = 400  # of the hundred listed cells on some tasks


@dataclass(frozen=True, slots=True)
class TaskHistory:
    """A cell's results on one task, in the order consumed.

    A search holds one for every cell and task it ever met: what can be worked out of it is kept for a while only.

    Attributes:
        settings: Those that were tried.
        qualities: What each reached: the best validation value of the task's metric, turned so that more is better;
            None where there is none to count.
    """

    settings: tuple[Setting, ...] = ()
    qualities: tuple[float | None, ...] = ()

    def __hash__(self) -> int:
        return hash((len(self.settings), self.settings[-1:], self.qualities[-1:]))  # of all it takes longer

    @property
    def best(self) -> float | None:
        """The best quality so far, which is the cell's on the task (R1)."""
        return max((quality for quality in self.qualities if quality is not None), default=None)

    @property
    def tried(self) -> frozenset[Setting]:
        """The settings that are used up (R8), failed ones included."""
        return _tried(self)

    @property
    def tried_in_order(self) -> tuple[Setting, ...]:
        """The settings that are used up, sorted."""
        return _tried_in_order(self)

    def ranked(self) -> tuple[tuple[float, Setting], ...]:
        """Returns quality and setting, best first, ties by setting; what has no quality is left out."""
        return _ranked(self)

    def with_outcome(self, setting: Setting, quality: float | None) -> "TaskHistory":
        """Returns the history with one more result."""
        return TaskHistory((*self.settings, setting), (*self.qualities, quality))


@lru_cache(_NUM_KEPT)
def _tried(history: TaskHistory) -> frozenset[Setting]:
    return frozenset(history.settings)


@lru_cache(_NUM_KEPT)
def _tried_in_order(history: TaskHistory) -> tuple[Setting, ...]:
    return tuple(sorted(_tried(history)))


@lru_cache(_NUM_KEPT)
def _ranked(history: TaskHistory) -> tuple[tuple[float, Setting], ...]:
    outcomes = zip(history.qualities, history.settings, strict=True)
    counted = [(quality, setting) for quality, setting in outcomes if quality is not None]
    return tuple(sorted(counted, key=lambda pair: (-pair[0], pair[1])))


@dataclass(frozen=True, slots=True)
class CellRecord:
    """All that is known of a cell.

    Attributes:
        digest: Its identity.
        step: Number of the step that brought it in.
        name: A founder's name; empty for a found cell.
        parent: Digest of the recorded parent; empty for a founder.
        transformations: What was done to the parent.
        histories: Results by task, the screen's included.
        fell_at: Task at which it fell when last examined; empty if it passed everything.
        factor: What the cost penalty multiplies its fitness with; 1 without a penalty.
    """

    digest: str
    step: int
    name: str
    parent: str
    transformations: tuple[str, ...]
    histories: "Map[str, TaskHistory]" = field(default_factory=Map)
    fell_at: str = ""
    factor: float = 1.0

    def history(self, task: str) -> TaskHistory:
        """Returns the results on a task, empty if there are none."""
        return self.histories.get(task, TaskHistory())

    def best(self, task: str) -> float:
        """Returns the best quality on a task, or one below every threshold where there is none."""
        best = self.history(task).best
        return -1.0 if best is None else best

    def with_examined(self, examined: tuple[Examined, ...]) -> "CellRecord":
        """Returns the record with further results appended."""
        histories = self.histories
        for entry in examined:
            history = histories.get(entry.task, TaskHistory())
            histories = histories.set(entry.task, history.with_outcome(entry.setting, entry.result.quality))
        return replace(self, histories=histories)


@dataclass(frozen=True)
class Knowledge:
    """Everything folded so far.

    Attributes:
        tasks: Names of the tasks that count for fitness, in order.
        list_size: Length of the list at the most.
        population_size: Length of the population at the most; 0 for none.
        penalty: What a cell's cost takes from its standing.
        cells: Every cell met, by digest.
        listed: `(standing, digest)` of the best cells, best first, ties by digest (R1).
        graphs: Canonical graphs of the listed cells only.
        baseline: The baseline's best quality by task, constant from step 0 on (R2).
        baseline_rungs: The same by task and maximal training steps of the trials that gave it.
        metrics: What each task measures, by task, from step 0 on.
        founders: Digests of the founders.
        founder_graphs: Digests with canonical graphs, in the same order.
        population: Digests with canonical graphs of the cells that completed last, oldest first.
    """

    tasks: tuple[str, ...]
    list_size: int
    population_size: int = 0
    penalty: CostPenalty = NO_PENALTY
    cells: "Map[str, CellRecord]" = field(default_factory=Map)
    listed: tuple[tuple[float, str], ...] = ()
    graphs: "Map[str, CellGraph]" = field(default_factory=Map)
    baseline: "Map[str, float]" = field(default_factory=Map)
    baseline_rungs: "Map[tuple[str, int], float]" = field(default_factory=Map)
    metrics: "Map[str, Metric]" = field(default_factory=Map)
    founders: tuple[str, ...] = ()
    founder_graphs: tuple[tuple[str, CellGraph], ...] = ()
    population: tuple[tuple[str, CellGraph], ...] = ()

    def ratios(self, record: CellRecord) -> Mapping[str, float]:
        """Returns quality ÷ the baseline's best for each task on which the cell has a result."""
        bests = {task: record.history(task).best for task in self.tasks}
        return {task: best / self.baseline[task] for task, best in bests.items() if best is not None}

    def fitness(self, record: CellRecord) -> float | None:
        """Returns the least of the ratios (R3, Eq. 1), None unless every task has a result."""
        ratios = self.ratios(record)
        return min(ratios.values()) if len(ratios) == len(self.tasks) else None

    def standing(self, record: CellRecord) -> float:
        """Returns what the cell is ranked by: its fitness, less what its cost takes; below all others without one."""
        fitness = self.fitness(record)
        return -math.inf if fitness is None else fitness * record.factor

    def baseline_value(self, task: str) -> float | None:
        """Returns the baseline's best value of the task's metric, None before step 0 is folded."""
        quality = self.baseline.get(task)
        return None if quality is None else self.metrics[task].value(quality)

    def fold(self, outcome: StepOutcome) -> "Knowledge":
        """Returns the knowledge after one more step, which must come in the order of its number."""
        cells, graphs = self.cells, self.graphs
        for introduced in outcome.cells:
            digest = introduced.digest
            record = cells.get(digest) or self._new_record(introduced, outcome)
            record = record.with_examined(tuple(entry for entry in outcome.examined if entry.cell == digest))
            if outcome.kind == "propose":
                record = replace(record, fell_at="" if outcome.stage == COMPLETED else outcome.stage)
            cells, graphs = cells.set(digest, record), graphs.set(digest, introduced.graph)
        knowledge = replace(self, cells=cells, graphs=graphs)
        if outcome.kind == "baseline":
            knowledge = knowledge._with_baseline(outcome)
        if self.population_size and outcome.stage == COMPLETED and outcome.kind != "reevaluate":
            knowledge = knowledge._with_population(outcome)
        return knowledge._with_list(tuple(introduced.digest for introduced in outcome.cells))

    def _new_record(self, cell: Introduced, outcome: StepOutcome) -> CellRecord:
        baseline = self.founder_graphs[0][1] if self.founder_graphs else outcome.cells[0].graph
        factor = self.penalty.factor(cell.graph.structure, baseline.structure)
        return CellRecord(cell.digest, outcome.number, cell.name, cell.parent, cell.transformations, factor=factor)

    def _with_baseline(self, outcome: StepOutcome) -> "Knowledge":
        digests = tuple(introduced.digest for introduced in outcome.cells)
        bests = {task: self.cells[digests[0]].history(task).best for task in self.tasks}
        baseline = Map({task: best for task, best in bests.items() if best is not None})
        rungs: dict[tuple[str, int], float] = {}
        for entry in outcome.examined:
            if entry.cell == digests[0] and entry.result.quality is not None:
                rung = (entry.task, entry.max_steps)
                rungs[rung] = max(rungs.get(rung, entry.result.quality), entry.result.quality)
        results = [(entry.task, entry.result) for entry in outcome.examined]
        metrics = Map({task: METRICS[result.metric] for task, result in results if result.value is not None})
        graphs = tuple((introduced.digest, introduced.graph) for introduced in outcome.cells)
        found = replace(self, baseline=baseline, baseline_rungs=Map(rungs), metrics=metrics)
        return replace(found, founders=digests, founder_graphs=graphs)

    def _with_population(self, outcome: StepOutcome) -> "Knowledge":
        """Adds the cells that completed as the youngest; the oldest go. A cell met again is young again."""
        young = {introduced.digest: introduced.graph for introduced in outcome.cells}
        old = tuple(member for member in self.population if member[0] not in young)
        return replace(self, population=(*old, *young.items())[-self.population_size :])

    def _with_list(self, touched: tuple[str, ...]) -> "Knowledge":
        """Re-ranks the touched cells among the listed ones and keeps the best."""
        # entries are taken over, so that the lists of all steps in flight share them
        listed = {entry[1]: entry for entry in self.listed}
        for digest in touched:
            record = self.cells[digest]
            if self.fitness(record) is not None and (not record.fell_at or digest in listed):
                listed[digest] = self.standing(record), digest
        ranked = sorted(listed.values(), key=lambda entry: (-entry[0], entry[1]))
        kept = tuple(ranked[: self.list_size])
        graphs = self.graphs
        for digest in set(listed).union(touched).difference(digest for _, digest in kept):
            graphs = graphs.delete(digest)
        return replace(self, listed=kept, graphs=graphs)
