"""Measures training on a GPU: populations of settings, cuDNN's layers one after another, loops of torch's operations.

Before anything is timed, each cell's passes are compared with float64 on the CPU. Then the contenders take turns; the
median of the rounds counts. Written are training steps per second, those of all models counted.
"""

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from gpu_contenders import Case, OneAfterAnother, Steps, population
from gpu_equality import NO_GPU, PRECISIONS, worst_errors
from search_cells import NamedCell, draw_mutants, named_cells, planned_search
from tables import CsvFile, table
from torch import nn

from archsearch.compiler.layer import RecurrentLayer
from archsearch.errors import ArchSearchError, EngineError
from archsearch.graph.catalog import load_cell
from archsearch.training.grouping import Populations, group_trials
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Precision, Trial

COLUMNS = ("cell", "contender", "models", "precision", "steps_per_second", "milliseconds", "rounds", "error")
NUM_SETTINGS = 20
MAX_ERROR = 1e-5  # of outputs and gradients in float32, in units of their norm
TARGET = 10.0

_EXAMPLES = f"""\
examples:
  python benchmarks/gpu.py                                  everything: about five minutes on one GPU
  python benchmarks/gpu.py --mutants 3 --rounds 3           shorter
  python benchmarks/gpu.py --parts settings                 twenty settings of the paper's ranges alone

columns of the CSV: {", ".join(COLUMNS)}
"""

