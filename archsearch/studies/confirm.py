"""Finalists and known cells trained anew: the same tuning for all, then fresh seeds and test data.

Every cell gets the same settings, drawn once per task from the run's space; the one that does best on validation data
is trained on fresh replicates, and the weights of each training's best validation are scored on test data, which
neither the search nor the tuning has seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from archsearch.errors import SearchStateError
from archsearch.search.plan import SearchPlan, TaskPlan
from archsearch.seeds import scalar_generator
from archsearch.studies.contestants import Contestant
from archsearch.studies.replicates import CONFIRMING_REPLICATE, TUNING_REPLICATE, replicates_from
from archsearch.studies.sitting import Sitting
from archsearch.studies.values import held_out_value, validation_value
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Trial, TrialResult

Results = Mapping[str, TrialResult]
Chosen = Mapping[tuple[str, str], Setting]
"""By cell and task."""


@dataclass(frozen=True)
class ConfirmationPlan:
    """What to train.

    Attributes:
        search: The plan of the run.
        contestants: The run's baseline first.
        num_settings: Settings that each cell is tuned with on each task; all of the space if it has no more.
        num_seeds: Fresh replicates of the chosen setting.
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

    def settings(self, task: TaskPlan) -> tuple[Setting, ...]:
        """Returns the settings that every cell is tuned with; with a larger number the first ones stay the same."""
        everything = task.space.all()
        shuffled = scalar_generator(self.search.root_seed, "confirm", task.name).sample(everything, len(everything))
        return tuple(shuffled[: self.num_settings])

    def tuning_trials(self) -> tuple[Trial, ...]:
        """Returns every cell with every setting on every task."""
        return tuple(
            self._trial(contestant, task, setting, TUNING_REPLICATE)
            for task in self.search.tasks
            for setting in self.settings(task)
            for contestant in self.contestants
        )

    def choose_settings(self, results: Results) -> Chosen:
        """Returns the setting with the best validation, ties by setting; none where no training had a result."""
        best: dict[tuple[str, str], tuple[float, Setting]] = {}
        for trial in self.tuning_trials():
            value = validation_value(results[trial.key])
            place = trial.cell, trial.task
            if value is None:
                continue
            if place not in best or (-value, trial.setting) < (-best[place][0], best[place][1]):
                best[place] = value, trial.setting
        return {place: setting for place, (_, setting) in best.items()}

    def confirming_trials(self, chosen: Chosen) -> tuple[Trial, ...]:
        """Returns every cell with its chosen settings on every fresh replicate."""
        return tuple(
            self._trial(contestant, task, chosen[contestant.cell, task.name], replicate)
            for replicate in replicates_from(CONFIRMING_REPLICATE, self.num_seeds)
            for task in self.search.tasks
            for contestant in self.contestants
            if (contestant.cell, task.name) in chosen
        )

    def num_trials(self) -> dict[str, int]:
        """Returns the number of trials by task."""
        return {
            task.name: len(self.contestants) * (len(self.settings(task)) + self.num_seeds) for task in self.search.tasks
        }

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
        values: By cell and task, the value on test data of each fresh replicate; None where training failed.
        seconds: Spent on each cell.
    """

    plan: ConfirmationPlan
    chosen: Chosen
    values: Mapping[str, Mapping[str, tuple[float | None, ...]]]
    seconds: Mapping[str, float]


def confirm(plan: ConfirmationPlan, sitting: Sitting) -> Confirmed:
    """Trains what the sitting's journal lacks and returns the values on test data.

    Raises:
        SearchStateError: The baseline has no value on a task, so that nothing can be compared with it.
        ArchSearchError: See `Sitting.results`.
    """
    tuning = plan.tuning_trials()
    tuned = sitting.results("tuning", tuning)
    chosen = plan.choose_settings(tuned)
    _check_baseline(plan, tuned, chosen)
    confirming = plan.confirming_trials(chosen)
    confirmed = sitting.results("confirming", confirming)
    values: dict[tuple[str, str], tuple[float | None, ...]] = {}
    for trial in confirming:
        place = trial.cell, trial.task
        values[place] = (*values.get(place, ()), held_out_value(confirmed[trial.key]))
    nothing = (None,) * plan.num_seeds
    seconds = dict.fromkeys((contestant.cell for contestant in plan.contestants), 0.0)
    for trial in (*tuning, *confirming):
        seconds[trial.cell] += (tuned.get(trial.key) or confirmed[trial.key]).seconds
    return Confirmed(
        plan,
        chosen,
        {
            contestant.cell: {
                task.name: values.get((contestant.cell, task.name), nothing) for task in plan.search.tasks
            }
            for contestant in plan.contestants
        },
        seconds,
    )


def _check_baseline(plan: ConfirmationPlan, results: Results, chosen: Chosen) -> None:
    for task in plan.search.tasks:
        if (plan.baseline.cell, task.name) not in chosen:
            failed = next(
                results[trial.key]
                for trial in plan.tuning_trials()
                if (trial.cell, trial.task) == (plan.baseline.cell, task.name)
            )
            raise SearchStateError(
                f"baseline '{plan.baseline.title}', task '{task.name}': expected a result from at least one of "
                f"{plan.num_settings} settings, got none ({failed.status} {failed.error}). Try more settings=…"
            )
