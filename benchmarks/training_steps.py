"""Measures whole training steps on the tasks, and where their time goes, with each engine.

One thread on one core. A step is what a search's trials take: data, embedding, layers, readout with its loss, clipping
and descent. Times are medians of interleaved steps; the shares come from further steps that are measured in parts. The
training data have been generated before, as every cell of a search but the first finds them. The settings are the
quickstart's, besides XML with 250,000 parameters and, where its files are found, Penn Treebank.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from search_cells import planned_search
from step_parts import PARTS, measure_parts
from tables import CsvFile, table
from timing import MAX_PER_TURN, disturbance, interleaved_medians, pin_one_thread

from archsearch.compiler.engines import ENGINES
from archsearch.errors import ArchSearchError, ConfigError
from archsearch.graph.catalog import load_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.search.plan import TaskPlan
from archsearch.training.denormals import flush_denormals
from archsearch.training.environment import describe_environment
from archsearch.training.model import build_model
from archsearch.training.recorded_data import training_minibatches
from archsearch.training.trainer import Trainer
from archsearch.training.width import hidden_size_for
from archsearch.trials.setting import Setting
from archsearch.trials.task import Task
from archsearch.trials.trial import Recipe

COLUMNS = (
    *("case", "task", "cell", "engine", "H", "layers", "symbols", "parameters"),
    *("ms_per_step", "tokens_per_second", "speedup"),
    *(f"share_{part}" for part in PARTS),
    *("layer_and_readout", "rounds", "cpu_share"),
)
QUICKSTART = ("memorization", "arithmetic", "xml", "words")
CASES = (*QUICKSTART, "xml_250k", "penn_treebank")
LARGE = 250_000
PENN_TREEBANK = 5_000_000
MAX_PART_STEPS = 200
MIN_PRODUCTS_SHARE = 0.85

_EXAMPLES = f"""\
examples:
  python benchmarks/training_steps.py                         everything: about a minute
  python benchmarks/training_steps.py --cases xml_250k --cell lstm_torch
  python benchmarks/training_steps.py --cases penn_treebank   its files are looked for in $ARCHSEARCH_DATA/ptb

