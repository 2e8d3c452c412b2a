"""Table 1 of Jozefowicz 2015 again: trains the founders of a run with fresh seeds, prints them beside the paper's.

    archsearch search experiment=table_1 name=table_1
    python benchmarks/table_1.py results/table_1 FOLDER --minutes 60   # again and again: it goes on
    python benchmarks/table_1.py results/table_1 FOLDER --tasks xml    # of a run that has not trained the others yet

A cell is trained at the setting that was best of those that the run tried on the task, or, with `--choose K`, at the
one of the K best that has the best mean over other seeds: what was best once may have been lucky. What counts is the
best validation accuracy, as in the paper, mean over seeds that chose nothing; a training that failed counts as 0, when
settings are chosen and in the means. `FOLDER/curves.csv` has all curves.

The range of Kendall's tau is over these seeds, with the settings given: another choice of settings is not in it, and
seeds drawn again from three lie closer together than fresh ones. It is no confidence interval (docs/confirm.md has
75.7 % for such limits where 95 are stated, of ratios).
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations, product
from pathlib import Path

import numpy as np
import paper
import torch
from calibration import measure
from numpy.typing import NDArray
from scipy import stats
from tables import table

from archsearch.cli.planning import PlannedSearch
from archsearch.cli.section import Section
from archsearch.cli.studying import plan_of_run
from archsearch.run.journal import Journal
from archsearch.run.reading import Run, load_run
from archsearch.search.knowledge import TaskHistory
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Trial

Histories = dict[tuple[str, str], TaskHistory]  # by cell and task
Settings = Mapping[tuple[str, str], Sequence[Setting]]

FIRST_REPLICATE = 4001  # the search and its studies have those below
FIRST_TO_CHOOSE = 4501
NUM_DRAWS = 2_000
GAPS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.1)
MAX_NAMED = 5


def read_histories(run: Run) -> Histories:
    """Returns what the run has tried so far, by cell and task, whether or not its first step is complete."""
    histories: Histories = {}
    for trial in run.journaled_trials:
        key = (trial.cell, trial.task)
        histories[key] = histories.get(key, TaskHistory()).with_outcome(trial.setting, trial.result.quality)
    return histories


def planned_trials(
    planned: PlannedSearch, settings: Settings, replicates: Sequence[int], names: Sequence[str]
) -> Iterator[Trial]:
    """Yields the trials of each founder with its settings on the named tasks, replicate by replicate."""
    tasks = [task for task in planned.plan.tasks if task.name in names]
    for replicate, task, founder in product(replicates, tasks, planned.plan.founders):
        for setting in settings[founder.graph.digest, task.name]:
            yield Trial(
                cell=founder.graph.digest,
                graph=founder.graph,
                task=task.name,
                task_digest=task.digest,
                recipe=planned.plan.recipe,
                setting=setting,
                replicate=replicate,
                max_steps=task.max_steps,
                root_seed=planned.plan.root_seed,
            )


def train(folder: Path, trials: list[Trial], planned: PlannedSearch, deadline: float) -> int:
    """Trains what the folder's journal lacks until the deadline, by `time.monotonic()`; returns how many it lacks."""
    measure(folder, iter(trials), planned.evaluator, (deadline - time.monotonic()) / 60)
    journal = Journal.open(folder / "archsearch.db", read_only=True)
    missing = sum(journal.result(trial.key, curves=False) is None for trial in trials)
    journal.close()
    return missing


def choose(folder: Path, trials: list[Trial]) -> Settings:
    """Returns the setting with the best mean over replicates for each cell and task; a failure counts as nothing."""
    journal = Journal.open(folder / "archsearch.db", read_only=True)
    found: dict[tuple[str, str], dict[Setting, list[float]]] = defaultdict(lambda: defaultdict(list))
    for trial in trials:
        found[trial.cell, trial.task][trial.setting].append(quality_of(journal, trial))
    journal.close()
    return {pair: [max(tried, key=lambda setting: np.mean(tried[setting]))] for pair, tried in found.items()}


def quality_of(journal: Journal, trial: Trial) -> float:
    """Returns the quality of a trial, 0 where it failed."""
    result = journal.result(trial.key, curves=False)
    return 0.0 if result is None or result.quality is None else result.quality


def qualities(journal: Journal, trials: list[Trial], cells: list[str], task: str) -> NDArray[np.float64]:
    """Returns `[C, S]` qualities of cells and seeds on a task; 0 where a training failed, as in `choose`."""
    found: dict[str, list[float]] = {cell: [] for cell in cells}
    for trial in trials:
        if trial.task == task:
            found[trial.cell].append(quality_of(journal, trial))
    return np.array([found[cell] for cell in cells])


def tau_with_range(values: NDArray[np.float64], papers: NDArray[np.float64]) -> tuple[float, float, float]:
    """Returns Kendall's tau of two orders of cells, and its range over seeds drawn again for each cell.

    Args:
        values: `[C, S]`.
        papers: `[C]`.
    """
    rng = np.random.default_rng(1)
    means = [
        np.take_along_axis(values, rng.integers(values.shape[1], size=values.shape), axis=1).mean(axis=1)
        for _ in range(NUM_DRAWS)
    ]
    drawn = [stats.kendalltau(mean, papers).statistic for mean in means]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return float(stats.kendalltau(values.mean(axis=1), papers).statistic), float(low), float(high)


