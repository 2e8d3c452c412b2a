"""The tables of a run: views of the journal as data frames, and their files."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from archsearch.run.folder import RunFolder, write_atomically
from archsearch.run.journal import JournaledTrial
from archsearch.search.knowledge import Knowledge
from archsearch.search.leaderboard import LeaderboardRow, leaderboard_rows
from archsearch.search.outcome import EXHAUSTED, IN_FLIGHT, KNOWN, NO_CHILD, StepOutcome
from archsearch.trials.metric import ACCURACY


def leaderboard_frame(knowledge: Knowledge, trials: Sequence[JournaledTrial]) -> pd.DataFrame:
    """Returns the listed cells, best first; the clock column comes last."""
    seconds: dict[str, float] = defaultdict(float)
    for trial in trials:
        seconds[trial.cell] += trial.result.seconds
    columns = {task: f"{knowledge.metrics.get(task, ACCURACY).name}_{task}" for task in knowledge.tasks}
    rows = [_flat(row, columns, seconds[row.cell]) for row in leaderboard_rows(knowledge)]
    return pd.DataFrame(rows, columns=_leaderboard_columns(columns))


def _leaderboard_columns(value_columns: Mapping[str, str]) -> list[str]:
    of_tasks = [name for task, value_column in value_columns.items() for name in (f"ratio_{task}", value_column)]
    of_cell = ["parameters", "multiply_adds", "nodes", "states", "parent", "transformations", "step", "trials"]
    return ["rank", "cell", "name", "fitness", *of_tasks, *of_cell, "settings_best", "equations", "training_seconds"]


def _flat(row: LeaderboardRow, value_columns: Mapping[str, str], seconds: float) -> dict[str, Any]:
    flat: dict[str, Any] = {"rank": row.rank, "cell": row.cell, "name": row.name, "fitness": row.fitness}
    for task, value_column in value_columns.items():
        flat[f"ratio_{task}"] = row.ratios[task]
        flat[value_column] = row.values[task]
    for name in ("parameters", "multiply_adds", "nodes", "states", "parent"):
        flat[name] = getattr(row, name)
    flat["transformations"] = " ".join(row.transformations)
    flat["step"] = row.step
    flat["trials"] = row.trials
    flat["settings_best"] = " ".join(f"{task}:{key}" for task, key in row.settings_best.items())
    flat["equations"] = row.equations
    flat["training_seconds"] = round(seconds, 3)
    return flat


def trials_frame(outcomes: Sequence[StepOutcome], trials: Sequence[JournaledTrial]) -> pd.DataFrame:
    """Returns the trials in the order in which steps consumed them, then those that no step has consumed yet."""
    step_of = {entry.key: outcome.number for outcome in outcomes for entry in outcome.examined}
    order = {key: position for position, key in enumerate(step_of)}
    ordered = sorted(trials, key=lambda trial: (order.get(trial.key, len(order)), trial.key))
    return pd.DataFrame([_trial_row(trial, step_of.get(trial.key)) for trial in ordered], columns=_TRIAL_COLUMNS)


_TRIAL_COLUMNS = [
    *("step", "cell", "task", "init_scale", "learning_rate", "max_gradient_norm", "num_layers", "max_parameters"),
    *("replicate", "max_steps", "status", "metric", "value", "training_steps", "parameters", "hidden_size", "error"),
    *("key", "training_seconds"),
]


def _trial_row(trial: JournaledTrial, step: int | None) -> dict[str, Any]:
    result = trial.result
    return {
        "step": pd.NA if step is None else step,
        "cell": trial.cell,
        "task": trial.task,
        **asdict(trial.setting),
        "replicate": trial.replicate,
        "max_steps": trial.max_steps,
        "status": result.status,
        "metric": result.metric,
        "value": result.value,
        "training_steps": result.steps,
        "parameters": result.parameters,
        "hidden_size": result.hidden_size,
        "error": result.error,
        "key": trial.key,
        "training_seconds": round(result.seconds, 3),
    }


def candidates_frame(outcomes: Sequence[StepOutcome]) -> pd.DataFrame:
    """Returns one row per step after the founders': what it was about, how far it came, what was drawn in vain."""
    rows = []
    for outcome in outcomes:
        if outcome.kind == "baseline":
            continue
        cell = outcome.cells[0] if outcome.cells else None
        rows.append(
            {
                "step": outcome.number,
                "kind": outcome.kind,
                "cell": cell.digest if cell else "",
                "parent": cell.parent if cell else "",
                "transformations": " ".join(cell.transformations) if cell else "",
                "stage": outcome.stage,
                "trials": len(outcome.examined),
                "dropped": len(outcome.dropped),
            }
        )
    columns = ["step", "kind", "cell", "parent", "transformations", "stage", "trials", "dropped"]
    return pd.DataFrame(rows, columns=columns)


