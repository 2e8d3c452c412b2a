"""The leaderboard: a view of the knowledge as flat rows."""

from dataclasses import dataclass

from archsearch.graph.cost import count_multiply_adds, count_parameters
from archsearch.mutation.bounds import REFERENCE_SIZE
from archsearch.search.knowledge import CellRecord, Knowledge


@dataclass(frozen=True)
class LeaderboardRow:
    """One listed cell.

    Attributes:
        rank: From 1.
        cell: Its digest.
        name: A founder's name; empty for a found cell.
        fitness: The least ratio (R3).
        ratios: Best quality ÷ the baseline's best, by task.
        values: Best validation value of the task's metric, by task.
        parameters: Of the cell alone, at 128 inputs and units.
        multiply_adds: Per time step and sequence, likewise.
        nodes: Computed nodes.
        states: States carried.
        parent: Digest of the recorded parent; empty for a founder.
        transformations: What was done to the parent.
        step: Number of the step that brought it in.
        trials: Trials spent on it.
        settings_best: Key of the best setting, by task.
        equations: What it computes.
    """

    rank: int
    cell: str
    name: str
    fitness: float
    ratios: dict[str, float]
    values: dict[str, float]
    parameters: int
    multiply_adds: int
    nodes: int
    states: int
    parent: str
    transformations: tuple[str, ...]
    step: int
    trials: int
    settings_best: dict[str, str]
    equations: str


def leaderboard_rows(knowledge: Knowledge) -> tuple[LeaderboardRow, ...]:
    """Returns the listed cells, best standing first, ties by cell id."""
    return tuple(
        _row(knowledge, rank, knowledge.cells[digest]) for rank, (_, digest) in enumerate(knowledge.listed, start=1)
    )


def _row(knowledge: Knowledge, rank: int, record: CellRecord) -> LeaderboardRow:
    fitness = knowledge.fitness(record)
    assert fitness is not None  # only cells with a result on every task are listed
    graph = knowledge.graphs[record.digest]
    bests = {task: record.history(task).ranked()[0] for task in knowledge.tasks}
    return LeaderboardRow(
        rank=rank,
        cell=record.digest,
        name=record.name,
        fitness=fitness,
        ratios=dict(knowledge.ratios(record)),
        values={task: knowledge.metrics[task].value(quality) for task, (quality, _) in bests.items()},
        parameters=count_parameters(graph.structure, REFERENCE_SIZE, REFERENCE_SIZE),
        multiply_adds=count_multiply_adds(graph.structure, REFERENCE_SIZE, REFERENCE_SIZE),
        nodes=len(graph.nodes),
        states=len(graph.states),
        parent=record.parent,
        transformations=record.transformations,
        step=record.step,
        trials=sum(len(history.settings) for history in record.histories.values()),
        settings_best={task: setting.key for task, (_, setting) in bests.items()},
        equations=graph.equations(),
    )
