"""Measures how long a task takes to make a batch, beside the training step that has it made, at 250,000 parameters.

A search makes each batch once per process and keeps it (`training/recorded_data.py`); here nothing is kept, so that the
share is what the first training of a process pays. What a generator does once, such as filling its tables, falls on the
first batches: their mean is shown, too.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence

import torch
from tables import table

from archsearch.cli.composition import compose_settings
from archsearch.cli.one_trial import typed_values
from archsearch.cli.planning import build_task, read_recipe
from archsearch.cli.section import Section
from archsearch.cli.words import parse_words
from archsearch.errors import ArchSearchError
from archsearch.graph.catalog import load_cell
from archsearch.training.model import build_model
from archsearch.training.trainer import Trainer
from archsearch.training.width import hidden_size_for
from archsearch.trials.setting import Setting
from archsearch.trials.task import Task
from archsearch.trials.trial import Recipe

FIRST_BATCHES = 200
SETTING = Setting(1.0, 0.001, 5.0, 1, 250_000)

_EXAMPLES = """\
examples:
  python benchmarks/batch_making.py task=xml
  python benchmarks/batch_making.py task=series task.series.path=sensors.csv
  python benchmarks/batch_making.py task=music task.music.path=FOLDER recipe=music
"""


def cpu_milliseconds(work: Callable[[], object], count: int) -> float:
    """Returns the median processor time of a call, after one that is not counted: other processes do not count."""
    work()
    times = []
    for _ in range(count):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1000 * statistics.median(times)


def trainer_of(task: Task, recipe: Recipe) -> Trainer:
    """Returns a trainer of a GRU, whose steps make their batches themselves."""
    cell = load_cell("gru").canonical()
    hidden_size = hidden_size_for(cell.structure, task.interface, SETTING.num_layers, SETTING.max_parameters)
    model = build_model(cell, task.interface, hidden_size, SETTING, recipe, "auto", seed=0)
    return Trainer(model, task, SETTING, recipe, data_seed=0)


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
    batches = task.training(1, recipe.batch_size, recipe.unroll)
    next(batches)  # with all that a task reads or builds before there is any
    start = time.process_time()
    for _ in range(FIRST_BATCHES):
        next(batches)
    first = 1000 * (time.process_time() - start) / FIRST_BATCHES
    batch = cpu_milliseconds(lambda: next(batches), FIRST_BATCHES)
    step = cpu_milliseconds(trainer_of(task, recipe).step, 60)
    columns = ("task", f"first {FIRST_BATCHES} ms", "batch ms", "step ms", "share")
    print(table(columns, [(name, first, batch, step, batch / step)]))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ArchSearchError as error:
        sys.exit(str(error))