def disagreements(
    means: NDArray[np.float64], papers: NDArray[np.float64], names: list[str], gap: float
) -> tuple[int, list[str]]:
    """Returns how many pairs of cells the paper separates by more than a gap, and those that are the other way round.

    Args:
        means: `[C]`.
        papers: `[C]` ratios.
        names: Of the cells.
        gap: Between two ratios of the paper.
    """
    pairs = [pair for pair in permutations(range(len(names)), 2) if papers[pair[0]] - papers[pair[1]] > gap]
    wrong = [f"{names[better]} < {names[worse]}" for better, worse in pairs if means[better] < means[worse]]
    return len(pairs), wrong


def print_tables(
    folder: Path, trials: list[Trial], names: Mapping[str, str], histories: Histories, tasks: Sequence[str]
) -> None:
    """Prints each cell's accuracy beside the paper's ratio, the orders' rank correlation, and pairs that disagree.

    Args:
        folder: Of the journal that has all trials.
        trials: With seeds that chose nothing.
        names: Of the founders, by digest.
        histories: What the run had tried.
        tasks: What to print, in this order.
    """
    cells = [digest for digest, name in names.items() if name in paper.TABLE_1]
    cell_names = [names[cell] for cell in cells]
    journal, rows, taus, pairs_by_gap = Journal.open(folder / "archsearch.db", read_only=True), [], [], []
    gru = cell_names.index("gru")
    for task in tasks:
        tried = [histories[cell, task] for cell in cells]
        searched = np.array([history.best for history in tried])
        values = qualities(journal, trials, cells, task)
        means, deviations = values.mean(axis=1), values.std(axis=1, ddof=1)
        ratios = paper.ratios(task)
        papers = np.array([np.nan if ratios is None else ratios[names[cell]] for cell in cells])
        columns = (searched / searched[gru], means, deviations, means / means[gru], papers)
        for cell, history, *numbers in zip(cells, tried, *columns, strict=True):
            rows.append((task, names[cell], len(history.settings), *numbers))
        tau, low, high = tau_with_range(values, papers)
        taus.append((task, tau, low, high))
        for gap in GAPS:
            count, wrong = disagreements(means, papers, cell_names, gap)
            if count:
                pairs_by_gap.append((task, gap, count, 1 - 2 * len(wrong) / count, ", ".join(wrong[:MAX_NAMED])))
    journal.close()
    print(table(("task", "cell", "settings", "ratio in the run", "mean", "deviation", "ratio", "paper's ratio"), rows))
    print()
    print(table(("task", "Kendall's tau", "range over seeds, setting given: from", "to"), taus))
    print("\nOf pairs whose ratios in the paper are further apart: share in the same order minus share in the other")
    print(table(("task", "apart", "pairs", "share", f"the other way round, at most {MAX_NAMED} named"), pairs_by_gap))


def main() -> None:
    """Trains what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a run whose founders are the ten cells")
    parser.add_argument("folder", type=Path, help="for the journal and the curves of the fresh seeds")
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help="some of the run's (default: all)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--choose", type=int, default=1, metavar="K", help="train the K best settings with other seeds to choose from"
    )
    parser.add_argument("--minutes", type=float, default=60, help="no trial is begun later; 0 to begin none")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    run = load_run(arguments.run, curves=False)
    planned = plan_of_run(run, Section({}))
    tasks = tuple(dict.fromkeys(arguments.tasks or run.tasks))
    if not set(tasks) <= set(run.tasks):
        parser.error(f"--tasks: expected some of {', '.join(run.tasks)}, got {', '.join(tasks)}")
    names = {founder.graph.digest: founder.name for founder in planned.plan.founders}
    histories = read_histories(run)
    pairs = [(cell, task) for task in tasks for cell in names]
    untried = [f"{names[cell]} on {task}" for cell, task in pairs if (cell, task) not in histories]
    if untried:
        parser.error(f"{run.path} has nothing yet of {', '.join(untried)}. Resume it, or name other --tasks.")
    failed = [f"{names[cell]} on {task}" for cell, task in pairs if histories[cell, task].best is None]
    if failed:
        parser.error(f"no training succeeded in {run.path} of {', '.join(failed)}. Name other --tasks.")
    deadline = time.monotonic() + 60 * arguments.minutes
    settings = {pair: [setting for _, setting in histories[pair].ranked()[: arguments.choose]] for pair in pairs}
    if arguments.choose > 1:
        choosing = range(FIRST_TO_CHOOSE, FIRST_TO_CHOOSE + arguments.seeds)
        trials = list(planned_trials(planned, settings, choosing, tasks))
        missing = train(arguments.folder, trials, planned, deadline)
        if missing:
            print(f"{missing} of {len(trials)} trainings that choose settings are still to come: run this again")
            return
        settings = choose(arguments.folder, trials)
    replicates = range(FIRST_REPLICATE, FIRST_REPLICATE + arguments.seeds)
    trials = list(planned_trials(planned, settings, replicates, tasks))
    missing = train(arguments.folder, trials, planned, deadline)
    if missing:
        print(f"{missing} of {len(trials)} trainings are still to come: run this again, the tables need all of them")
        return
    print_tables(arguments.folder, trials, names, histories, tasks)


if __name__ == "__main__":
    main()