def summary(knowledge: Knowledge, outcomes: Sequence[StepOutcome], trials: Sequence[JournaledTrial]) -> dict[str, Any]:
    """Returns the run in numbers: steps, stages, failures by kind, duplicates and what they would have cost."""
    consumed = {entry.key for outcome in outcomes for entry in outcome.examined}
    used = [trial for trial in trials if trial.key in consumed]
    proposed = [outcome for outcome in outcomes if outcome.kind == "propose"]
    statuses = Counter(trial.result.status for trial in used)
    return {
        "candidates": len(proposed),
        "reevaluations": sum(outcome.kind == "reevaluate" for outcome in outcomes),
        "stages": dict(sorted(Counter(outcome.stage for outcome in proposed).items())),
        "trials": len(used),
        "statuses": dict(sorted(statuses.items())),
        "reproducible": not statuses["time_limit"] and not statuses["worker_lost"],
        "baseline": {task: knowledge.baseline_value(task) for task in knowledge.tasks},
        "listed": len(knowledge.listed),
        "duplicates": _duplicates(outcomes, used),
        "training_seconds": round(sum(trial.result.seconds for trial in used), 3),
    }


def _duplicates(outcomes: Sequence[StepOutcome], trials: Sequence[JournaledTrial]) -> dict[str, Any]:
    """Counts children drawn and dropped, and what training the known ones anew would have cost.

    A cell met again is charged the trials of the step that first proposed it; a founder, which has had its settings,
    is charged nothing.
    """
    seconds = {trial.key: trial.result.seconds for trial in trials}
    first: dict[str, StepOutcome] = {}
    for outcome in outcomes:
        if outcome.kind == "propose" and outcome.cells:
            first.setdefault(outcome.cells[0].digest, outcome)
    dropped = [pair for outcome in outcomes for pair in outcome.dropped]
    named = {KNOWN, IN_FLIGHT, EXHAUSTED, NO_CHILD}
    reasons = Counter(reason if reason in named else "out of bounds" for _, reason in dropped)
    again = [first[digest] for digest, reason in dropped if reason in {KNOWN, IN_FLIGHT} and digest in first]
    return {
        "dropped": dict(sorted(reasons.items())),
        "trials_saved": sum(len(outcome.examined) for outcome in again),
        "training_seconds_saved": round(sum(seconds[entry.key] for outcome in again for entry in outcome.examined), 3),
    }


def to_csv(frame: pd.DataFrame) -> str:
    """Returns a table as the text of its file."""
    return frame.to_csv(index=False, lineterminator="\n")


def write_views(
    folder: RunFolder, knowledge: Knowledge, outcomes: Sequence[StepOutcome], trials: Sequence[JournaledTrial]
) -> None:
    """Writes the CSV files, the summary and the graphs of the listed cells, each file whole or not at all."""
    frames: Mapping[str, pd.DataFrame] = {
        "leaderboard": leaderboard_frame(knowledge, trials),
        "trials": trials_frame(outcomes, trials),
        "candidates": candidates_frame(outcomes),
    }
    for name, frame in frames.items():
        write_atomically(folder.path / f"{name}.csv", to_csv(frame))
    numbers = summary(knowledge, outcomes, trials)
    write_atomically(folder.path / "summary.json", json.dumps(numbers, indent=2) + "\n")
    cells = folder.path / "cells"
    cells.mkdir(exist_ok=True)
    for digest, graph in knowledge.graphs.items():
        path = cells / f"{digest}.json"
        if not path.exists():
            write_atomically(path, graph.to_json())
