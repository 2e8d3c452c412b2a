"""Measures how long a task takes to make a batch, beside the training step that uses it, at 250,000 parameters.

A search makes each batch once per process and keeps it (`training/recorded_data.py`); here nothing is kept, so that the
share is the worst there can be.
"""

import statistics
import sys
import time
from collections.abc import Sequence

import torch
from tables import table

from archsearch.cli.composition import compose_settings
from archsearch.cli.one_trial import typed_values
from archsearch.cli.planning import build_task, read_recipe
from archsearch.cli.section import Section
from archsearch.cli.words import parse_words
from archsearch.errors import ArchSearchError
from archsearch.graph.catalog import load_cell
from archsearch.training.measure import measure_training_speed
from archsearch.trials.setting import Setting
from archsearch.trials.task import Task
from archsearch.trials.trial import Recipe

SETTING = Setting(1.0, 0.1, 5.0, 1, 250_000)

_EXAMPLES = """\
examples:
  python benchmarks/batch_making.py task=xml
  python benchmarks/batch_making.py task=series task.series.path=sensors.csv
  python benchmarks/batch_making.py task=music task.music.path=FOLDER recipe=music
"""


def milliseconds_per_batch(task: Task, recipe: Recipe, count: int) -> float:
    """Returns the median time of making one batch."""
    batches = task.training(1, recipe.batch_size, recipe.unroll)
    next(batches)
    times = []
    for _ in range(count):
        start = time.perf_counter()
        next(batches)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def main(words: Sequence[str]) -> int:
    """Prints one row."""
    if not words or set(words) & {"-h", "--help"}:
        print(f"{__doc__}\n{_EXAMPLES}")
        return 0
    torch.set_num_threads(1)
    typed = parse_words("evaluate", list(words))
    root = Section(typed_values(compose_settings("evaluate", typed), typed))
    (name,) = root.section("task").values
    task, recipe = build_task(root.section("task"), name), read_recipe(root.section("recipe"))
    speed = measure_training_speed(task, load_cell("gru").canonical(), SETTING, recipe, num_steps=15)
    batch = milliseconds_per_batch(task, recipe, 60)
    step = 1000 * speed.step_seconds
    print(table([{"task": name, "batch ms": batch, "step ms": step, "share": batch / step}]))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ArchSearchError as error:
        sys.exit(str(error))
