"""Learning curves that were recorded once, as answers to the trials of searches that are replayed.

A file of curves is a CSV with one row per validation. Its columns: `cell` (a zoo name, or any name if `equations` are
given), `task`, `init_scale`, `learning_rate`, `max_gradient_norm`, `num_layers`, `max_parameters`, `step`, `accuracy`
(or whatever else was measured, as long as more is better); and, where there is more to say, `equations`, `parent` (a
name in `cell`) and `replicate`. The folder of a run may hold any metric: errors are turned into qualities.
"""

import json
import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import pandas as pd

from archsearch.errors import ArchSearchError, FileFormatError
from archsearch.graph.catalog import load_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.run.folder import RunFolder
from archsearch.run.journal import Journal
from archsearch.trials.metric import METRICS
from archsearch.trials.setting import Setting

SETTING_COLUMNS = ("init_scale", "learning_rate", "max_gradient_norm", "num_layers", "max_parameters")
COLUMNS = ("cell", "task", *SETTING_COLUMNS, "step", "accuracy")


@dataclass(frozen=True)
class Curve:
    """One recorded training.

    Attributes:
        steps: Of its validations, increasing.
        qualities: The best up to each of them: accuracies, or other validation values turned so that more is better.
    """

    steps: tuple[int, ...]
    qualities: tuple[float, ...]

    @classmethod
    def from_points(cls, points: Sequence[tuple[int, float]]) -> "Curve":
        """Reads `(step, quality)` in any order."""
        ordered = sorted(points)
        best = accumulate((quality for _, quality in ordered), max)
        return cls(tuple(step for step, _ in ordered), tuple(best))

    def until(self, max_steps: int) -> tuple[float, int]:
        """Returns the best quality within some steps, and the steps taken.

        Asked for less than the first validation it gives that; asked for more than was recorded, what was recorded.
        """
        index = max(0, bisect_right(self.steps, max_steps) - 1)
        return self.qualities[index], min(max_steps, self.steps[-1])


@dataclass(frozen=True)
class RecordedCurves:
    """All curves of a run or a file.

    Attributes:
        graphs: Canonical graphs of the cells, by digest.
        parents: Recorded parents of those that have one.
        curves: By cell, task and setting: one curve per replicate.
    """

    graphs: Mapping[str, CellGraph]
    parents: Mapping[str, str]
    curves: Mapping[tuple[str, str, Setting], tuple[Curve, ...]]

    @cached_property
    def settings(self) -> Mapping[tuple[str, str], tuple[Setting, ...]]:
        """The settings recorded for a cell on a task, in order."""
        found: dict[tuple[str, str], list[Setting]] = defaultdict(list)
        for cell, task, setting in self.curves:
            found[cell, task].append(setting)
        return {key: tuple(sorted(settings)) for key, settings in found.items()}

    @cached_property
    def settings_of_tasks(self) -> Mapping[str, tuple[Setting, ...]]:
        """The settings recorded on a task for any cell, in order."""
        found: dict[str, set[Setting]] = defaultdict(set)
        for _, task, setting in self.curves:
            found[task].add(setting)
        return {task: tuple(sorted(settings)) for task, settings in found.items()}

    @cached_property
    def lengths(self) -> Mapping[str, int]:
        """The most steps recorded on each task."""
        found: dict[str, int] = {}
        for (_, task, _), curves in self.curves.items():
            found[task] = max(found.get(task, 0), *(curve.steps[-1] for curve in curves))
        return dict(sorted(found.items()))


@dataclass
class _Collected:
    """Curves as they are read."""

    graphs: dict[str, CellGraph] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    points: dict[tuple[str, str, Setting], dict[int, Curve]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, key: tuple[str, str, Setting], replicate: int, points: Sequence[tuple[int, float]]) -> None:
        """Takes a curve, unless a longer one of the same trial is there."""
        curve = Curve.from_points(points)
        known = self.points[key].get(replicate)
        if known is None or known.steps[-1] < curve.steps[-1]:
            self.points[key][replicate] = curve

    def finished(self, path: Path) -> RecordedCurves:
        """Returns what was read.

        Raises:
            FileFormatError: That is nothing.
        """
        if not self.points:
            raise FileFormatError(f"{path}: expected learning curves, found none.")
        curves = {key: tuple(found[number] for number in sorted(found)) for key, found in self.points.items()}
        return RecordedCurves(self.graphs, self.parents, curves)


