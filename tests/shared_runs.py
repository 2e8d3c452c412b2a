"""Whole runs in a folder, and what can be compared of them: `from shared_runs import run, views`."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from shared_simulation import SilentObserver, SimulatedEvaluator, make_plan

from archsearch.run.execution import Execution
from archsearch.run.folder import RunFolder
from archsearch.run.session import Stopped, run_search
from archsearch.run.unit import TrialEvaluator
from archsearch.search.plan import SearchPlan

SMALL_PLAN = make_plan(num_candidates=8, tasks=make_plan().tasks[:1])
VIEWS = ("leaderboard.csv", "trials.csv", "candidates.csv")


def run(
    results_dir: Path,
    name: str,
    plan: SearchPlan,
    evaluator: TrialEvaluator | None = None,
    workers: Execution | int = 0,
) -> Path:
    """Runs a search, or continues it, and returns its folder."""
    path = results_dir / name
    folder = RunFolder.open(path) if path.exists() else RunFolder.create(results_dir, name, "test")
    run_search(plan, folder, evaluator or SimulatedEvaluator(), workers, SilentObserver())
    return path


def run_with_stops(
    results_dir: Path, name: str, plan: SearchPlan, make_evaluator: Callable[[], TrialEvaluator]
) -> tuple[Path, int]:
    """Runs a search that is stopped again and again; returns its folder and how often that was.

    Args:
        results_dir: Where its folder is.
        name: Its name there.
        plan: The search.
        make_evaluator: Returns, for each sitting, an evaluator that may stop it.
    """
    num_stops = 0
    while True:
        try:
            return run(results_dir, name, plan, make_evaluator()), num_stops
        except Stopped:
            num_stops += 1


def views(path: Path) -> dict[str, str]:
    """Returns the tables without their clock columns."""
    frames = {}
    for name in VIEWS:
        frame = pd.read_csv(path / name)
        frames[name] = frame[[column for column in frame if "seconds" not in column]].to_csv()
    return frames
