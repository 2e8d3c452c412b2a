"""Finalists and known cells trained anew: equal tuning, fresh seeds, test data.

For each seed, settings are drawn, and every cell is tuned with these on a replicate of its own; the setting that does
best on validation data is trained on another, fresh replicate, and the weights of its best validation are scored on
test data, which neither the search nor the tuning has seen.

Draw and tuning are repeated for each seed because their outcome is a matter of luck, too: with one draw, or one tuning,
for all seeds, equal cells end with settings of different worth, and more seeds only make that difference look surer
(`benchmarks/confirm_coverage.py` measures it). Source: Bouthillier 2021, "Accounting for variance in machine learning
benchmarks"; arxiv.org/abs/2103.03098.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from archsearch.errors import SearchStateError
from archsearch.search.plan import SearchPlan, TaskPlan
from archsearch.seeds import scalar_generator
from archsearch.studies.contestants import Contestant
from archsearch.studies.replicates import CONFIRMING_REPLICATE, TUNING_REPLICATE
from archsearch.studies.sitting import Sitting
from archsearch.studies.values import held_out_value, validation_value
from archsearch.trials.metric import METRICS, Metric
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Trial, TrialResult

Results = Mapping[str, TrialResult]
Place = tuple[str, str, int]
"""Cell, task, number of the seed."""


@dataclass(frozen=True)
class ConfirmationPlan:
    """What to train.

    Attributes:
        search: The plan of the run.
        contestants: The run's baseline first.
        num_settings: Settings that each cell is tuned with on each task; all of the space if it has no more.
        num_seeds: Tunings of each cell on each task, each followed by one training of the setting chosen.
        confidence: Of the intervals, for all finalists at once.
    """

    search: SearchPlan
    contestants: tuple[Contestant, ...]
    num_settings: int
    num_seeds: int
    confidence: float

    @property
    def baseline(self) -> Contestant:
        """The cell that all others are compared with."""
        return self.contestants[0]

    @property
    def num_finalists(self) -> int:
        """The cells that share the error of the intervals."""
        return sum(contestant.role == "finalist" for contestant in self.contestants)

    def settings(self, task: TaskPlan, seed: int) -> tuple[Setting, ...]:
        """Returns what every cell is tuned with for one seed; with a larger number the first ones stay the same."""
        everything = task.space.all()
        generator = scalar_generator(self.search.root_seed, "confirm", task.name, seed)
        return tuple(generator.sample(everything, len(everything))[: self.num_settings])

    def tuning_trials(self) -> tuple[Trial, ...]:
        """Returns, seed by seed, every cell with every setting of the seed on every task."""
        return tuple(
            self._trial(contestant, task, setting, TUNING_REPLICATE + seed)
            for seed in range(self.num_seeds)
            for task in self.search.tasks
            for setting in self.settings(task, seed)
            for contestant in self.contestants
        )

    def choose_settings(self, results: Results) -> dict[Place, Setting]:
        """Returns the setting with the best validation, ties by setting; none where no training had a result."""
        best: dict[Place, tuple[float, Setting]] = {}
        for trial in self.tuning_trials():
            value = validation_value(results[trial.key])
            place = trial.cell, trial.task, trial.replicate - TUNING_REPLICATE
            if value is None:
                continue
            if place not in best or (-value, trial.setting) < (-best[place][0], best[place][1]):
                best[place] = value, trial.setting
        return {place: setting for place, (_, setting) in best.items()}

    def confirming_trials(self, chosen: Mapping[Place, Setting]) -> dict[Place, Trial]:
        """Returns, seed by seed, every cell with its chosen settings on a fresh replicate."""
        return {
            (contestant.cell, task.name, seed): self._trial(
                contestant, task, chosen[contestant.cell, task.name, seed], CONFIRMING_REPLICATE + seed
            )
            for seed in range(self.num_seeds)
            for task in self.search.tasks
            for contestant in self.contestants
            if (contestant.cell, task.name, seed) in chosen
        }

    def num_trials(self) -> dict[str, int]:
        """Returns the number of trials by task."""
        per_task = {task.name: len(self.settings(task, 0)) + 1 for task in self.search.tasks}
        return {task: len(self.contestants) * self.num_seeds * count for task, count in per_task.items()}

    def _trial(self, contestant: Contestant, task: TaskPlan, setting: Setting, replicate: int) -> Trial:
        return Trial(
            cell=contestant.cell,
            graph=contestant.graph,
            task=task.name,
            task_digest=task.digest,
            recipe=self.search.recipe,
            setting=setting,
            replicate=replicate,
            max_steps=task.max_steps,
            root_seed=self.search.root_seed,
        )


@dataclass(frozen=True)
class Confirmed:
    """What came of it.

    Attributes:
        plan: What was trained.
        chosen: The settings chosen.
        values: By cell and task, the quality on test data for each seed; None where training failed.
        causes: By cell and task, why seeds have no value that can be compared, for all that have none.
        metrics: What each task measures.
        seconds: Spent on each cell.
    """

    plan: ConfirmationPlan
    chosen: Mapping[Place, Setting]
    values: Mapping[str, Mapping[str, tuple[float | None, ...]]]
    causes: Mapping[str, Mapping[str, tuple[str, ...]]]
    seconds: Mapping[str, float]
    metrics: Mapping[str, Metric]

    def test_values(self, cell: str, task: str) -> tuple[float | None, ...]:
        """Returns a cell's metric on test data for each seed; None where training failed."""
        qualities = self.values[cell][task]
        return tuple(None if quality is None else self.metrics[task].value(quality) for quality in qualities)

    def usual_setting(self, cell: str, task: str) -> Setting | None:
        """Returns the setting that a cell's tunings chose most often, ties by setting; None if none chose any."""
        seeds = range(self.plan.num_seeds)
        settings = [self.chosen[cell, task, seed] for seed in seeds if (cell, task, seed) in self.chosen]
        return min(settings, key=lambda setting: (-settings.count(setting), setting), default=None)


