"""`archsearch ablate`: takes each part of a cell away in turn and says what mattered."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from archsearch.cli.cell_choice import ChosenCell, choose_cell
from archsearch.cli.composition import Composed, compose_settings
from archsearch.cli.one_trial import overlay, plan_trial, values_of_run
from archsearch.cli.planning import read_execution
from archsearch.cli.run_configuration import chosen_tasks, from_yaml
from archsearch.cli.running import program
from archsearch.cli.section import Section
from archsearch.cli.studying import print_cost, read_confidence, sit
from archsearch.cli.tables import PLAIN_WIDTH
from archsearch.cli.words import TypedSetting, parse_words
from archsearch.errors import ConfigError
from archsearch.run.folder import write_atomically
from archsearch.run.views import to_csv
from archsearch.studies.ablate import Ablated, Ablation, AblationPlan, ablate, size_of
from archsearch.studies.replicates import check_seeds
from archsearch.studies.simplifications import simplify
from archsearch.studies.sitting import Sitting
from archsearch.training.evaluate import Evaluator
from archsearch.training.training_speed import measure_training_speed
from archsearch.trials.task import Task
from archsearch.trials.trial import Trial
from archsearch.trials.value_texts import interval_text, ratio_text


@dataclass(frozen=True)
class _Training:
    """How the cell trains on one task."""

    trial: Trial
    task: Task
    evaluator: Evaluator

    def seconds(self) -> float:
        """Returns the measured time of one trial."""
        trial = self.trial
        speed = measure_training_speed(self.task, trial.graph, trial.setting, trial.recipe, self.evaluator.engine)
        return speed.trial_seconds(trial.max_steps)


def run(words: list[str]) -> int:
    """Says the cost, trains, prints what mattered and the cell offered; returns the exit code."""
    typed = parse_words("ablate", words)
    composed = compose_settings("ablate", typed)
    root = Section(composed.values)
    chosen = choose_cell(root)
    trainings = _trainings(composed, typed, chosen)
    plan = AblationPlan(
        trials=tuple(training.trial for training in trainings),
        simplifications=simplify(trainings[0].trial.graph),
        num_seeds=check_seeds(root.integer("seeds", 1)),
        confidence=read_confidence(root),
        tolerance=root.number("tolerance", 0, 1),
    )
    if not plan.simplifications:
        raise ConfigError(f"cell {chosen.name}: nothing can be taken away from it. Choose a larger cell.")
    path = _folder(root, chosen)
    of_graph = "" if chosen.name == plan.graph.digest else f" ({plan.graph.digest})"
    print(f"{chosen.name}{of_graph}, {len(plan.simplifications)} cells with one thing less:\n")
    print("".join(f"  {line}\n" for line in plan.graph.equations().splitlines()))
    first = trainings[0].evaluator
    own = {"workers": _workers(root, chosen), "engine": first.engine}  # of the run, if the cell is of one
    execution = read_execution(Section({**root.values, **own}))
    print_cost(
        "ablation",
        plan.all_trials(),
        plan.num_trials(),
        lambda: {training.trial.task: training.seconds() for training in trainings},
        execution.workers,
        path,
    )

    def study(sitting: Sitting) -> None:
        ablation = ablate(plan, sitting)
        write_atomically(path / f"{plan.graph.digest}.csv", to_csv(ablation.frame()))
        print_ablation(ablation, path)

    tasks = {training.trial.task: training.task for training in trainings}
    evaluator = Evaluator(tasks, first.engine, first.time_limit_seconds, populations=first.populations)
    return sit(path, evaluator, execution, ["ablate", *words], study)


def _trainings(composed: Composed, typed: list[TypedSetting], chosen: ChosenCell) -> list[_Training]:
    """Returns how the cell trains on each task.

    Raises:
        ConfigError: No task is chosen, or a value cannot work.
    """
    tasks = chosen_tasks(Section(composed.values), [] if chosen.run else typed)
    names = list(tasks) or (list(chosen.run.tasks) if chosen.run else [])
    if not names:
        raise ConfigError("task: expected one at least, such as task=[xml,words], got none. With run=… it has its own.")
    trainings = []
    for name in names:
        values: Mapping[str, Any] = {**composed.values, "task": {name: tasks.get(name)}}
        if chosen.run is not None:
            kept = values_of_run(chosen.run, chosen.graph.digest, name)
            values = overlay(kept, [setting for setting in typed if setting.key != "task"])
            values["task"] = {name: values["task"][name]}
        trainings.append(_Training(*plan_trial(values, chosen)))
    return trainings


def _workers(root: Section, chosen: ChosenCell) -> object:
    """Returns what was typed, else what the run has, else `auto`."""
    if "workers" in root:
        return root.values["workers"]
    if chosen.run is None:
        return "auto"
    return from_yaml(chosen.run.folder.read_config(), chosen.run.folder.config_path)["workers"]


def _folder(root: Section, chosen: ChosenCell) -> Path:
    if "out" in root:
        return Path(root.text("out"))
    return chosen.run.path / "ablate" if chosen.run else Path("results") / f"ablate-{chosen.name}"


def print_ablation(ablation: Ablation, path: Path) -> None:
    """Prints what mattered, and the cell offered with the command to use it."""
    console = Console(markup=False)
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH, markup=False)
    plan = ablation.plan
    console.print(_table(ablation.frame(), [trial.task for trial in plan.trials]), end="")
    print(
        "ratio: of the best validation to the whole cell's, the least over tasks; by that, what it hurts most to lose "
        f"comes first.\nIn brackets its {100 * plan.confidence:g}% interval, of each row by itself: of "
        f"{len(ablation.rows)} rows about {(1 - plan.confidence) * len(ablation.rows):.1f} err. Paired by seed.\n"
    )
    print(f"Table: {path / f'{plan.graph.digest}.csv'}")
    offered = ablation.offered()
    if offered is None:
        print("Nothing can go: every smaller cell does worse, or may. More seeds=… tell better.")
        return
    _print_offer(ablation, offered, path)


def _print_offer(ablation: Ablation, offered: Ablated, path: Path) -> None:
    plan, graph = ablation.plan, offered.simplification.graph
    file = path / f"{plan.graph.digest}-simpler.eq"
    write_atomically(file, graph.equations())
    fitness = offered.judgement.fitness
    assert fitness is not None  # an offered cell was compared
    (parameters, nodes), (fewer_parameters, fewer_nodes) = size_of(plan.graph), offered.size
    sure = offered.effect == "loses nothing"
    what = "The simplest cell that loses nothing" if sure else "Not settled, but perhaps without loss"
    print(
        f"{what}: {offered.simplification.change}\n"
        f"{parameters:,} → {fewer_parameters:,} parameters, {nodes} → {fewer_nodes} nodes, "
        f"ratio {fitness}\n"
    )
    print("".join(f"  {line}\n" for line in graph.equations().splitlines()))
    where = shlex.quote(f"cell={file}")
    print(f"Next:\n  {program()} show {where}\n  {program()} export {where} out=exported")
    print("  " + (f"{program()} search {shlex.quote(f'founders=[gru,{file}]')}"))
    if not sure:
        seed = plan.trials[0].root_seed + 1
        again = f"seed={seed} seeds={2 * plan.num_seeds} {shlex.quote(f'out={path}-seed{seed}')}"
        print(f"  the same command with {again}: whether it holds where it was not chosen")


def _table(frame: pd.DataFrame, tasks: list[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("change", "effect"):
        table.add_column(name)
    for name in ("ratio", *(tasks if len(tasks) > 1 else []), "parameters", "nodes"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in frame.to_dict("records"):
        limits = row["ratio_low"], row["ratio"], row["ratio_high"]
        span = "" if pd.isna(row["ratio"]) else interval_text(*limits, between="-")
        ratios = [row[f"ratio_{task}"] for task in tasks] if len(tasks) > 1 else []
        shown = ["" if pd.isna(ratio) else ratio_text(ratio) for ratio in ratios]
        table.add_row(row["change"], row["effect"], span, *shown, f"{row['parameters']:,}", str(row["nodes"]))
    return table
