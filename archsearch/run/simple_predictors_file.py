"""What simple predictors reach on a run's data of the user's own: a file in the run's folder, for those who read it."""

import json
from collections.abc import Mapping
from dataclasses import asdict

from archsearch.errors import FileFormatError
from archsearch.run.folder import RunFolder
from archsearch.search.leaderboard import LeaderboardRow
from archsearch.trials.simple_predictors import SimplePredictors
from archsearch.trials.task import Task
from archsearch.trials.value_texts import value_text


def keep_simple_predictors(folder: RunFolder, tasks: Mapping[str, Task]) -> None:
    """Writes the file if there are data of the user's own, and no such file yet.

    The other tasks have a page that says what chance is; to measure it anew would take longer than some searches.

    Raises:
        ConfigError: A task's data cannot be used.
        SearchStateError: Nothing can be written there.
    """
    own = {name: task for name, task in tasks.items() if task.places}
    if not own or folder.simple_predictors_path.exists():
        return
    record = {name: asdict(SimplePredictors.of_task(task)) for name, task in own.items()}
    folder.write_simple_predictors(json.dumps(record, indent=2) + "\n")


def read_simple_predictors(folder: RunFolder) -> dict[str, SimplePredictors]:
    """Returns what the file says, by task; nothing if there is none.

    Raises:
        FileFormatError: The file is something else.
    """
    path = folder.simple_predictors_path
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(name): SimplePredictors(
                str(entry["metric"]),
                bool(entry["higher_is_better"]),
                {str(key): float(value) for key, value in entry["values"].items()},
            )
            for name, entry in record.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FileFormatError(
            f"{path}: expected what simple predictors reach, got {error!r}. Delete it; 'archsearch resume' writes it "
            "again."
        ) from error


def beside_simple_predictors(folder: RunFolder, row: LeaderboardRow) -> list[str]:
    """Returns a sentence or two for each task of the user's own data: whether a cell loses to what is no network.

    Raises:
        FileFormatError: The file is damaged.
    """
    return [
        f"{row.name or row.cell} has {simple.metric} {value_text(row.values[task], 4)} on {task}; "
        f"what is no network: {simple}. {simple.warning(row.values[task])}".rstrip()
        for task, simple in read_simple_predictors(folder).items()
        if task in row.values
    ]