columns of the CSV: {", ".join(COLUMNS)}
"""

Row = dict[str, object]


@dataclass(frozen=True)
class Case:
    """What is trained."""

    name: str
    task: Task
    setting: Setting
    recipe: Recipe


def find_case(name: str) -> Case:
    """Returns a case of `CASES`.

    Raises:
        ConfigError: The task's data are not there.
    """
    if name in QUICKSTART:
        planned = planned_search()
        plan = next(plan for plan in planned.plan.all_tasks if plan.name == name)
        return Case(name, planned.tasks[name], _middle(plan), planned.plan.recipe)
    task, max_parameters = ("xml", LARGE) if name == "xml_250k" else (name, PENN_TREEBANK)
    planned = planned_search("experiment=jozefowicz2015", f"task=[{task}]")
    setting = replace(_middle(planned.plan.tasks[0]), num_layers=1, max_parameters=max_parameters)
    return Case(name, planned.tasks[task], setting, planned.plan.recipe)


def _middle(plan: TaskPlan) -> Setting:
    """Returns the middle value of each coordinate; with no learning rate, so that no step changes a weight."""
    space = plan.space
    coordinates = (space.max_gradient_norms, space.num_layers, space.max_parameters)
    norm, layers, parameters = (sorted(values)[len(values) // 2] for values in coordinates)
    return Setting(0.1, 0.0, norm, int(layers), int(parameters))


def measure_case(
    case: Case, name: str, cell: CellGraph, engines: Sequence[str], seconds: float, max_rounds: int
) -> list[Row]:
    """Returns one row per engine."""
    setting, interface = case.setting, case.task.interface
    hidden_size = hidden_size_for(cell.structure, interface, setting.num_layers, setting.max_parameters)
    recipe = case.recipe
    num_steps = (MAX_PER_TURN + 1) * max_rounds + MAX_PART_STEPS + 2  # with the two that warm up
    batches = training_minibatches(case.task, 0, recipe.batch_size, recipe.unroll)
    num_tokens = next(batches).inputs.numel()
    for _ in itertools.islice(batches, num_steps):
        pass
    trainers = {}
    for engine in engines:
        model = build_model(cell, interface, hidden_size, setting, recipe, engine, seed=0)
        trainers[engine] = Trainer(model, case.task, setting, recipe, data_seed=0)
    measured = interleaved_medians({name: it.step for name, it in trainers.items()}, seconds, max_rounds)
    times = measured.milliseconds
    rows: list[Row] = []
    for engine, trainer in trainers.items():
        shares = measure_parts(trainer, max(5, min(MAX_PART_STEPS, int(1000 * seconds / 2 / times[engine]))))
        row: Row = {
            "case": case.name,
            "task": case.task.name,
            "cell": name,
            "engine": engine,
            "H": hidden_size,
            "layers": setting.num_layers,
            "symbols": interface.num_symbols,
            "parameters": sum(parameter.numel() for parameter in trainer.model.parameters()),
            "ms_per_step": times[engine],
            "tokens_per_second": 1000 * num_tokens / times[engine],
            "speedup": times[engines[0]] / times[engine],
            "layer_and_readout": shares["layer"] + shares["readout"],
            "rounds": measured.rounds,
            "cpu_share": measured.cpu_share,
        }
        rows.append(row | {f"share_{part}": share for part, share in shares.items()})
    return rows


def summary(rows: Sequence[Row]) -> str:
    """Returns the table and the verdict."""
    header = ("case", "engine", "H", "layers", "symbols", "parameters", "ms/step", "tokens/s", "speedup")
    columns = ("case", "engine", "H", "layers", "symbols", "parameters", "ms_per_step", "tokens_per_second", "speedup")
    columns += tuple(f"share_{part}" for part in PARTS)
    text = table((*header, *PARTS), [[row[column] for column in columns] for row in rows])
    for row in rows:
        if (row["case"], row["engine"]) == ("xml_250k", "native"):
            share = cast(float, row["layer_and_readout"])
            verdict = "met" if share >= MIN_PRODUCTS_SHARE else "NOT MET"
            text += f"\n\nlayer and readout of xml_250k: {share:.1%}, at least {MIN_PRODUCTS_SHARE:.0%}: {verdict}"
    return text


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, help="what to train on (default: all)")
    parser.add_argument("--cell", default="gru", help="a zoo name or file (default: %(default)s)")
    parser.add_argument(
        "--engines", nargs="+", choices=list(ENGINES), default=["interpreter", "native"], help="(default: both)"
    )
    parser.add_argument("--repeats", type=int, default=50, help="most rounds of repeats a case (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=4.0, help="aimed at for a case (default: %(default)s)")
    parser.add_argument("--csv", type=Path, default=Path("bench-steps.csv"), help="written to (default: ./%(default)s)")
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error("repeats must be at least 1")
    return arguments


def main() -> int:
    """Measures, prints and writes."""
    arguments = _arguments()
    pinned = pin_one_thread()
    environment = describe_environment("")
    start = time.monotonic()
    try:
        cell = load_cell(arguments.cell).canonical()  # what trials train
        print(f"{environment['cpu']}, torch {environment['torch']}, {pinned}; cell {arguments.cell}")
        rows: list[Row] = []
        with CsvFile(arguments.csv, COLUMNS) as file, flush_denormals():
            for name in arguments.cases:
                try:
                    case = find_case(name)
                except ConfigError as error:
                    if name != "penn_treebank":
                        raise
                    print(f"{name} not measured: {error}")
                    continue
                measured = measure_case(
                    case, arguments.cell, cell, arguments.engines, arguments.seconds, arguments.repeats
                )
                for row in measured:
                    rows.append(row)
                    file.add(row)
                print(f"[{time.monotonic() - start:4.0f} s] {name}", file=sys.stderr, flush=True)
    except ArchSearchError as error:
        print(error, file=sys.stderr)
        return 2
    if rows:
        print(f"\n{summary(rows)}{disturbance([cast(float, row['cpu_share']) for row in rows])}")
    print(f"\n{len(rows)} rows in {arguments.csv.absolute()}, {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
