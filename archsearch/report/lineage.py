"""From founder to cell: what each mutation changed, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.difference import Difference, changed_lines, find_difference
from archsearch.run.reading import Run
from archsearch.search.knowledge import CellRecord


@dataclass(frozen=True)
class Effect:
    """A ratio on one task, and how far it is from the parent's; None where one of the two is not known."""

    ratio: float | None
    change: float | None


@dataclass(frozen=True)
class Generation:
    """One cell of a lineage.

    Attributes:
        cell: Its digest.
        title: Its name, or its digest.
        step: The step that brought it in.
        fitness: None unless every task has a result.
        is_listed: Whether it is on the leaderboard now.
        transformations: What was done to the parent; empty for a founder.
        changes: Equations that went (`-`) and that came (`+`).
        effects: By task.
    """

    cell: str
    title: str
    step: int
    fitness: float | None
    is_listed: bool
    transformations: tuple[str, ...]
    changes: tuple[tuple[str, str], ...]
    effects: Mapping[str, Effect]


class Ancestry:
    """The lineages of a run's cells; what cells have in common is worked out once.

    Args:
        run: The run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._knowledge = run.knowledge
        self._listed = {digest for _, digest in run.knowledge.listed}
        self._generations: dict[str, Generation] = {}
        self._differences: dict[str, Difference] = {}

    def difference(self, digest: str) -> Difference | None:
        """Returns what changed from a cell's parent to it, None for a founder."""
        record = self._knowledge.cells[digest]
        if not record.parent:
            return None
        if digest not in self._differences:
            before, after = self._graph(record.parent), self._graph(digest)
            self._differences[digest] = find_difference(before, after)
        return self._differences[digest]

    def lineage(self, digest: str) -> list[Generation]:
        """Returns the cell and its recorded ancestors, the founder first."""
        chain: dict[str, None] = {}
        while digest in self._knowledge.cells and digest not in chain:
            chain[digest] = None
            digest = self._knowledge.cells[digest].parent
        return [self._generation(ancestor) for ancestor in reversed(chain)]

    def _graph(self, digest: str) -> CellGraph:
        return self._run.cell(digest)

    def _generation(self, digest: str) -> Generation:
        if digest not in self._generations:
            record = self._knowledge.cells[digest]
            difference = self.difference(digest)
            changes = [pair for pair in changed_lines(difference) if pair[0] != " "] if difference else []
            self._generations[digest] = Generation(
                digest,
                record.name or digest,
                record.step,
                self._knowledge.fitness(record),
                digest in self._listed,
                record.transformations,
                tuple(changes),
                self._effects(record),
            )
        return self._generations[digest]

    def _effects(self, record: CellRecord) -> dict[str, Effect]:
        parent = self._knowledge.cells.get(record.parent)
        own = self._knowledge.ratios(record)
        before = self._knowledge.ratios(parent) if parent else {}
        return {task: Effect(own.get(task), _change(before.get(task), own.get(task))) for task in self._run.tasks}


def _change(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
