"""The tables of a run: views of the journal as data frames, and their text."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from archsearch.run.account import Account
from archsearch.run.journal import JournaledTrial
from archsearch.run.spreadsheets import without_formulas
from archsearch.search.knowledge import Knowledge
from archsearch.search.leaderboard import LeaderboardRow, leaderboard_rows
from archsearch.search.outcome import StepOutcome
from archsearch.trials.metric import ACCURACY


def leaderboard_frame(knowledge: Knowledge, account: Account) -> pd.DataFrame:
    """Returns the listed cells, best first; clock columns come last.

    Args:
        knowledge: The fold of the steps.
        account: Of the same steps.
    """
    columns = {task: f"{knowledge.metrics.get(task, ACCURACY).name}_{task}" for task in knowledge.tasks}
    milliseconds = account.step_milliseconds(knowledge)
    rows = [
        {
            **_flat(row, columns),
            "step_milliseconds": _rounded(milliseconds.get(row.cell)),
            "training_seconds": _rounded(account.training_seconds.get(row.cell, 0.0)),
        }
        for row in leaderboard_rows(knowledge)
    ]
    return pd.DataFrame(rows, columns=_leaderboard_columns(columns))


def _leaderboard_columns(value_columns: Mapping[str, str]) -> list[str]:
    of_tasks = [name for task, value_column in value_columns.items() for name in (f"ratio_{task}", value_column)]
    of_cell = ["parameters", "multiply_adds", "nodes", "states", "parent", "transformations", "step", "trials"]
    of_clock = ["step_milliseconds", "training_seconds"]
    return ["rank", "cell", "name", "fitness", *of_tasks, *of_cell, "settings_best", "equations", *of_clock]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _flat(row: LeaderboardRow, value_columns: Mapping[str, str]) -> dict[str, Any]:
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
    return flat


def trials_frame(trials: Iterable[tuple[int | None, JournaledTrial]]) -> pd.DataFrame:
    """Returns one row per trial, in the order given.

    Args:
        trials: Each with the number of the step that consumed it, None if no step has yet.
    """
    return pd.DataFrame([_trial_row(trial, step) for step, trial in trials], columns=_TRIAL_COLUMNS)


def in_order(
    outcomes: Iterable[StepOutcome], trials: Iterable[JournaledTrial]
) -> Iterator[tuple[int | None, JournaledTrial]]:
    """Yields trials in the order in which steps consumed them, then those that no step has consumed yet, by key."""
    left = {trial.key: trial for trial in trials}
    for outcome in outcomes:
        for entry in outcome.examined:
            yield outcome.number, left.pop(entry.key)
    for key in sorted(left):
        yield None, left[key]


_TRIAL_COLUMNS = [
    *("step", "cell", "task", "init_scale", "learning_rate", "max_gradient_norm", "num_layers", "max_parameters"),
    *("replicate", "max_steps", "status", "metric", "value", "training_steps", "parameters", "hidden_size", "error"),
    *("key", "step_milliseconds", "training_seconds"),
]


def _trial_row(trial: JournaledTrial, step: int | None) -> dict[str, Any]:
    result, setting = trial.result, trial.setting
    return {
        "step": pd.NA if step is None else step,
        "cell": trial.cell,
        "task": trial.task,
        **{name: float(getattr(setting, name)) for name in ("init_scale", "learning_rate", "max_gradient_norm")},
        "num_layers": setting.num_layers,
        "max_parameters": setting.max_parameters,
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
        "step_milliseconds": None if result.step_seconds is None else round(1000 * result.step_seconds, 3),
        "training_seconds": round(result.seconds, 3),
    }


def candidates_frame(outcomes: Iterable[StepOutcome]) -> pd.DataFrame:
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


def to_csv(frame: pd.DataFrame) -> str:
    """Returns a table as the text of its file, without formulas."""
    return without_formulas(frame).to_csv(index=False, lineterminator="\n")
