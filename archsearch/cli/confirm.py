"""`archsearch confirm`: trains the best cells of a run anew, on fresh seeds, and scores them on test data."""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from archsearch.cli.composition import compose_settings
from archsearch.cli.planning import PlannedSearch
from archsearch.cli.running import measure_trial_seconds, program
from archsearch.cli.section import Section
from archsearch.cli.studying import plan_of_run, print_cost, read_confidence, sit
from archsearch.cli.tables import PLAIN_WIDTH
from archsearch.cli.words import parse_words
from archsearch.mutation.bounds import REFERENCE_SIZE
from archsearch.run.reading import Run, load_run
from archsearch.studies.confirm import ConfirmationPlan, confirm
from archsearch.studies.confirmation import Confirmation, judge_all
from archsearch.studies.contestants import choose_contestants, names_of
from archsearch.studies.replicates import CONFIRMING_REPLICATE, check_seeds
from archsearch.studies.sitting import Sitting, recorded_results
from archsearch.training.evaluate import HeldOutEvaluator
from archsearch.training.training_speed import measure_step_milliseconds
from archsearch.trials.trial import Trial
from archsearch.trials.value_texts import interval_text


def run(words: list[str]) -> int:
    """Says the cost, trains, writes the tables and prints a sentence per cell; returns the exit code."""
    root = Section(compose_settings("confirm", parse_words("confirm", words)).values)
    found = load_run(root.text("run"))
    planned = plan_of_run(found, root)
    plan = _plan(root, found, planned)
    path = found.path / "confirm"
    print(f"Finalists: {names_of([c for c in plan.contestants if c.role == 'finalist'])}")
    print(f"Beside them: {names_of([c for c in plan.contestants if c.role == 'baseline'])}")
    print_cost(
        "confirmation",
        _known_trials(plan, found),
        plan.num_trials(),
        lambda: measure_trial_seconds(planned, planned.plan.tasks),
        planned.workers,
        path,
    )

    def study(sitting: Sitting) -> None:
        confirmed = confirm(plan, sitting)
        sitting.close()  # nothing else runs while a step is timed
        graphs = [contestant.graph for contestant in plan.contestants]
        engine = planned.evaluator.engine
        milliseconds = measure_step_milliseconds(graphs, plan.search.recipe, REFERENCE_SIZE, engine)
        cells = [contestant.cell for contestant in plan.contestants]
        confirmation = judge_all(confirmed, dict(zip(cells, milliseconds, strict=True)), engine)
        confirmation.write(found.folder)
        print_confirmation(confirmation, found)

    # nothing here goes on from a shorter training, and the cache is the search's
    evaluator = HeldOutEvaluator(replace(planned.evaluator, checkpoints=None), CONFIRMING_REPLICATE)
    return sit(path, evaluator, planned.execution, ["confirm", *words], study)


def _plan(root: Section, found: Run, planned: PlannedSearch) -> ConfirmationPlan:
    """Returns what to train.

    Raises:
        ConfigError: A number cannot work.
        SearchStateError: The run has found nothing yet.
    """
    num_seeds = check_seeds(root.integer("seeds", 1))
    contestants = choose_contestants(found, planned.plan.baseline, root.integer("top", 1), root.texts("beside"))
    return ConfirmationPlan(planned.plan, contestants, root.integer("settings", 1), num_seeds, read_confidence(root))


def _known_trials(plan: ConfirmationPlan, found: Run) -> tuple[Trial, ...]:
    """Returns the trials that can be told by now: those that follow tuning only if the tuning is done."""
    tuning = plan.tuning_trials()
    results = recorded_results(found.path / "confirm", tuning)
    if len(results) < len(tuning):
        return tuning
    return (*tuning, *plan.confirming_trials(plan.choose_settings(results)).values())


def print_confirmation(confirmation: Confirmation, found: Run) -> None:
    """Prints the table, a sentence per cell, and where the files are."""
    console = Console(markup=False)
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH, markup=False)
    plan = confirmation.confirmed.plan
    console.print(_table(confirmation.frame(), [task.name for task in plan.search.tasks]), end="")
    print(
        f"ratios to the {plan.baseline.title} on test data, {plan.num_seeds} seeds, with intervals that hold for all "
        f"{plan.num_finalists} finalists at once,\neach task by itself, with {100 * plan.confidence:g}% confidence; "
        f"fitness: the least of the true ratios, where all cells have as many parameters.\n"
        f"parameters and ms (a training step): of one layer of {REFERENCE_SIZE} units. "
        f"* nothing else is both as fit and, there, as small or as fast.\n"
    )
    print("\n".join(confirmation.sentences()))
    print(f"\nConfirmation: {found.folder.confirmation_path}, and .json beside it with every value")
    named = shlex.quote(f"run={found.path}")
    print(f"Next:\n  {program()} leaderboard {named}\n  {program()} report {named}")


def _table(frame: pd.DataFrame, tasks: list[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("cell", "verdict"):
        table.add_column(name, no_wrap=True)
    for name in ("fitness", *tasks, "parameters", "ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in frame.to_dict("records"):
        milliseconds = row["step_milliseconds"]
        table.add_row(
            row["name"] or row["cell"],
            row["verdict"].replace("_", " "),
            *(_span(row, name) for name in ("fitness", *(f"ratio_{task}" for task in tasks))),
            _starred(f"{row['parameters']:,}", row["on_parameters_front"]),
            "" if pd.isna(milliseconds) else _starred(f"{milliseconds:.2f}", row["on_time_front"]),
        )
    return table


def _starred(text: str, is_on_front: bool) -> str:
    return text + ("*" if is_on_front else " ")


def _span(row: Mapping[Any, Any], name: str) -> str:
    """Returns an estimate with its limits, nothing if there is none."""
    if pd.isna(row[name]):
        return ""
    if row[f"{name}_low"] == row[f"{name}_high"] == 1.0:
        return "1"
    return interval_text(row[f"{name}_low"], row[name], row[f"{name}_high"], between="-")
