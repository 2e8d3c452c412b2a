"""What a run would have cost with another engine: trainings of its journal, drawn anew and measured with both.

Trainings are drawn with chances in proportion to the seconds that they took, so that the mean of the ratios is that of
the whole run. Each is measured with either engine in turn, the same training steps and validations: building the model,
steps (their median), validations. One thread on one core. The interval is Student's, of 95 %.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats
from tables import CsvFile, table
from timing import pin_one_thread

from archsearch.cli.planning import PlannedSearch
from archsearch.cli.section import Section
from archsearch.cli.studying import plan_of_run
from archsearch.compiler.engines import ENGINES
from archsearch.run.journal import JournaledTrial
from archsearch.run.reading import Run, load_run
from archsearch.training.training_speed import measure_training_speed

COLUMNS = ("cell", "task", "setting", "training_steps", "seconds", "other_seconds", "ratio")
CONFIDENCE = 0.95

_EXAMPLES = """\
examples:
  python benchmarks/run_engines.py results/halving
  python benchmarks/run_engines.py results/halving --engine native --other vectorized --trials 10
"""


@dataclass(frozen=True)
class Pace:
    """What a run got done in an hour of one core.

    Attributes:
        trials: Trainings in an hour.
        candidates: Cells in an hour.
    """

    trials: float
    candidates: float

    def slowed(self, ratio: float) -> "Pace":
        """Returns the pace where everything takes `ratio` times as long."""
        return Pace(self.trials / ratio, self.candidates / ratio)


def pace_of(run: Run) -> Pace:
    """Returns the pace of a run, by the seconds that its trainings took."""
    hours = float(run.trials()["training_seconds"].sum()) / 3600
    num_candidates = sum(outcome.kind == "propose" for outcome in run.outcomes)
    return Pace(len(run.trials()) / hours, num_candidates / hours)


def draw_trials(run: Run, count: int, seed: int) -> list[JournaledTrial]:
    """Draws trainings that succeeded, with chances in proportion to their seconds; one may come more than once."""
    # cells of steps that were in flight at the end are not
    known = {cell.digest for outcome in run.outcomes for cell in outcome.cells}
    succeeded = [trial for trial in run.journaled_trials if trial.result.status == "ok" and trial.cell in known]
    seconds = np.array([trial.result.seconds for trial in succeeded])
    drawn = np.random.default_rng(seed).choice(len(succeeded), count, p=seconds / seconds.sum())
    return [succeeded[index] for index in drawn]


def seconds_of(planned: PlannedSearch, trial: JournaledTrial, run: Run, engine: str, num_steps: int) -> float:
    """Returns the time of a training with an engine."""
    task = planned.tasks[trial.task]
    speed = measure_training_speed(
        task, run.cell(trial.cell), trial.setting, planned.plan.recipe, engine, num_steps=num_steps
    )
    return speed.trial_seconds(trial.result.steps)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="folder of a run")
    parser.add_argument("--engine", choices=ENGINES, default="native", help="what the run used")
    parser.add_argument("--other", choices=ENGINES, default="interpreter")
    parser.add_argument("--trials", type=int, default=30, help="trainings to draw, at least 2")
    parser.add_argument("--steps", type=int, default=30, help="training steps of each that are timed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--csv", type=Path, help="where each training's times go")
    arguments = parser.parse_args()
    print(pin_one_thread())
    run = load_run(arguments.run, curves=False)
    planned = plan_of_run(run, Section({}))
    engines = (arguments.engine, arguments.other)
    rows: list[dict[str, object]] = []
    ratios: list[float] = []
    drawn = draw_trials(run, arguments.trials, arguments.seed)
    for trial in {trial.task: trial for trial in drawn}.values():  # a task's data are made once, for neither engine
        seconds_of(planned, trial, run, arguments.engine, arguments.steps)
    for number, trial in enumerate(drawn):
        seconds = {
            engine: seconds_of(planned, trial, run, engine, arguments.steps)
            for engine in (engines if number % 2 else engines[::-1])
        }
        ours, others = (seconds[engine] for engine in engines)
        row = (trial.cell, trial.task, trial.setting.key, trial.result.steps, ours, others, others / ours)
        ratios.append(others / ours)
        rows.append(dict(zip(COLUMNS, row, strict=True)))
        print(f"{trial.cell} {trial.task}: {ours:.2f} s, {others:.2f} s, {others / ours:.2f} times as long", flush=True)
    if arguments.csv:
        with CsvFile(arguments.csv, COLUMNS) as file:
            for row_of_file in rows:
                file.add(row_of_file)
    mean, between = float(np.mean(ratios)), stats.ttest_1samp(ratios, 0).confidence_interval(CONFIDENCE)
    pace = pace_of(run)
    slowed = pace.slowed(mean)
    print(f"engine={arguments.other} takes {mean:.2f} times as long ({between.low:.2f} to {between.high:.2f})\n")
    lines = [
        (f"{arguments.engine} (as the run recorded it)", f"{pace.trials:,.0f}", f"{pace.candidates:,.1f}"),
        (f"{arguments.other} (÷ {mean:.2f})", f"{slowed.trials:,.0f}", f"{slowed.candidates:,.1f}"),
    ]
    print(table(("engine", "trials per core-hour", "candidates per core-hour"), lines))


if __name__ == "__main__":
    main()
