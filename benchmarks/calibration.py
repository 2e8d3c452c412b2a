"""Records learning curves of the ten cells of Table 1, from which the budgets of the experiments follow.

    python benchmarks/calibration.py FOLDER --minutes 60
    python benchmarks/calibration_tables.py FOLDER/curves.csv

Trains every cell with the same settings, drawn once per task, on tasks of several difficulties. The trials are those
of a search: the same evaluator, the same recipe and schedule, kept in a journal, so that the benchmark may be stopped
and called again as often as need be; whatever is done then is balanced over cells and tasks. `curves.csv` has one row
per validation and is what `archsearch replay recorded=FOLDER/curves.csv` reads.

Source of the cells: Jozefowicz 2015, Table 1.
"""

import argparse
import csv
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from archsearch.graph.catalog import zoo_cell
from archsearch.run.journal import Journal
from archsearch.seeds import scalar_generator
from archsearch.tasks.arithmetic import Arithmetic
from archsearch.tasks.words import Words
from archsearch.tasks.xml import Xml
from archsearch.training.evaluate import Evaluator
from archsearch.trials.setting import Setting, SettingSpace
from archsearch.trials.task import Task
from archsearch.trials.trial import Recipe, Trial

CELLS = ("tanh", "lstm", "lstm_f", "lstm_i", "lstm_o", "lstm_b", "gru", "mut1", "mut2", "mut3")
COLUMNS = (
    *("cell", "task", "init_scale", "learning_rate", "max_gradient_norm", "num_layers", "max_parameters"),
    *("replicate", "max_steps", "status", "step", "accuracy", "seconds"),
)
SPACE = SettingSpace((0.7, 1.0, 1.4, 2.0, 2.8), (0.2, 0.5, 1.0, 2.0), (1.0, 2.5, 5.0), (1,), (25_000,))
VALIDATION_SIZE = 7_000
LONG_EPOCH = 500  # with short ones of 100 steps the schedule ends most trainings within 1,500


@dataclass(frozen=True)
class Track:
    """A task at one difficulty, and how long cells train on it.

    Attributes:
        task: The task.
        max_steps: Training steps of a trial.
        max_parameters: The budget of a model.
    """

    task: Task
    max_steps: int
    max_parameters: int = 25_000


def tracks() -> dict[str, Track]:
    """Returns the tasks measured, by name: short epochs and easy tasks first, then long epochs."""
    words = replace(Words("words"), validation_size=VALIDATION_SIZE)
    long = {"epoch": LONG_EPOCH, "validation_size": VALIDATION_SIZE}
    made = (
        Track(Xml("xml_4", num_letters=4, max_tag=3, validation_size=VALIDATION_SIZE), 2_000),
        Track(Arithmetic("arithmetic_1", max_digits=1, max_distractors=0, validation_size=VALIDATION_SIZE), 2_000),
        Track(Arithmetic("arithmetic_3", max_digits=3, max_distractors=1, validation_size=VALIDATION_SIZE), 2_000),
        Track(words, 1_000, 40_000),
        Track(Xml("xml_26", validation_size=VALIDATION_SIZE), 2_000),
        Track(Arithmetic("arithmetic_3_long", max_digits=3, max_distractors=1, **long), 5_000),
        Track(Xml("xml_26_long", **long), 5_000),
        Track(replace(words, name="words_long", epoch=LONG_EPOCH), 2_500, 40_000),
    )
    return {track.task.name: track for track in made}


def planned_trials(chosen: list[Track], cells: list[str], num_settings: int, num_replicates: int) -> Iterator[Trial]:
    """Yields all trials in an order that is balanced wherever it is cut: cells last, replicates behind settings."""
    graphs = {name: zoo_cell(name).canonical() for name in cells}
    rounds = [(setting, replicate) for setting in range(num_settings) for replicate in range(num_replicates)]
    for number, replicate in sorted(rounds, key=lambda pair: (pair[0] + 2 * pair[1], pair[1])):
        for track in chosen:
            for graph in graphs.values():
                yield Trial(
                    cell=graph.digest,
                    graph=graph,
                    task=track.task.name,
                    task_digest=track.task.digest,
                    recipe=Recipe(),
                    setting=_settings(track)[number],
                    replicate=replicate,
                    max_steps=track.max_steps,
                    root_seed=1,
                )


def _settings(track: Track) -> list[Setting]:
    """Returns the task's settings in a random order, the same at every call."""
    settings = list(SPACE.all())
    scalar_generator("calibration", track.task.name).shuffle(settings)
    return [replace(setting, max_parameters=track.max_parameters) for setting in settings]


def measure(folder: Path, trials: Iterator[Trial], evaluator: Evaluator, minutes: float) -> None:
    """Trains what the journal lacks until the time is over; a trial that was begun is finished."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "archsearch.db"
    journal = Journal.open(path) if path.exists() else Journal.create(path)
    end = time.monotonic() + 60 * minutes
    done = recorded = 0
    try:
        for trial in trials:
            if journal.result(trial.key) is not None:
                recorded += 1
                continue
            if time.monotonic() >= end:
                break
            journal.add_trial(trial, evaluator.evaluate(trial))
            done += 1
    finally:
        write_curves(journal, folder / "curves.csv")
        journal.close()
    print(f"{done} trials trained now, {recorded} kept from before; curves in {folder / 'curves.csv'}")


def write_curves(journal: Journal, path: Path) -> None:
    """Writes one row per validation of every trial kept."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(curve_rows(journal))


def curve_rows(journal: Journal) -> Iterator[dict[str, object]]:
    """Yields a row of the CSV per validation of every trial kept; one of accuracy 0 where a trial has none."""
    names = {zoo_cell(name).digest: name for name in CELLS}
    for trial in journal.trials():
        result = trial.result
        common = {
            "cell": names.get(trial.cell, trial.cell),
            "task": trial.task,
            **asdict(trial.setting),
            "replicate": trial.replicate,
            "max_steps": trial.max_steps,
            "status": result.status,
            "seconds": round(result.seconds, 1),
        }
        for step, _, accuracy in result.curve or ((result.steps, 0.0, 0.0),):
            yield {**common, "step": step, "accuracy": round(accuracy, 6)}


def main() -> None:
    """Reads the command line and measures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="for the journal and the curves")
    parser.add_argument("--minutes", type=float, default=60, help="no trial is begun later")
    parser.add_argument("--tasks", nargs="+", choices=tracks(), default=list(tracks()))
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--settings", type=int, default=12, help="of each cell on each task")
    parser.add_argument("--replicates", type=int, default=3, help="seeds of each setting")
    parser.add_argument("--steps", type=int, help="of every trial, instead of the task's own number")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chosen = [tracks()[name] for name in arguments.tasks]
    if arguments.steps:
        chosen = [replace(track, max_steps=arguments.steps) for track in chosen]
    trials = planned_trials(chosen, arguments.cells, arguments.settings, arguments.replicates)
    measure(arguments.folder, trials, Evaluator({track.task.name: track.task for track in chosen}), arguments.minutes)


if __name__ == "__main__":
    main()