def read_recorded(path: Path) -> RecordedCurves:
    """Reads the folder of a run, or a CSV of learning curves.

    Raises:
        SearchStateError: It is a folder, but of no run.
        FileFormatError: It is a file, but not of curves.
    """
    return _read_run(path) if path.is_dir() else _read_csv(path)


def _read_run(path: Path) -> RecordedCurves:
    folder = RunFolder.open(path)
    journal = Journal.open(folder.journal_path, read_only=True)
    collected = _Collected()
    try:
        screens = set(json.loads(journal.about("tasks") or "[]"))
        for record in journal.step_records():
            for cell in record["cells"]:
                collected.graphs.setdefault(cell["digest"], CellGraph.from_json(cell["graph"]))
                if cell["parent"]:
                    collected.parents.setdefault(cell["digest"], cell["parent"])
        for trial in journal.trials():
            metric = METRICS[trial.result.metric]
            points = [(step, metric.quality(value)) for step, _, value in trial.result.curve]
            if points and trial.task in screens and trial.cell in collected.graphs:
                collected.add((trial.cell, trial.task, trial.setting), trial.replicate, points)
    finally:
        journal.close()
    return collected.finished(path)


def _read_csv(path: Path) -> RecordedCurves:
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:  # pandas' errors of reading are ValueErrors
        raise FileFormatError(f"{path}: expected a CSV of learning curves, got: {error}.") from error
    missing = [column for column in COLUMNS if column not in frame]
    if missing:
        raise FileFormatError(
            f"{path}: expected the columns {', '.join(COLUMNS)}, found no {', '.join(missing)}. Add them."
        )
    collected = _Collected()
    digests = {}
    for name, rows in frame.groupby("cell", sort=False):
        equations = rows["equations"].iloc[0] if "equations" in rows else None
        graph = _cell(path, str(name), equations if isinstance(equations, str) else None)
        digests[name] = graph.digest
        collected.graphs[graph.digest] = graph
    if "parent" in frame:
        pairs = frame[["cell", "parent"]].dropna().drop_duplicates()
        collected.parents |= {digests[c]: digests[p] for c, p in pairs.itertuples(index=False) if p in digests}
    replicates = frame["replicate"].fillna(0) if "replicate" in frame else pd.Series(0, index=frame.index)
    for number, (_, rows) in enumerate(frame.groupby(replicates)):
        points: dict[tuple[str, str, Setting], list[tuple[int, float]]] = defaultdict(list)
        for name, task, *numbers in rows[list(COLUMNS)].itertuples(index=False):
            *setting, step, accuracy = _numbers(path, numbers)
            init_scale, learning_rate, max_norm, num_layers, max_parameters = setting
            key = Setting(init_scale, learning_rate, max_norm, int(num_layers), int(max_parameters))
            points[digests[name], str(task), key].append((int(step), accuracy))
        for trial, found in points.items():
            collected.add(trial, number, found)
    return collected.finished(path)


def _numbers(path: Path, values: Sequence[object]) -> list[float]:
    try:
        numbers = [float(str(value)) for value in values]
    except ValueError as error:
        raise FileFormatError(f"{path}: expected numbers in {', '.join(COLUMNS[2:])}; {error}.") from error
    if not all(map(math.isfinite, numbers)):
        raise FileFormatError(f"{path}: expected numbers in {', '.join(COLUMNS[2:])}, found an empty field.")
    return numbers


def _cell(path: Path, name: str, equations: str | None) -> CellGraph:
    try:
        graph = CellGraph.from_equations(equations) if equations else load_cell(name)
    except ArchSearchError as error:
        raise FileFormatError(f"{path}, cell {name!r}: expected a zoo name or equations; {error}") from error
    return graph.canonical()
