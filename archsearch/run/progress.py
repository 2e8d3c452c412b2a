"""How a search went: what each step brought, and the best found cell up to there."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from archsearch.search.cost_penalty import NO_PENALTY
from archsearch.search.knowledge import Knowledge
from archsearch.search.outcome import StepOutcome

COLUMNS = (
    *("step", "kind", "candidates", "trials", "training_seconds"),
    *("cell", "fitness", "best_cell", "best_fitness"),
)


def progress_frame(folds: Iterable[tuple[StepOutcome, Knowledge]]) -> pd.DataFrame:
    """Returns one row per consumed step, that of the founders included.

    `candidates`, `trials` and `training_seconds` count all up to the step, `best_cell` and `best_fitness` are those of
    the fittest found cell, which no founder is; empty until there is one. `cell` and `fitness` are the step's own,
    empty unless it passed every gate. Fitness that later results raise is that of the time.

    Args:
        folds: Each step with the knowledge after it, in order.
    """
    rows: list[dict[str, Any]] = []
    candidates = trials = 0
    seconds = 0.0
    for outcome, knowledge in folds:
        candidates += outcome.kind == "propose"
        trials += len(outcome.examined)
        seconds += sum(entry.result.seconds for entry in outcome.examined)
        best = best_found(knowledge)
        cell = outcome.cells[0].digest if outcome.kind != "baseline" and outcome.cells else ""
        fitness = _fitness(knowledge, cell)
        row: dict[str, Any] = {"step": outcome.number, "kind": outcome.kind, "candidates": candidates}
        row["trials"] = trials
        row |= {"training_seconds": round(seconds, 3), "cell": cell if fitness is not None else "", "fitness": fitness}
        rows.append(row | {"best_cell": best, "best_fitness": _fitness(knowledge, best)})
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype({"fitness": "float64", "best_fitness": "float64"})


def best_found(knowledge: Knowledge) -> str:
    """Returns the digest of the fittest listed cell that is no founder, ties by rank; empty if there is none.

    Under a cost penalty that need not be the one that stands first.
    """
    found = [digest for _, digest in knowledge.listed if digest not in knowledge.founders]
    if knowledge.penalty == NO_PENALTY:
        return found[0] if found else ""  # standing is fitness
    return max(found, key=lambda digest: knowledge.fitness(knowledge.cells[digest]) or 0.0, default="")


def founder_fitnesses(knowledge: Knowledge) -> Mapping[str, float]:
    """Returns the fitness of each founder by its name; the baseline's is 1."""
    records = [knowledge.cells[digest] for digest in knowledge.founders]
    found = {record.name: knowledge.fitness(record) for record in records}
    return {name: fitness for name, fitness in found.items() if fitness is not None}


def _fitness(knowledge: Knowledge, digest: str) -> float | None:
    record = knowledge.cells.get(digest)
    return knowledge.fitness(record) if record and not record.fell_at else None
