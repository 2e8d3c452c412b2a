"""What populations bring on processors: training steps per second beside the native engine; and how groups form.

Each contender trains in so many processes at once, each on one thread; counted are the steps of all models in all of
them. The contenders take turns, and the best round of each counts: whatever else runs on the machine only takes away.
"""

import argparse
import multiprocessing
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path

import torch
from search_cells import NamedCell, draw_mutants, named_cells, planned_search
from tables import CsvFile, table

from archsearch.graph.catalog import load_cell
from archsearch.graph.cost import count_multiply_adds
from archsearch.training.denormals import flush_denormals
from archsearch.training.grouping import Populations, group_trials, padded_size, width_of
from archsearch.training.model import build_model
from archsearch.training.population import Device, Member, PopulationTrainer
from archsearch.training.trainer import Trainer
from archsearch.training.width import hidden_size_for
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Recipe, Trial

COLUMNS = ("part", "cell", "parameters", "contender", "processes", "steps_per_second", "padding", "groups", "work")
CONTENDERS = ("native", "interpreter", "population of 1", "population of 5", "population of 20")
PADDINGS = (1.0, 1.25, 1.5, 2.0, 3.0)
NUM_SETTINGS = 20  # R4, R7
NUM_DRAWS = 50
GPU_MULTIPLE = 32
LONGEST_START_SECONDS = 120.0

_EXAMPLES = f"""\
examples:
  python benchmarks/populations.py                            everything: about five minutes on two cores
  python benchmarks/populations.py --parts groups             how settings of the paper's ranges fall into groups
  python benchmarks/populations.py --processes 1 --seconds 1  shorter

columns of the CSV: {", ".join(COLUMNS)}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=["speed", "groups"], default=["speed", "groups"])
    parser.add_argument("--cells", nargs="+", default=["gru", "lstm"], help="zoo names or files (default: gru lstm)")
    parser.add_argument("--mutants", type=int, default=10, help="random cells for the groups (default: 10)")
    parser.add_argument("--parameters", nargs="+", type=int, default=[25_000, 250_000], help="(default: 25000 250000)")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=CONTENDERS, help="(default: all)")
    parser.add_argument("--processes", type=int, default=2, help="that train at once (default: 2)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement (default: 2)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts (default: 3)")
    parser.add_argument("--csv", type=Path, default=Path("bench-populations.csv"), help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    with CsvFile(options.csv, COLUMNS) as file:
        if "speed" in options.parts:
            _measure_speed(options, file)
        if "groups" in options.parts:
            _count_groups([*named_cells(options.cells), *draw_mutants(options.mutants, 1)], file)
    print(f"\nAll rows: {options.csv}")
    return 0


def _measure_speed(options: argparse.Namespace, file: CsvFile) -> None:
    print(f"Training steps per second, all models of {options.processes} processes counted\n")
    rows = []
    for cell in options.cells:
        for parameters in options.parameters:
            rates = dict.fromkeys(options.contenders, 0.0)
            for _ in range(options.rounds):
                for name in options.contenders:
                    rates[name] = max(rates[name], _rate(name, cell, parameters, options))
            rows.append([cell, parameters, *rates.values()])
            for name, rate in rates.items():
                file.add(
                    {
                        "part": "speed",
                        "cell": cell,
                        "parameters": parameters,
                        "contender": name,
                        "processes": options.processes,
                        "steps_per_second": rate,
                    }
                )
    print(table(["cell", "parameters", *options.contenders], rows), flush=True)


def _rate(name: str, cell: str, parameters: int, options: argparse.Namespace) -> float:
    """Returns the steps per second of all processes together, while all of them train."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(options.processes)
    with ProcessPoolExecutor(options.processes, context, _keep_barrier, (barrier,)) as pool:
        each = [pool.submit(_train, name, cell, parameters, options.seconds) for _ in range(options.processes)]
        return sum(rate.result() for rate in each)


