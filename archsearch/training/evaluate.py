"""From a trial to its result: the one function that workers run."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import torch

from archsearch.compiler.engines import choose_engine
from archsearch.errors import ConfigError, EngineError, FileFormatError
from archsearch.training.checkpoint_cache import CheckpointCache
from archsearch.training.denormals import flush_denormals
from archsearch.training.environment import describe_environment, versions
from archsearch.training.evaluate_population import POPULATION_ENGINES, PopulationEvaluator, Trained, device_of
from archsearch.training.failures import WITHOUT_VALUE, cause_of, classify
from archsearch.training.grouping import Group, Populations, group_trials, width_of
from archsearch.training.measurement import measure_means, metric_value
from archsearch.training.minibatch import held_out_minibatches
from archsearch.training.model import SequenceModel, build_model
from archsearch.training.stops import Deadline, DivergedError
from archsearch.training.trainer import Progress, Trainer
from archsearch.training.trial_seeds import data_seed, weights_seed
from archsearch.training.width import hidden_size_for, model_parameters
from archsearch.trials.interface import Interface
from archsearch.trials.metric import metrics_of
from archsearch.trials.task import Task
from archsearch.trials.trial import Recipe, Status, Trial, TrialResult


@dataclass(frozen=True)
class Evaluation:
    """A trial's result with the model it trained.

    Attributes:
        result: The same as `Evaluator.evaluate` returns.
        model: With the weights of its best validation; None if there was none.
        test_value: The task's metric on test data, of that model; None without one, or if it is not finite there.
        test_values: All metrics that its loss has, by name, the task's own included; those that are finite.
    """

    result: TrialResult
    model: SequenceModel | None
    test_value: float | None
    test_values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluator:
    """Trains trials. Can be pickled, holds nothing that changes, and can be used for any number of trials.

    The same trial gives the same bits on the same kind of machine with the same versions, engine and number of
    threads, which the caller sets (`torch.set_num_threads`).

    Attributes:
        tasks: By name.
        engine: What runs the cells.
        time_limit_seconds: A guard against hangs, per trial; None for none.
        checkpoints: Where trainings of the same trial with fewer steps may have left where they stood; None for
            nowhere. Results do not depend on it, but for the seconds. Populations make no use of it.
        populations: Which trials train together, if the engine trains populations.
    """

    tasks: Mapping[str, Task]
    engine: str = "auto"
    time_limit_seconds: float | None = None
    checkpoints: CheckpointCache | None = None
    populations: Populations = field(default_factory=Populations)

    def __post_init__(self) -> None:
        """Settles the engine: `auto` becomes the name of one, so that all trials run on the same.

        Raises:
            ConfigError: There is no such engine, or it does not work here.
        """
        object.__setattr__(self, "engine", choose_engine(self.engine))

    def describe(self) -> dict[str, str]:
        """Returns what must be the same wherever the trials of a run are trained: engine, versions, the tasks' data.

        Raises:
            ConfigError: The engine does not work here, or a task has no data here.
            FileFormatError: The data of a task are not what its reader expects.
        """
        choose_engine(self.engine)
        digests = {f"task {name}": task.digest for name, task in self.tasks.items()}
        return {"engine": self.engine, **versions(), **digests}

    def group(self, trials: Sequence[Trial]) -> list[Group]:
        """Returns the trials in groups, each to be given to `evaluate_together`.

        It depends on the trials, the engine and `populations` alone.
        """
        if self.engine not in POPULATION_ENGINES:
            return [(trial,) for trial in trials]
        place = device_of(self.engine)
        return group_trials(trials, self.tasks, self.populations, place.unit_multiple, place.step_multiple)

    def evaluate(self, trial: Trial) -> TrialResult:
        """Trains a cell; its own failure is a status.

        Raises:
            ConfigError: The task is not known here or is another one.
        """
        return self.evaluate_together((trial,))[0]

    def evaluate_together(self, trials: Sequence[Trial]) -> list[TrialResult]:
        """Trains cells at once as far as the engine can; the failure of each is its own status.

        Raises:
            ConfigError: As for `evaluate`.
        """
        return [trained.result for trained in self._train_together(trials)]

    def evaluate_keeping_model(self, trial: Trial, progress: Progress | None = None) -> Evaluation:
        """Trains a cell and keeps the model as it was at its best validation.

        Args:
            trial: What to train.
            progress: Is told each point of the curve as it comes.

        Raises:
            ConfigError: As for `evaluate`.
        """
        return self.evaluate_together_keeping_models((trial,), progress)[0]

    def evaluate_together_keeping_models(
        self, trials: Sequence[Trial], progress: Progress | None = None
    ) -> list[Evaluation]:
        """Trains cells as `evaluate_together` does, and keeps the models as they were at their best validations.

        Args:
            trials: What to train.
            progress: Is told each point of every curve as it comes.

        Raises:
            ConfigError: As for `evaluate`.
        """
        trained = self._train_together(trials, keeps_best_weights=True, progress=progress)
        return [self._scored(trial, each) for trial, each in zip(trials, trained, strict=True)]

    def _scored(self, trial: Trial, trained: Trained) -> Evaluation:
        if trained.model is None:
            return Evaluation(trained.result, None, None)
        named = _test_values(trained.model, self._task_of(trial), trial.recipe)
        return Evaluation(trained.result, trained.model, named.get(trained.result.metric), named)

    def _train_together(
        self, trials: Sequence[Trial], keeps_best_weights: bool = False, progress: Progress | None = None
    ) -> list[Trained]:
        trained: dict[str, Trained] = {}
        for group in self.group(trials):
            task = self._task_of(group[0])
            if self.engine in POPULATION_ENGINES and width_of(group[0], self._interfaces) is not None:
                together = PopulationEvaluator(
                    task, self.engine, self.time_limit_seconds, keeps_best_weights, progress
                ).evaluate(group)
            else:
                together = [self._train_alone(trial, keeps_best_weights, progress) for trial in group]
            trained |= {trial.key: each for trial, each in zip(group, together, strict=True)}
        return [trained[trial.key] for trial in trials]

    def _train_alone(self, trial: Trial, keeps_best_weights: bool, progress: Progress | None) -> Trained:
        result, trainer = self._run(trial, keeps_best_weights, progress)
        if trainer is None or trainer.best_weights is None:
            return Trained(result)
        trainer.restore_best_weights()
        return Trained(result, trainer.model)

    @property
    def _interfaces(self) -> dict[str, Interface]:
        return {name: task.interface for name, task in self.tasks.items()}

    def _run(
        self, trial: Trial, keeps_best_weights: bool = False, progress: Progress | None = None
    ) -> tuple[TrialResult, Trainer | None]:
        start, deadline = time.perf_counter(), Deadline(self.time_limit_seconds)
        task, setting = self._task_of(trial), trial.setting
        interface, structure = task.interface, trial.graph.structure
        try:
            hidden_size = hidden_size_for(structure, interface, setting.num_layers, setting.max_parameters)
        except ConfigError as too_large:  # a mutant may need more for one unit than the founders do
            return TrialResult("failed", None, error=str(too_large), metric=task.metric.name), None
        status: Status = "ok"
        error, trainer = "", None
        with flush_denormals(), torch.random.fork_rng(devices=(), enabled=trial.recipe.dropout > 0):
            if trial.recipe.dropout:
                torch.manual_seed(weights_seed(trial))  # what is dropped
            try:
                model = build_model(
                    trial.graph, interface, hidden_size, setting, trial.recipe, self.engine, weights_seed(trial)
                )
                trainer = Trainer(model, task, setting, trial.recipe, data_seed(trial), deadline, keeps_best_weights)
                self._train(trial, trainer, progress, None if keeps_best_weights else self.checkpoints)
            except EngineError as failure:  # of this cell: that the engine works at all was seen at the start
                status, error = classify(failure)
            except (ConfigError, FileFormatError):  # a user's mistake
                raise
            except Exception as failure:  # whatever a mutated cell does to torch is data, not the end of a search
                status, error = classify(failure)
        has_value = trainer is not None and status not in WITHOUT_VALUE
        result = TrialResult(
            status=status,
            value=trainer.best_value if trainer is not None and has_value else None,
            curve=tuple((point.step, point.loss, point.value) for point in trainer.curve) if trainer else (),
            steps=trainer.steps if trainer else 0,
            seconds=time.perf_counter() - start,
            parameters=model_parameters(structure, interface, hidden_size, setting.num_layers),
            hidden_size=hidden_size,
            error=error,
            environment=describe_environment(self.engine),
            metric=task.metric.name,
            cause=cause_of(status, error, self.time_limit_seconds),
            step_seconds=trainer.step_seconds if trainer else None,
        )
        return result, trainer

    def _train(
        self, trial: Trial, trainer: Trainer, progress: Progress | None, checkpoints: CheckpointCache | None
    ) -> None:
        """Trains to the end, from where a shorter training stood if that is known.

        Best weights are no part of a checkpoint: a training that is to keep them begins at the beginning.
        """
        environment = describe_environment(self.engine)
        if trial.recipe.dropout:  # what it zeroes is drawn anew by each training
            checkpoints = None
        known = checkpoints.load(trial, environment) if checkpoints else None
        if known is not None:
            trainer.go_on_from(known)
        trainer.run(trial.max_steps, progress)
        if checkpoints and trainer.steps == trial.max_steps:
            checkpoints.save(trial, environment, trainer.state())

    def _task_of(self, trial: Trial) -> Task:
        task = self.tasks.get(trial.task)
        if task is None:
            raise ConfigError(
                f"trial {trial.key}: task {trial.task!r} is not known here. Expected one of: "
                f"{', '.join(self.tasks) or 'none'}. Give the evaluator the tasks that the run was planned with."
            )
        if task.digest != trial.task_digest:
            raise ConfigError(
                f"trial {trial.key}: task {trial.task!r} has digest {task.digest}, expected {trial.task_digest}. Its "
                "settings, its data or its code changed since the trial was planned: restore them or start a new run."
            )
        return task


@dataclass(frozen=True)
class HeldOutEvaluator:
    """Trains trials as an evaluator does, and scores some of them on test data, too.

    Attributes:
        evaluator: What trains.
        first_replicate: Trials of this replicate and of those after it have a test value.
    """

    evaluator: Evaluator
    first_replicate: int

    @property
    def tasks(self) -> Mapping[str, Task]:
        """By name."""
        return self.evaluator.tasks

    def describe(self) -> dict[str, str]:
        """See `Evaluator`."""
        return self.evaluator.describe()

    def group(self, trials: Sequence[Trial]) -> list[Group]:
        """See `Evaluator`; trials with a test value are in groups of their own."""
        parts = [
            [trial for trial in trials if self._is_held_out(trial) == is_held_out] for is_held_out in (False, True)
        ]
        order = {trial.key: number for number, trial in enumerate(trials)}
        groups = [group for part in parts for group in self.evaluator.group(part)]
        return sorted(groups, key=lambda group: order[group[0].key])

    def evaluate(self, trial: Trial) -> TrialResult:
        """Trains a cell; its own failure is a status.

        Raises:
            ConfigError: The task is not known here or is another one.
        """
        return self.evaluate_together((trial,))[0]

    def evaluate_together(self, trials: Sequence[Trial]) -> list[TrialResult]:
        """Trains a group of cells, each of whose failures is its own status.

        Raises:
            ConfigError: As for `evaluate`.
        """
        if not any(map(self._is_held_out, trials)):
            return self.evaluator.evaluate_together(trials)
        evaluations = self.evaluator.evaluate_together_keeping_models(trials)
        return [replace(evaluation.result, test_value=evaluation.test_value) for evaluation in evaluations]

    def _is_held_out(self, trial: Trial) -> bool:
        return trial.replicate >= self.first_replicate


def _test_values(model: SequenceModel, task: Task, recipe: Recipe) -> dict[str, float]:
    """Returns metrics on test data by name; none if a prediction is not finite, the cell's own failure.

    A metric that is beyond all bounds is left out, and no other.
    """
    metrics = metrics_of(task.interface.loss)
    with flush_denormals():
        try:
            means = measure_means(model, held_out_minibatches(task, "test", recipe), metrics, Deadline())
        except DivergedError:
            return {}
    values: dict[str, float] = {}
    for metric, mean in zip(metrics, means, strict=True):
        with suppress(DivergedError):
            values[metric.name] = metric_value(metric, mean)
    return values
