"""Measures one candidate of the paper's size on a GPU: 20 settings drawn from R20-R24 on each task, for some steps.

Trials are grouped and trained as a search does it, set-up and validation included. How long whole trainings take
follows from their number of steps, which the schedule (R29) decides; the time of a step is given apart from set-up.
"""

import argparse
import random
import sys
import time
from collections.abc import Sequence

import torch
from gpu_equality import NO_GPU
from search_cells import planned_search
from tables import table

from archsearch.graph.catalog import load_cell
from archsearch.training.evaluate import Evaluator
from archsearch.trials.trial import Trial

NUM_SETTINGS = 20

_EXAMPLES = """\
examples:
  python benchmarks/gpu_candidate.py                                    arithmetic and XML
  python benchmarks/gpu_candidate.py --path ../data/ptb --steps 500     Penn Treebank too
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--path", help="folder with Mikolov's three files of Penn Treebank")
    parser.add_argument("--cell", default="gru", help="of the zoo, or a file (default: gru)")
    parser.add_argument("--steps", type=int, default=200, help="of each training (default: 200)")
    parser.add_argument("--engine", default="cuda", help="(default: cuda)")
    parser.add_argument("--seed", type=int, default=0, help="of the settings (default: 0)")
    options = parser.parse_args(arguments)
    if options.engine == "cuda" and not torch.cuda.is_available():
        print(f"benchmarks/gpu_candidate.py: {NO_GPU} Or try it on processors: --engine vectorized --steps 5.")
        return 2
    words = [f"task.penn_treebank.path={options.path}"] if options.path else ["task=[arithmetic,xml]"]
    planned = planned_search("experiment=jozefowicz2015", *words)
    evaluator = Evaluator(planned.tasks, options.engine)
    cell = load_cell(options.cell)
    rows: list[list[object]] = []
    for plan in planned.plan.tasks:
        settings = random.Random(options.seed).sample(plan.space.all(), NUM_SETTINGS)
        times = [
            _seconds(evaluator, plan.name, cell, settings, planned.plan.recipe, steps) for steps in (2, options.steps)
        ]
        (set_up, groups, _), (whole, _, statuses) = times
        step = (whole - set_up) / (options.steps - 2)
        rows.append([plan.name, groups, set_up, whole, 1000 * step, statuses])
        print(
            table(["task", "groups", "2 steps, s", f"{options.steps} steps, s", "a step of all, ms", "ended"], rows),
            flush=True,
        )
    return 0


def _seconds(evaluator, name, cell, settings, recipe, steps) -> tuple[float, int, str]:  # type: ignore[no-untyped-def]
    trials = [
        Trial("c", cell, name, evaluator.tasks[name].digest, recipe, setting, 0, steps, 1) for setting in settings
    ]
    begin = time.perf_counter()
    groups = evaluator.group(trials)
    results = [result for group in groups for result in evaluator.evaluate_together(group)]
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    counts = {status: sum(result.status == status for result in results) for status in {r.status for r in results}}
    return time.perf_counter() - begin, len(groups), ", ".join(f"{n} {s}" for s, n in sorted(counts.items()))


if __name__ == "__main__":
    sys.exit(main())
