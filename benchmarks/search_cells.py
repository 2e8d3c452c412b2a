"""The cells to measure: the zoo's, and mutants as a search draws them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from archsearch.cli.composition import compose_settings
from archsearch.cli.planning import PlannedSearch, plan_search
from archsearch.cli.run_configuration import settle
from archsearch.cli.words import parse_words
from archsearch.graph.catalog import load_cell, zoo_names
from archsearch.graph.cell_graph import CellGraph
from archsearch.mutation.mutate import mutate
from archsearch.seeds import scalar_generator

MIN_GENERATIONS, MAX_GENERATIONS = 2, 6


@dataclass(frozen=True)
class NamedCell:
    """A cell to measure.

    Attributes:
        name: For people.
        kind: `zoo` (also a file's), or `mutant`.
        graph: As a layer takes it.
    """

    name: str
    kind: str
    graph: CellGraph


@cache
def planned_search(*words: str) -> PlannedSearch:
    """Returns the search that `archsearch search WORDS` would start."""
    typed = parse_words("search", list(words))
    return plan_search(settle(compose_settings("search", typed), typed))


def named_cells(references: Sequence[str]) -> list[NamedCell]:
    """Returns cells by zoo name or file; the whole zoo for none."""
    return [NamedCell(reference, "zoo", load_cell(reference)) for reference in references or zoo_names()]


def draw_mutants(count: int, seed: int) -> list[NamedCell]:
    """Draws different cells, each 2 to 6 mutations away from one of the search's founders.

    Transformations, founders and bounds are those of the search that starts without any setting; a child beyond the
    bounds is drawn anew, as there. No other choice is made.
    """
    plan = planned_search().plan
    rng = scalar_generator("benchmark mutants", seed)
    mutants: dict[str, CellGraph] = {}
    while len(mutants) < count:
        graph = rng.choice(plan.founders).graph
        generations = rng.randint(MIN_GENERATIONS, MAX_GENERATIONS)
        while generations:
            child = mutate(graph, plan.transformations, rng).graph
            if plan.bounds.violation(child.structure) is None:
                graph, generations = child, generations - 1
        mutants.setdefault(graph.digest, graph)
    return [NamedCell(f"mutant_{number:02}", "mutant", graph) for number, graph in enumerate(mutants.values(), 1)]