_barrier: Barrier
"""Of a process that trains: all begin at once."""


def _keep_barrier(barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier


def _train(name: str, cell: str, parameters: int, seconds: float) -> float:
    """Runs in a process of its own: trains for some time and returns the steps per second."""
    torch.set_num_threads(1)
    with flush_denormals():
        step, num_models = _contender(name, cell, parameters)
        step()
        _barrier.wait(LONGEST_START_SECONDS)
        count, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < seconds:
            count += step()
        return count * num_models / (time.perf_counter() - begin)


def _contender(name: str, cell: str, parameters: int) -> tuple[Callable[[], int], int]:
    """Returns what takes steps and says how many, and the number of models that take each."""
    planned = planned_search("experiment=jozefowicz2015", "task=[xml]")
    task, recipe, graph = planned.tasks["xml"], planned.plan.recipe, load_cell(cell)
    setting = Setting(1.0, 0.1, 5.0, 1, parameters)
    width = hidden_size_for(graph.structure, task.interface, 1, parameters)
    if not name.startswith("population"):
        model = build_model(graph, task.interface, width, setting, recipe, name, seed=0)
        trainer = Trainer(model, task, setting, recipe, data_seed=0)

        def take_one() -> int:
            trainer.step()
            return 1

        return take_one, 1
    num_members = int(name.rpartition(" ")[2])
    members = [Member(setting, width, number, 0) for number in range(num_members)]
    population = PopulationTrainer(graph, task, recipe, members, width, Device(torch.device("cpu")))
    return (lambda: population.take_steps(4)), num_members


def _count_groups(cells: Sequence[NamedCell], file: CsvFile) -> None:
    """Counts the groups of settings drawn from R20-R24, and the work that padding adds."""
    print(
        f"\n{NUM_SETTINGS} settings drawn from R20-R24 on xml, means of {NUM_DRAWS} draws; work: with padding / without"
    )
    print(f"(widths filled up to multiples of {GPU_MULTIPLE}, as on a GPU)\n")
    rows = []
    for padding in PADDINGS:
        found = [_groups_of(cell, padding) for cell in cells]
        groups, work = ([pair[number] for pair in found] for number in (0, 1))
        rows.append([f"{padding:g}", statistics.mean(groups), NUM_SETTINGS / statistics.mean(groups)])
        rows[-1] += [statistics.median(work), max(work)]
        for cell, (num_groups, added) in zip(cells, found, strict=True):
            file.add({"part": "groups", "cell": cell.name, "padding": padding, "groups": num_groups, "work": added})
    print(table(["padding", "groups", "members", "work, median cell", "largest"], rows))


def _groups_of(cell: NamedCell, padding: float) -> tuple[float, float]:
    """Returns the mean number of groups, and the multiply-adds with padding over those without."""
    planned = planned_search("experiment=jozefowicz2015", "task=[xml]")
    [plan] = planned.plan.tasks
    interfaces = {"xml": planned.tasks["xml"].interface}
    counts, padded, bare = [], 0, 0
    for draw in range(NUM_DRAWS):
        settings = random.Random(draw).sample(plan.space.all(), NUM_SETTINGS)
        trials = [Trial("c", cell.graph, "xml", "", Recipe(), setting, 0, 1, draw) for setting in settings]
        groups = group_trials(trials, planned.tasks, Populations(padding=padding), GPU_MULTIPLE)
        counts.append(len(groups))
        for group in groups:
            widths = [width_of(trial, interfaces) or 0 for trial in group]
            wide = padded_size(widths, cell.graph, GPU_MULTIPLE)
            layers = group[0].setting.num_layers
            padded += len(group) * layers * count_multiply_adds(cell.graph.structure, wide, wide)
            bare += sum(layers * count_multiply_adds(cell.graph.structure, width, width) for width in widths)
    return statistics.mean(counts), padded / bare


if __name__ == "__main__":
    sys.exit(main())
