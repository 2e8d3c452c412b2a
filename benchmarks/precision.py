"""Compares the accuracy that training with large products in bfloat16 reaches with that of float32, against seed noise.

Every seed draws weights and training data once and trains with both precisions. What counts is the mean of the
differences, beside its standard error and beside how much seeds differ from each other. The tasks are the quickstart's.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from search_cells import planned_search
from tables import CsvFile, table

from archsearch.compiler.engines import check_precision
from archsearch.errors import ArchSearchError
from archsearch.graph.catalog import load_cell
from archsearch.training.evaluate import Evaluator
from archsearch.trials.setting import Setting
from archsearch.trials.task import Task
from archsearch.trials.trial import Precision, Recipe, Trial

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
TASKS = ("arithmetic", "xml", "words")
SETTING = Setting(init_scale=1.4, learning_rate=0.5, max_gradient_norm=2.5, num_layers=1, max_parameters=100_000)

_EXAMPLES = """\
examples:
  python benchmarks/precision.py                             GRU and LSTM, 3 tasks, 8 seeds: about ten minutes
  python benchmarks/precision.py --cells gru --seeds 3 --steps 500
"""


def train(task: Task, name: str, precision: Precision, seed: int, num_steps: int) -> float:
    """Returns the best validation accuracy of a training, 0 if there is none."""
    graph = load_cell(name).canonical()
    trial = Trial(graph.digest, graph, task.name, task.digest, Recipe(precision=precision), SETTING, 0, num_steps, seed)
    result = Evaluator({task.name: task}, engine="native").evaluate(trial)
    return result.value or 0.0


def compare(task: Task, name: str, seeds: Sequence[int], num_steps: int) -> dict[str, object]:
    """Returns accuracies, and what the precisions differ by."""
    reached = {precision: [train(task, name, precision, seed, num_steps) for seed in seeds] for precision in PRECISIONS}
    differences = [low - full for full, low in zip(*reached.values(), strict=True)]
    return {
        "cell": name,
        "task": task.name,
        "seeds": len(seeds),
        "steps": num_steps,
        "float32": statistics.mean(reached["float32"]),
        "bfloat16": statistics.mean(reached["bfloat16"]),
        "difference": statistics.mean(differences),
        "standard_error": statistics.stdev(differences) / len(seeds) ** 0.5,
        "seed_deviation": statistics.stdev(reached["float32"]),
        "worst_difference": min(differences),
    }


def main() -> int:
    """Runs the comparison; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", nargs="+", default=["gru", "lstm"], metavar="CELL", help="zoo names or files")
    parser.add_argument(
        "--seeds", type=int, default=8, help="trainings per precision, at least 2 (default: %(default)s)"
    )
    parser.add_argument("--steps", type=int, default=1500, help="training steps (default: %(default)s)")
    parser.add_argument(
        "--csv", type=Path, default=Path("bench-precision.csv"), help="written to (default: %(default)s)"
    )
    arguments = parser.parse_args()
    if arguments.seeds < 2 or arguments.steps < 1:
        parser.error("expected at least 2 seeds and 1 step")
    torch.set_num_threads(1)
    tasks = planned_search().tasks
    rows = []
    try:
        check_precision("native", "bfloat16")
        for name in arguments.cells:
            for task in TASKS:
                rows.append(compare(tasks[task], name, range(1, arguments.seeds + 1), arguments.steps))
                print(f"{name} on {task}: {rows[-1]['difference']:+.4f}", file=sys.stderr)
    except ArchSearchError as error:
        print(f"precision: {error}", file=sys.stderr)
        return 1
    with CsvFile(arguments.csv, tuple(rows[0])) as file:
        for row in rows:
            file.add(row)
    print(table(tuple(rows[0]), [list(row.values()) for row in rows]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
