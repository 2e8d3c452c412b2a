"""A confirmation as a table and as files: `confirmation.csv` and `confirmation.json` in the run's folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from archsearch.graph.cost import count_multiply_adds, count_parameters
from archsearch.mutation.bounds import REFERENCE_SIZE
from archsearch.run.folder import RunFolder, write_atomically
from archsearch.run.views import to_csv
from archsearch.search.pareto import pareto_front
from archsearch.studies.confirm import Confirmed
from archsearch.studies.contestants import Contestant
from archsearch.studies.intervals import Interval, interval_columns
from archsearch.studies.sentences import sentence_of
from archsearch.studies.verdicts import Judgement, judge

FORMAT_VERSION = 1
ITSELF = Interval(1.0, 1.0, 1.0)  # the baseline's ratio to the baseline


@dataclass(frozen=True)
class Confirmation:
    """A confirmation with what it says of each cell.

    Attributes:
        confirmed: What was trained, and the values on test data.
        judgements: By cell, beside the run's baseline; the baseline itself is left out.
        step_milliseconds: By cell; None where it could not be measured.
        engine: What trained.
    """

    confirmed: Confirmed
    judgements: Mapping[str, Judgement]
    step_milliseconds: Mapping[str, float | None]
    engine: str

    def frame(self) -> pd.DataFrame:
        """Returns one row per cell, the best fitness first, ties by cell; clock columns come last."""
        plan = self.confirmed.plan
        rows = [self._row(contestant) for contestant in plan.contestants]
        for name, cost in (("on_parameters_front", "parameters"), ("on_time_front", "step_milliseconds")):
            front = pareto_front([row["fitness"] for row in rows], [row[cost] for row in rows])
            for row, is_on_it in zip(rows, front, strict=True):
                row[name] = is_on_it
        rows.sort(key=lambda row: (row["fitness"] is None, -(row["fitness"] or 0.0), row["cell"]))
        return pd.DataFrame(rows, columns=_columns([task.name for task in plan.search.tasks]))

    def sentences(self) -> list[str]:
        """Returns one plain sentence per cell, in the order of the frame; none for the baseline."""
        return [sentence for sentence in self.frame()["sentence"] if sentence]

    def to_json(self) -> str:
        """Returns the table with how it came about, and every value on test data."""
        plan = self.confirmed.plan
        frame = self.frame()
        rows = json.loads(frame.to_json(orient="records"))
        about = {
            "version": FORMAT_VERSION,
            "archsearch": version("archsearch"),
            "engine": self.engine,
            "baseline": plan.baseline.cell,
            "tasks": [task.name for task in plan.search.tasks],
            "seeds": plan.num_seeds,
            "settings": {task.name: len(plan.settings(task, 0)) for task in plan.search.tasks},
            "finalists": plan.num_finalists,
            "confidence": plan.confidence,
            "method": "Student's t on log ratios paired by replicate; Bonferroni over finalists, and over tasks for "
            "the upper limit of the fitness",
        }
        values = {
            cell: {task: self.confirmed.test_values(cell, task) for task in of_cell}
            for cell, of_cell in self.confirmed.values.items()
        }
        return json.dumps({**about, "cells": rows, "test_values": values}, indent=1, ensure_ascii=False) + "\n"

    def write(self, folder: RunFolder) -> None:
        """Writes both files into the run's folder, each whole or not at all.

        Raises:
            SearchStateError: Nothing can be written there.
        """
        write_atomically(folder.confirmation_path.with_suffix(".json"), self.to_json())
        write_atomically(folder.confirmation_path, to_csv(self.frame()))

    def _row(self, contestant: Contestant) -> dict[str, Any]:
        plan, cell, structure = self.confirmed.plan, contestant.cell, contestant.graph.structure
        judgement = self.judgements.get(cell)
        row: dict[str, Any] = {
            "cell": cell,
            "name": contestant.name,
            "role": contestant.role,
            "rank": pd.NA if contestant.rank is None else contestant.rank,
            "verdict": judgement.verdict if judgement else "baseline",
            **interval_columns("fitness", judgement.fitness if judgement else ITSELF),
        }
        for task in plan.search.tasks:
            row |= interval_columns(f"ratio_{task.name}", judgement.ratios.get(task.name) if judgement else ITSELF)
            row[f"test_value_{task.name}"] = _mean(self.confirmed.test_values(cell, task.name))
            setting = self.confirmed.usual_setting(cell, task.name)
            row[f"setting_{task.name}"] = setting.key if setting else ""
        return row | {
            "seeds": plan.num_seeds,
            "confidence": plan.confidence,
            "parameters": count_parameters(structure, REFERENCE_SIZE, REFERENCE_SIZE),
            "multiply_adds": count_multiply_adds(structure, REFERENCE_SIZE, REFERENCE_SIZE),
            "nodes": len(contestant.graph.nodes),
            "sentence": self._sentence(contestant, judgement) if judgement else "",
            "equations": contestant.graph.equations(),
            "step_milliseconds": _rounded(self.step_milliseconds[cell]),
            "training_seconds": _rounded(self.confirmed.seconds[cell]),
        }

    def _sentence(self, contestant: Contestant, judgement: Judgement) -> str:
        plan, causes = self.confirmed.plan, self.confirmed.causes
        return sentence_of(contestant.title, judgement, plan, causes[contestant.cell], causes[plan.baseline.cell])


def judge_all(confirmed: Confirmed, step_milliseconds: Mapping[str, float | None], engine: str) -> Confirmation:
    """Compares each cell with the run's baseline."""
    plan = confirmed.plan
    others = confirmed.values[plan.baseline.cell]
    judgements = {
        contestant.cell: judge(confirmed.values[contestant.cell], others, plan.confidence, plan.num_finalists)
        for contestant in plan.contestants[1:]
    }
    return Confirmation(confirmed, judgements, step_milliseconds, engine)


def _columns(tasks: Sequence[str]) -> list[str]:
    of_tasks = [
        name.format(task)
        for task in tasks
        for name in ("ratio_{}", "ratio_{}_low", "ratio_{}_high", "test_value_{}", "setting_{}")
    ]
    first = ["cell", "name", "role", "rank", "verdict", "fitness", "fitness_low", "fitness_high"]
    last = [
        "seeds",
        "confidence",
        "parameters",
        "multiply_adds",
        "nodes",
        "on_parameters_front",
        "sentence",
        "equations",
    ]
    return [*first, *of_tasks, *last, "step_milliseconds", "on_time_front", "training_seconds"]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
