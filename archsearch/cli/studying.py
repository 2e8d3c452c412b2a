"""What `confirm` and `ablate` share: the run they are about, the cost said first, the sitting and its exit codes."""

import shlex
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from archsearch.cli.exits import DONE, INTERRUPTED, LateError
from archsearch.cli.planning import PlannedSearch, plan_search
from archsearch.cli.run_configuration import from_yaml
from archsearch.cli.running import program
from archsearch.cli.section import Section
from archsearch.cli.study_progress import StudyProgress
from archsearch.errors import ArchSearchError, ConfigError, SearchStateError
from archsearch.run.estimate import estimate_study
from archsearch.run.execution import Execution
from archsearch.run.reading import Run
from archsearch.run.session import Stopped
from archsearch.run.unit import TrialEvaluator
from archsearch.studies.sitting import Sitting, open_sitting, recorded_results
from archsearch.trials.trial import Trial


def plan_of_run(run: Run, root: Section) -> PlannedSearch:
    """Returns the search that a run is of, with the workers that the settings name.

    Raises:
        SearchStateError: A task, the recipe or the baseline is no longer the one that the run was made with.
        ConfigError: The run's configuration cannot be made real.
    """
    values: Mapping[str, Any] = from_yaml(run.folder.read_config(), run.folder.config_path)
    planned = plan_search({**values, **({"workers": root.values["workers"]} if "workers" in root else {})})
    keys, recipe = list(run.trials()["key"]), planned.plan.recipe.digest
    for task in planned.plan.tasks:
        of_task = [key for key in keys if f"/{task.name}-" in key]
        if of_task and not any(f"/{task.name}-{task.digest}/" in key for key in of_task):
            raise SearchStateError(
                f"{run.path}, task '{task.name}': its settings, its data or its code changed since the search. "
                f"Restore them: the cells were found on another task."
            )
        if of_task and not any(f"/recipe-{recipe}/" in key for key in of_task):
            raise SearchStateError(
                f"{run.path}: the recipe, or how archsearch trains by it, changed since the search. Restore it, or the "
                f"version that the journal names: the cells were found by another training."
            )
    baseline = planned.plan.baseline
    if keys and not any(key.startswith(f"{baseline.graph.digest}/") for key in keys):
        raise SearchStateError(
            f"{run.path}: the search trained no {baseline.graph.digest}, which the baseline '{baseline.name}' is now. "
            f"Restore the founders, or the version that the journal names."
        )
    return planned


def read_confidence(root: Section) -> float:
    """Returns the confidence of intervals.

    Raises:
        ConfigError: It is none that means anything.
    """
    confidence = root.number("confidence", 0, 1)
    if not 0.5 <= confidence < 1:
        raise ConfigError(f"confidence: expected a number from 0.5 to below 1, such as 0.95, got {confidence:g}.")
    return confidence


def print_cost(
    name: str,
    trials: Sequence[Trial],
    num_trials: Mapping[str, int],
    measure: Callable[[], Mapping[str, float]],
    workers: int | None,
    path: Path,
) -> None:
    """Says what a study will take, less what its folder holds.

    Args:
        name: What the trials are for.
        trials: Those that are known already.
        num_trials: All of them, by task.
        measure: Returns the seconds of one trial, by task; called if anything is left to do.
        workers: Trials at once; None for as many as a cluster has processors.
        path: The study's folder.
    """
    recorded = recorded_results(path, trials)
    kept = Counter(trial.task for trial in trials if trial.key in recorded)
    is_done = sum(kept.values()) == sum(num_trials.values())
    seconds = dict.fromkeys(num_trials, 0.0) if is_done else measure()
    print(estimate_study(name, num_trials, kept, seconds, workers), flush=True)


def sit(
    path: Path,
    evaluator: TrialEvaluator,
    execution: Execution,
    command: Sequence[str],
    study: Callable[[Sitting], None],
) -> int:
    """Runs a study to its end and returns the exit code; when stopped, says how to go on.

    Raises:
        LateError: Something failed after the first trial.
        ArchSearchError: Something was wrong before.
    """
    progress = StudyProgress(sys.stdout)
    try:
        with open_sitting(path, evaluator, execution, progress, ["archsearch", *command]) as sitting:
            study(sitting)
    except (Stopped, KeyboardInterrupt):
        print(f"Stopped; every finished trial is kept. Go on with:\n  {program()} {shlex.join(command)}")
        return INTERRUPTED
    except BrokenPipeError as error:
        raise LateError(
            f"{path}: stopped, since what reads the output was closed; go on by the same command."
        ) from error
    except ArchSearchError as error:
        if progress.has_trained:
            raise LateError(str(error)) from error
        raise
    return DONE
