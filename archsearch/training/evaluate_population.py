"""From trials that train together to their results."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from archsearch.compiler.engines import check_precision
from archsearch.compiler.vectorized.triton_kernels import fastest_kernels
from archsearch.errors import ConfigError, FileFormatError, SearchStateError
from archsearch.training.denormals import flush_denormals
from archsearch.training.environment import describe_environment
from archsearch.training.failures import WITHOUT_VALUE, cause_of, classify
from archsearch.training.grouping import Group, padded_size
from archsearch.training.model import SequenceModel
from archsearch.training.population import Device, Member, MemberReport, PopulationTrainer
from archsearch.training.population_data import UnequalStreamsError
from archsearch.training.population_memory import data_shapes, memory_need, num_streams_of
from archsearch.training.stops import Deadline, TimeLimitError
from archsearch.training.trainer import CurvePoint, Progress
from archsearch.training.trial_seeds import data_seed, weights_seed
from archsearch.training.width import hidden_size_for, model_parameters
from archsearch.trials.task import Task
from archsearch.trials.trial import POPULATION, Recipe, Status, Trial, TrialResult

POPULATION_ENGINES = frozenset({"vectorized", "cuda"})

SHARE_OF_FREE_MEMORY = 0.9


def device_of(engine: str) -> Device:
    """Returns where an engine trains populations: for `cuda`, the first GPU that this process may see."""
    if engine != "cuda":
        return Device(torch.device("cpu"))
    device = torch.device("cuda")
    return Device(device, fastest_kernels(device), unit_multiple=32, step_multiple=8)


def check_recipe(engine: str, recipe: Recipe) -> None:
    """Checks that an engine can train as a recipe says.

    Raises:
        ConfigError: It cannot.
    """
    check_precision(engine, recipe.precision)
    if engine == "cuda" and recipe.dropout:
        raise ConfigError(
            f"recipe.dropout: engine=cuda trains populations, which have none; got {recipe.dropout}. Use engine=native."
        )


@dataclass(frozen=True)
class Trained:
    """A trial's result, with the model of its best validation if that was kept and there was one."""

    result: TrialResult
    model: SequenceModel | None = None


@dataclass(frozen=True)
class _Failure:
    """A population that came to no end of its own.

    Attributes:
        parts: Smaller ones to be tried instead; none for a single member.
        seconds: Spent on it.
        alone: What a single member has come to.
    """

    parts: tuple[Group, ...]
    seconds: float
    alone: Trained | None = None