Row = dict[str, object]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns the exit code: 1 where an engine is not equal."""
    options = _options(arguments)
    if not torch.cuda.is_available():
        print(f"benchmarks/gpu.py: {NO_GPU}")
        return 2
    torch.backends.cudnn.allow_tf32 = False
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}; without TF32 but where it is named")
    mutants = draw_mutants(options.mutants, options.seed) if options.mutants else []
    with CsvFile(options.csv, COLUMNS) as file:
        if "equality" in options.parts and not _check_equality([*named_cells(options.cells), *mutants], file):
            return 1
        if "population" in options.parts:
            _measure_populations(named_cells(options.cells), mutants, options, file)
        if "settings" in options.parts:
            _measure_settings(options, file)
    print(f"\nAll rows: {options.csv}")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", nargs="+", default=["gru", "lstm_torch", "mut1"], help="of the zoo, or files")
    parser.add_argument("--mutants", type=int, default=15, help="random mutants besides (default: 15)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutants and settings (default: 0)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender (default: 5)")
    parser.add_argument("--parts", nargs="+", choices=("equality", "population", "settings"), default=None)
    parser.add_argument("--csv", type=Path, default=Path("bench-gpu.csv"), help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    options.parts = options.parts or ["equality", "population", "settings"]
    return options


def _check_equality(cells: Sequence[NamedCell], file: CsvFile) -> bool:
    worst = {}
    for cell in cells:
        errors = worst_errors(cell.graph, PRECISIONS if cell.kind == "zoo" else PRECISIONS[:1])
        worst[cell.name] = errors["full"]
        for precision, error in errors.items():
            file.add({"cell": cell.name, "contender": "equality", "precision": precision, "error": error})
    name = max(worst, key=lambda name: worst[name])
    print(
        f"equality: {len(cells)} cells against float64 on the CPU; worst error {worst[name]:.1e} ({name})", flush=True
    )
    if worst[name] > MAX_ERROR:
        print(f"expected at most {MAX_ERROR:g}; nothing is timed.")
        return False
    return True


def _case(settings: Sequence[Setting], precision: Precision = "float32") -> Case:
    planned = planned_search("experiment=jozefowicz2015", "task=[xml]")
    return Case(planned.tasks["xml"], replace(planned.plan.recipe, precision=precision), tuple(settings))


def _settings_of_one_shape() -> list[Setting]:
    """Returns settings that differ in all but the shape: one layer, 250,000 parameters."""
    planned = planned_search("experiment=jozefowicz2015", "task=[xml]")
    [plan] = planned.plan.tasks
    alike = [each for each in plan.space.all() if (each.num_layers, each.max_parameters) == (1, 250_000)]
    return random.Random(0).sample(alike, NUM_SETTINGS)


def _measure_populations(
    cells: Sequence[NamedCell], mutants: Sequence[NamedCell], options: argparse.Namespace, file: CsvFile
) -> None:
    settings = _settings_of_one_shape()
    rates: dict[tuple[str, str], float] = {}
    for cell in [*cells, *mutants]:
        contenders: dict[str, Callable[[], Steps]] = {
            "population": lambda cell=cell: population(cell.graph, _case(settings)),
        }
        if cell.kind == "zoo":
            contenders |= {
                "population_tf32": lambda cell=cell: population(cell.graph, _case(settings, "tf32")),
                "population_bfloat16": lambda cell=cell: population(cell.graph, _case(settings, "bfloat16")),
                "one_member": lambda cell=cell: population(cell.graph, _case(settings[:1])),
                "one_torch_loop_graph": lambda cell=cell: OneAfterAnother(
                    lambda width, layers: RecurrentLayer(cell.graph, width, width, layers, engine="interpreter"),
                    cell.graph,
                    _case(settings[:1]),
                    as_graph=True,
                ),
            }
        if cell.name == "gru":
            contenders |= _cudnn(nn.GRU, "gru_torch", settings)
        if cell.name == "lstm_torch":
            contenders |= _cudnn(nn.LSTM, "lstm_torch", settings)
        for name, rate in _measure(cell, contenders, options, file).items():
            rates[cell.name, name] = rate
    _report(cells, mutants, rates)


def _cudnn(
    module: type[nn.GRU] | type[nn.LSTM], name: str, settings: Sequence[Setting]
) -> dict[str, Callable[[], Steps]]:
    def make(*, as_graph: bool) -> Steps:
        return OneAfterAnother(
            lambda width, layers: module(width, width, layers), load_cell(name), _case(settings), as_graph=as_graph
        )

    def make_rounded() -> Steps:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
        try:
            steps = make(as_graph=True)
            steps(1)  # what it captures stays
        finally:
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        return steps

    return {
        "cudnn": lambda: make(as_graph=False),
        "cudnn_graph": lambda: make(as_graph=True),
        "cudnn_graph_tf32": make_rounded,
    }


def _measure(
    cell: NamedCell, makers: Mapping[str, Callable[[], Steps]], options: argparse.Namespace, file: CsvFile
) -> dict[str, float]:
    """Measures contenders in turn; returns training steps per second, of all models."""
    ready: dict[str, Steps] = {}
    times: dict[str, list[float]] = {}
    for name, make in makers.items():
        begin = time.perf_counter()
        try:
            ready[name] = make()
            _seconds(ready[name])
        except (ArchSearchError, EngineError, RuntimeError) as failure:
            print(f"  {cell.name}, {name}: {str(failure).splitlines()[0][:150]}", flush=True)
            ready.pop(name, None)
            continue
        times[name] = []
        file.add(
            {"cell": cell.name, "contender": f"{name}: set-up", "milliseconds": 1000 * (time.perf_counter() - begin)}
        )
    for _ in range(options.rounds):
        for name, steps in ready.items():
            times[name].append(_seconds(steps))
    rates = {}
    for name, each in times.items():
        models = 1 if name.startswith("one_") else NUM_SETTINGS
        median = statistics.median(each)
        rates[name] = models / median
        row: Row = {"cell": cell.name, "contender": name, "models": models, "steps_per_second": rates[name]}
        file.add(row | {"milliseconds": 1000 * median, "rounds": len(each)})
    print(f"  {cell.name}: " + ", ".join(f"{name} {rate:,.0f}/s" for name, rate in rates.items()), flush=True)
    return rates


def _seconds(steps: Steps, least_seconds: float = 0.15) -> float:
    """Returns the time of one step of all models, from as many as fill some time."""
    torch.cuda.synchronize()
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < least_seconds:
        count += steps(8)
        torch.cuda.synchronize()
    return (time.perf_counter() - begin) / count


def _report(cells: Sequence[NamedCell], mutants: Sequence[NamedCell], rates: Mapping[tuple[str, str], float]) -> None:
    names = list(dict.fromkeys(name for _, name in rates))
    rows = [[cell.name, *(rates.get((cell.name, name)) for name in names)] for cell in cells]
    if mutants:
        for label, choose in (("mutants' median", statistics.median), ("mutants' minimum", min)):
            found = [[rates[cell.name, name] for cell in mutants if (cell.name, name) in rates] for name in names]
            rows.append([label, *(choose(each) if each else None for each in found)])
    print(f"\nTraining steps per second, {NUM_SETTINGS} models where not one\n")
    print(table(["cell", *names], rows))
    for peer in ("cudnn", "cudnn_graph"):
        if ("gru", peer) not in rates:
            continue
        lines = [(cell.name, rates.get((cell.name, "population"))) for cell in cells]
        if mutants:
            lines.append(("mutants' median", statistics.median(rates[cell.name, "population"] for cell in mutants)))
        texts = [f"{name} {rate / rates['gru', peer]:.1f}" for name, rate in lines if rate is not None]
        print(f"times {peer} (nn.GRU, one after another), at least {TARGET:g} asked: {', '.join(texts)}")


def _measure_settings(options: argparse.Namespace, file: CsvFile) -> None:
    """Measures a search's own case: settings of the paper's ranges, of several layers and widths."""
    planned = planned_search("experiment=jozefowicz2015", "task=[xml]")
    [plan] = planned.plan.tasks
    task, cell = planned.tasks["xml"], load_cell("gru")
    settings = random.Random(options.seed).sample(plan.space.all(), NUM_SETTINGS)
    print(f"\n{NUM_SETTINGS} settings drawn from R20-R24, one step of each, milliseconds\n", flush=True)
    trials = [
        Trial("c", cell, "xml", task.digest, planned.plan.recipe, setting, 0, 1000, options.seed)
        for setting in settings
    ]
    ways: dict[str, list[Steps]] = {}
    for padding in (1.0, 1.25, 3.0):
        groups = group_trials(trials, {"xml": task}, Populations(padding=padding), 32, 8)
        ways[f"populations, padding {padding:g}"] = [
            population(cell, _case([trial.setting for trial in group])) for group in groups
        ]
    for name, as_graph in (("cudnn", False), ("cudnn_graph", True)):
        ways[f"settings: {name}"] = [
            OneAfterAnother(
                lambda width, layers: nn.GRU(width, width, layers),
                load_cell("gru_torch"),
                _case([setting]),
                as_graph=as_graph,
            )
            for setting in settings
        ]
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(options.rounds + 1):
        for name, parts in ways.items():
            total = sum(_seconds(steps, 0.1) for steps in parts)
            if number:  # the first round warms up
                seconds[name].append(total)
    rows: list[list[object]] = []
    for name, parts in ways.items():
        milliseconds = 1000 * statistics.median(seconds[name])
        rows.append([name, len(parts), NUM_SETTINGS / len(parts), milliseconds])
        file.add(
            {
                "cell": "gru",
                "contender": name,
                "models": NUM_SETTINGS,
                "milliseconds": milliseconds,
                "rounds": options.rounds,
            }
        )
    print(table(["how", "groups", "models in each", "milliseconds"], rows))


if __name__ == "__main__":
    sys.exit(main())
