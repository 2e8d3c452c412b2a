"""The cells that a confirmation trains: finalists of a search, and the cells that everybody knows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from archsearch.errors import SearchStateError
from archsearch.graph.catalog import cell_name, load_cell, zoo_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.run.reading import Run
from archsearch.search.plan import Founder

WELL_KNOWN = ("gru", "lstm", "lstm_b", "tanh")
"""Never finalists, though founders may be."""


@dataclass(frozen=True)
class Contestant:
    """One cell.

    Attributes:
        cell: Its digest.
        graph: Its canonical graph.
        name: For people; empty for a found cell.
        role: `finalist`, or `baseline` for a cell known before.
        rank: Its place in the leaderboard; None if it has none.
    """

    cell: str
    graph: CellGraph
    name: str
    role: Literal["finalist", "baseline"]
    rank: int | None

    @property
    def title(self) -> str:
        """What to call it."""
        return self.name or self.cell


def choose_contestants(
    run: Run, baseline: Founder, top: int, beside: Sequence[str] = WELL_KNOWN
) -> tuple[Contestant, ...]:
    """Returns the run's baseline, which all others are compared with, the other known cells, then the finalists.

    Finalists are the best cells of the leaderboard that are none of the known ones. Each cell comes once.

    Args:
        run: The search.
        baseline: The cell that the search compared with.
        top: Finalists; fewer if the leaderboard has no more.
        beside: Known cells, as `load_cell` takes them.

    Raises:
        SearchStateError: The leaderboard has no found cell.
        ConfigError: There is no such cell as one of `beside`.
    """
    ranks = {digest: rank for rank, (_, digest) in enumerate(run.knowledge.listed, start=1)}
    known = [(baseline.graph, baseline.name), *((load_cell(ref).canonical(), cell_name(ref)) for ref in beside)]
    contestants: dict[str, Contestant] = {}
    for graph, name in known:
        digest = graph.digest
        contestants.setdefault(digest, Contestant(digest, graph, name, "baseline", ranks.get(digest)))
    none_found = {*contestants, *(zoo_cell(name).digest for name in WELL_KNOWN)}
    found = [digest for digest in ranks if digest not in none_found][:top]
    if not found:
        raise SearchStateError(
            f"{run.path}: expected a cell on the leaderboard besides {names_of(list(contestants.values()))}, got none. "
            f"There is nothing to confirm yet: give the search more candidates."
        )
    for digest in found:
        record = run.knowledge.cells[digest]
        contestants[digest] = Contestant(digest, run.cell(digest), record.name, "finalist", ranks[digest])
    return tuple(contestants.values())


def names_of(contestants: Sequence[Contestant]) -> str:
    """Returns their names with commas between them."""
    return ", ".join(contestant.title for contestant in contestants)
