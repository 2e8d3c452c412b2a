"""Measures how far trainings that differ in nothing but their seeds lie apart, for `confirm_coverage.py`.

    python benchmarks/replicate_spread.py RUN
    python benchmarks/replicate_spread.py benchmarks/replicate_values.json   # the first table, of what was kept

`RUN` is a run's folder with a confirmation of many seeds (`archsearch confirm run=RUN seeds=20`). Printed per task, in
logarithms of the value on test data: the spread of one value between seeds, the spread of ratios paired by seed and of
the same ratios unpaired, skewness and excess kurtosis of the pairs, pooled over cells; and of the tunings, on
validation data, how far replicates of one setting lie apart, and how far settings do.

`confirm` draws and tunes settings for each seed: then the first table has the spread of whole repetitions, and few
settings of a cell were trained twice. Only these say how far replicates lie apart; how many there were is printed.
"""

import json
import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from scipy import stats
from tables import table

from archsearch.run.folder import RunFolder
from archsearch.run.journal import Journal
from archsearch.studies.replicates import CONFIRMING_REPLICATE, TUNING_REPLICATE
from archsearch.studies.values import validation_value


def main() -> None:
    """Prints both tables; of a file the first."""
    path = Path(sys.argv[1])
    kept = json.loads((path / "confirmation.json" if path.is_dir() else path).read_text(encoding="utf-8"))
    rows = []
    for task in kept["tasks"]:
        values = {cell: of_cell[task] for cell, of_cell in kept["test_values"].items()}
        logs = {cell: np.log(of_seeds) for cell, of_seeds in values.items() if None not in of_seeds}
        baseline = logs.pop(kept["baseline"])
        pairs = np.array([other - baseline for other in logs.values()])
        scaled = (pairs - pairs.mean(axis=1, keepdims=True)) / pairs.std(axis=1, ddof=1, keepdims=True)
        single = _pooled([*logs.values(), baseline])
        unpaired = None if single is None else single * math.sqrt(2)
        shape = float(stats.skew(scaled.ravel())), float(stats.kurtosis(scaled.ravel()))
        rows.append([task, len(baseline), len(pairs), single, _pooled(pairs), unpaired, *shape])
    print(table(("task", "seeds", "cells", "one value", "paired", "unpaired", "skewness", "kurtosis"), rows))
    if path.is_dir():
        header = ("task", "settings", "trained twice or more", "one setting, between replicates", "between settings")
        print(f"\n{table(header, _settings(path))}")


def _pooled(rows: Iterable[Sequence[float]]) -> float | None:
    """Returns the standard deviation within rows, each with its degrees of freedom; None where none has any."""
    repeated = [row for row in rows if len(row) > 1]
    if not repeated:
        return None
    squares = sum((len(row) - 1) * float(np.var(row, ddof=1)) for row in repeated)
    return math.sqrt(squares / sum(len(row) - 1 for row in repeated))


def _settings(path: Path) -> list[list[object]]:
    """Returns, per task, how far settings and replicates of tunings lie apart, in logarithms, pooled over cells.

    Before that: how many settings a cell has at the most, and how many of all cells' were trained more than once.
    """
    journal = Journal.open(RunFolder(path / "confirm").journal_path, read_only=True)
    found: dict[str, dict[str, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for trial in journal.trials():
        value = validation_value(trial.result)
        if TUNING_REPLICATE <= trial.replicate < CONFIRMING_REPLICATE and value:
            found[trial.task][trial.cell][trial.setting.key].append(float(np.log(value)))
    journal.close()
    rows: list[list[object]] = []
    for task, cells in found.items():
        means = [[float(np.mean(values)) for values in settings.values()] for settings in cells.values()]
        groups = [values for settings in cells.values() for values in settings.values()]
        num_repeated = sum(len(values) > 1 for values in groups)
        rows.append([task, max(map(len, means)), num_repeated, _pooled(groups), _pooled(means)])
    return rows


if __name__ == "__main__":
    main()