@dataclass(frozen=True)
class PopulationEvaluator:
    """Trains trials of one task together.

    Attributes:
        task: Theirs.
        engine: One of `POPULATION_ENGINES`.
        time_limit_seconds: Of each trial; those of a population may use the sum. None for none.
        keeps_best_weights: Whether models are returned.
        progress: Is told each point of a trial's curve as it comes; again, if the trial is trained again.
    """

    task: Task
    engine: str
    time_limit_seconds: float | None = None
    keeps_best_weights: bool = False
    progress: Progress | None = None

    def evaluate(self, trials: Group) -> list[Trained]:
        """Trains trials that `group_trials` put together; what befalls one of them is its own status.

        A population that memory is refused to is halved, and its halves are trained one after the other. One that fails
        otherwise is trained member by member, so that each has the failure that it has alone.

        Raises:
            ConfigError: Something is wrong that is no cell's failure.
            FileFormatError: The task's data are not what its reader expects.
        """
        ended = self._train(trials)
        if isinstance(ended, list):
            return ended
        _free_memory()
        if ended.alone is not None:
            return [ended.alone]
        trained: dict[str, Trained] = {}
        for part in ended.parts:
            trained |= {trial.key: each for trial, each in zip(part, self.evaluate(part), strict=True)}
        lost = ended.seconds / len(trials)
        return [_later(trained[trial.key], lost) for trial in trials]

    def _train(self, trials: Group) -> list[Trained] | _Failure:
        """Trains a population to its end; nothing is left of it in memory if it fails."""
        gc.collect()  # what failed before this one may still hold its memory, in circles of exceptions and frames
        start, limit = time.perf_counter(), self.time_limit_seconds
        deadline = Deadline(None if limit is None else limit * len(trials))
        late, trainer = "", None
        halves = (trials[: len(trials) // 2], trials[len(trials) // 2 :])
        with flush_denormals():
            try:
                if not self._may_fit(trials):
                    return _Failure(halves, time.perf_counter() - start)
                trainer = self._trainer(trials, deadline)
                try:
                    trainer.run(trials[0].max_steps, self._tell())
                except TimeLimitError:
                    trainer.note_divergences()
                    late = f"the trial took longer than its limit of {limit:g} s"
                return self._ended(trials, trainer, late, time.perf_counter() - start)
            except (ConfigError, FileFormatError):  # a user's mistake
                raise
            except UnequalStreamsError:
                seeds = dict.fromkeys(data_seed(trial) for trial in trials)
                streams = (tuple(trial for trial in trials if data_seed(trial) == seed) for seed in seeds)
                return _Failure(tuple(streams), time.perf_counter() - start)
            except Exception as failure:  # whatever a mutated cell does to torch is data, not the end of a search
                status, error = classify(failure)
        if self.engine == "cuda" and status == "failed":
            _check_gpu(error)
        seconds = time.perf_counter() - start
        if len(trials) == 1:
            return _Failure((), seconds, self._failed(trials[0], trainer, status, error, seconds))
        return _Failure(halves if status == "out_of_memory" else tuple((trial,) for trial in trials), seconds)

    def _failed(
        self, trial: Trial, trainer: PopulationTrainer | None, status: Status, error: str, seconds: float
    ) -> Trained:
        """Returns what a trial by itself has come to before it failed; it may have diverged by then, unnoticed."""
        if trainer is None:
            return Trained(self._result(trial, MemberReport(), status, error, seconds, 1))
        trainer.note_divergences()
        [report] = trainer.reports
        diverged: Status = "diverged" if report.error else status
        result = self._result(trial, report, diverged, report.error or error, seconds, 1)
        return Trained(replace(result, step_seconds=trainer.step_seconds))

    def _trainer(self, trials: Group, deadline: Deadline) -> PopulationTrainer:
        members = [Member(trial.setting, self._width(trial), weights_seed(trial), data_seed(trial)) for trial in trials]
        place = device_of(self.engine)
        hidden_size = padded_size([member.hidden_size for member in members], trials[0].graph, place.unit_multiple)
        return PopulationTrainer(
            trials[0].graph,
            self.task,
            trials[0].recipe,
            members,
            hidden_size,
            place,
            deadline,
            self.keeps_best_weights,
        )

    def _may_fit(self, trials: Group) -> bool:
        """Tells whether there seems to be room for a population; for a single member that is tried out."""
        place = device_of(self.engine)
        if len(trials) == 1 or place.device.type != "cuda":
            return True
        free, _ = torch.cuda.mem_get_info()
        free += torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        hidden_size = padded_size([self._width(trial) for trial in trials], trials[0].graph, place.unit_multiple)
        shapes = data_shapes(trials[0], self.task, place.step_multiple)
        need = memory_need(trials[0], self.task.interface, hidden_size, shapes)
        needed = need.of(len(trials), num_streams_of(trials))
        return needed <= SHARE_OF_FREE_MEMORY * free

    def _ended(self, trials: Group, trainer: PopulationTrainer, late: str, seconds: float) -> list[Trained]:
        trained = []
        for number, (trial, report) in enumerate(zip(trials, trainer.reports, strict=True)):
            status: Status = "diverged" if report.error else "ok" if report.has_ended else "time_limit"
            result = self._result(trial, report, status, report.error or late, seconds / len(trials), len(trials))
            result = replace(result, step_seconds=trainer.step_seconds)
            # models are used on processors, one by one
            engine = "auto" if self.engine == "cuda" else self.engine
            model = trainer.best_model(number, engine) if self.keeps_best_weights else None
            trained.append(Trained(result, model))
        return trained

    def _result(
        self, trial: Trial, report: MemberReport, status: Status, error: str, seconds: float, num_members: int
    ) -> TrialResult:
        structure, interface = trial.graph.structure, self.task.interface
        hidden_size, metric = self._width(trial), self.task.metric
        values = [point.value for point in report.curve] if status not in WITHOUT_VALUE else []
        return TrialResult(
            status=status,
            value=max(values, key=metric.quality, default=None),
            curve=tuple((point.step, point.loss, point.value) for point in report.curve),
            steps=report.steps,
            seconds=seconds,
            parameters=model_parameters(structure, interface, hidden_size, trial.setting.num_layers),
            hidden_size=hidden_size,
            error=error if status != "ok" else "",
            environment=describe_environment(self.engine) | {POPULATION: str(num_members)},
            metric=metric.name,
            cause=cause_of(status, error, self.time_limit_seconds),
        )

    def _width(self, trial: Trial) -> int:
        setting = trial.setting
        return hidden_size_for(trial.graph.structure, self.task.interface, setting.num_layers, setting.max_parameters)

    def _tell(self) -> Callable[[int, CurvePoint], None] | None:
        progress = self.progress
        return None if progress is None else lambda _, point: progress(point)


def _later(trained: Trained, seconds: float) -> Trained:
    """Returns a trial that has cost more time than its own training."""
    result = trained.result
    return replace(trained, result=replace(result, seconds=result.seconds + seconds))


def _check_gpu(error: str) -> None:
    """Checks that the GPU computes after a failure: after some, such as a wrong address, it does no more in a process.

    Raises:
        SearchStateError: It does not, and what came after would be blamed on other cells.
    """
    try:
        torch.cuda.synchronize()
    except RuntimeError as lost:
        raise SearchStateError(
            f"the GPU computes no more in the process that trained, after: {error} Every finished trial is kept: "
            "resume the run, which begins with a new process. If it comes again, start a run with engine=native."
        ) from lost


def _free_memory() -> None:
    """Gives back what a population that failed has held."""
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