def confirm(plan: ConfirmationPlan, sitting: Sitting) -> Confirmed:
    """Trains what the sitting's journal lacks and returns the values on test data.

    Raises:
        SearchStateError: The baseline has no value on a task, so that nothing can be compared with it.
        ArchSearchError: See `Sitting.results`.
    """
    tuned = sitting.results("tuning", plan.tuning_trials())
    chosen = plan.choose_settings(tuned)
    _check_baseline(plan, tuned, chosen)
    confirming = plan.confirming_trials(chosen)
    confirmed = sitting.results("confirming", tuple(confirming.values()))
    found = {place: held_out_value(confirmed[trial.key]) for place, trial in confirming.items()}
    seconds = dict.fromkeys((contestant.cell for contestant in plan.contestants), 0.0)
    for trial in (*plan.tuning_trials(), *confirming.values()):
        seconds[trial.cell] += (tuned.get(trial.key) or confirmed[trial.key]).seconds
    values: dict[str, dict[str, tuple[float | None, ...]]] = {}
    causes: dict[str, dict[str, tuple[str, ...]]] = {}
    for contestant in plan.contestants:
        for task in plan.search.tasks:
            places = [(contestant.cell, task.name, seed) for seed in range(plan.num_seeds)]
            values.setdefault(contestant.cell, {})[task.name] = tuple(found.get(place) for place in places)
            causes.setdefault(contestant.cell, {})[task.name] = tuple(
                _cause(confirmed[confirming[place].key]) if place in confirming else "no setting worked"
                for place in places
                if not found.get(place)
            )
    metrics = {trial.task: METRICS[tuned[trial.key].metric] for trial in plan.tuning_trials()}
    return Confirmed(plan, chosen, values, causes, seconds, metrics)


def _cause(result: TrialResult) -> str:
    """Returns why a training has nothing that can be compared."""
    if result.test_value is not None:
        return f"a test value of {result.test_value:g}"  # has no logarithm
    return result.status if result.value is None else "no finite prediction on test data"


def _check_baseline(plan: ConfirmationPlan, results: Results, chosen: Mapping[Place, Setting]) -> None:
    for trial in plan.tuning_trials():
        place = trial.cell, trial.task, trial.replicate - TUNING_REPLICATE
        if trial.cell == plan.baseline.cell and place not in chosen:
            failed = results[trial.key]
            raise SearchStateError(
                f"baseline '{plan.baseline.title}', task '{trial.task}': expected a result from at least one of "
                f"{plan.num_settings} settings, got none ({failed.status} {failed.error}). Try more settings=…"
            )
