"""The executor that computes trials in worker processes, by Ray. The only file that loads Ray."""

import logging
import os
import re
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from archsearch.errors import ArchSearchError, SearchStateError
from archsearch.run.execution import Execution, Limits
from archsearch.run.ray_cluster import Machines, Places, check_nodes, differences, join, noted_place, start_private
from archsearch.run.ray_folder import RayFolder
from archsearch.run.supervisor import Supervisor, longest_seconds
from archsearch.run.trial_worker import here
from archsearch.run.unit import Finished, Results, TrialEvaluator, Unit, metric_name, name_of
from archsearch.trials.trial import Status, TrialResult

MAX_LOSSES = 5
"""Ray's workers that may be lost under one trial, alone or with their machine, before it is given up."""

WATCH_SECONDS = 60.0
_NODE = re.compile(r"[Nn]ode IP: ([0-9a-fA-F.:]*[0-9a-fA-F])")  # in what Ray says of a machine that died
_logger = logging.getLogger(__name__)


def load_ray(*, is_private: bool) -> Any:
    """Returns the module; a private Ray will listen on the loopback interface only, and nobody is told of its use."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if is_private:
        # Ray's own switch against clusters, which it uses on desktop systems: every address becomes 127.0.0.1
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    import ray

    return ray


class RayExecutor:
    """Computes trials in processes of a private Ray on this machine, or of a cluster that others started.

    Nothing joins a Ray that was not named, and nothing of others is touched. Each of Ray's workers watches over a
    process that trains, see `Supervisor`; here is counted what befalls the workers themselves. The evaluator goes to
    each machine once.

    Args:
        evaluator: What trains.
        execution: How many workers, where, within which limits.

    Raises:
        SearchStateError: Ray does not start, or a machine of the cluster differs from this one.
        ConfigError: The address is of a kind that cannot be used.
    """

    def __init__(self, evaluator: TrialEvaluator, execution: Execution) -> None:
        is_private = execution.address is None
        self._ray = ray = load_ray(is_private=is_private)
        self._folder = RayFolder() if is_private else None
        self._in_flight: dict[Any, Unit] = {}
        self._begun_at: dict[Any, float] = {}
        self._overdue_at: dict[Any, float] = {}
        self._losses: defaultdict[Unit, list[float]] = defaultdict(list)  # the seconds that each has cost
        self._metric_of = partial(metric_name, evaluator)
        self._has_raylet = True
        try:
            if execution.address is not None:
                join(ray, execution.address)
            elif self._folder is not None:
                start_private(ray, execution.workers or 1, self._folder.path, execution.num_gpus)
            self._machines = Machines(ray, execution.workers, execution.workers_per_gpu)
            self._places = Places(ray)
            self._evaluator = ray.put(evaluator)
            self._limits = execution.limits
            self._own = here(evaluator)
            if not is_private:
                arguments = self._evaluator, self._limits
                check_nodes(ray, _describe, arguments, self._own, self._machines.usable(), execution.gpu_share)
        except BaseException:
            self.close()
            raise
        # A trial that is lost with its worker is counted here and handed out again: Ray would retry without end. A
        # worker that had a share of a GPU would not be kept for the next trial, were it not for `max_calls`.
        self._compute = ray.remote(num_cpus=1, num_gpus=execution.gpu_share, max_retries=0, max_calls=0)(_compute)

    @property
    def num_slots(self) -> int:
        """Units that may be in flight at once; machines come and go."""
        return self._machines.num_slots

    def submit(self, unit: Unit) -> None:
        """Hands a unit to a worker."""
        task = self._compute.options(**self._machines.options())
        note = self._places.new_note() if self._folder is None else ""  # a private Ray has one machine
        reference = task.remote(self._evaluator, self._limits, self._own, unit, note)
        self._in_flight[reference] = unit
        if note:
            self._places.expect(reference, note)
        else:
            self._note_begin(reference)

    def _note_begin(self, reference: Any) -> None:
        """Starts the clock of a task; on a cluster that has other work a task may wait for hours before it begins."""
        now = time.monotonic()
        self._begun_at[reference] = now
        longest = longest_seconds(self._limits, len(self._in_flight[reference]))
        if longest is not None:
            self._overdue_at[reference] = now + longest

    def _forget(self, reference: Any) -> Unit:
        """Drops a task from those in flight and returns its unit."""
        self._overdue_at.pop(reference, None)
        self._begun_at.pop(reference, None)
        self._places.forget(reference)
        return self._in_flight.pop(reference)

    def wait(self, timeout_seconds: float) -> list[Finished]:
        """Returns the units finished, as soon as there is one, or none after the time.

        A unit whose worker or machine was lost is handed out again, `MAX_LOSSES` times in all.

        Raises:
            ArchSearchError: The trial itself was asked for wrongly, or no machine is left that can compute.
        """
        if not self._in_flight:
            time.sleep(timeout_seconds)
            return []
        self._check_raylet()
        ready, _ = self._ray.wait(list(self._in_flight), num_returns=1, timeout=timeout_seconds)
        if not ready:
            self._cancel_overdue()
        finished = []
        for reference in ready:
            results = self._results_of(reference, self._in_flight[reference])
            unit = self._forget(reference)  # only now: an interrupt before this leaves it to `collect`
            if results is not None:
                finished.append((unit, results))
            else:
                self.submit(unit)
        return finished + (self._give_up_silent() if self._folder is None else [])

    def collect(self) -> list[Finished]:
        """Returns the units that have finished by now."""
        references = list(self._in_flight)
        ready, _ = self._ray.wait(references, num_returns=len(references), timeout=0) if references else ([], [])
        answered = [(self._results_of(reference, self._in_flight[reference]), reference) for reference in ready]
        return [(self._forget(reference), results) for results, reference in answered if results is not None]

    def close(self) -> None:
        """Ends the workers; of a Ray that others started, only what it does for us.

        Without the raylet there is nothing to end in order: Ray's library may end this process as soon as it asks for
        it, before anything is said. Ray's own last act at the end of the process takes care of the rest.
        """
        if self._has_raylet:
            for reference in self._in_flight:
                self._ray.cancel(reference, force=True)
            self._ray.shutdown()
        self._in_flight.clear()
        if self._folder is not None:
            self._folder.remove()

    def _give_up_silent(self) -> list[Finished]:
        """Hands out again what computes on a machine that has gone without a word, its connections open.

        Returns:
            The units for which that was once too often.
        """
        finished = []
        dead, has_news = self._machines.look_for_losses()
        for reference in self._places.newly_begun(at_once=has_news):
            self._note_begin(reference)
        for reference, node in self._places.on(dead, or_nowhere=has_news):
            seconds = self._seconds_of(reference)
            unit = self._forget(reference)
            self._ray.cancel(reference)
            silent = RuntimeError(f"{node} fell silent")
            results = self._after_loss(unit, "node_lost", silent, seconds) if node else None
            if results is not None:
                finished.append((unit, results))
            else:
                self.submit(unit)
        return finished

    def _check_raylet(self) -> None:
        """Looks whether Ray's own process still runs: its library would miss it for half a minute, then end ours.

        Raises:
            SearchStateError: It does not.
        """
        node = self._ray._private.worker._global_node if self._folder is not None else None
        if node is not None and any(kind == "raylet" for kind, _ in node.dead_processes()):
            raise self._without_raylet()

    def _without_raylet(self) -> SearchStateError:
        self._has_raylet = False
        return SearchStateError("Ray's own process on this machine has ended; every finished trial is kept.")

    def _cancel_overdue(self) -> None:
        """Ends workers that do not watch over their trials any more, as when they are stopped by a signal."""
        now = time.monotonic()
        for reference in [reference for reference, end in self._overdue_at.items() if now > end]:
            del self._overdue_at[reference]
            self._ray.cancel(reference, force=True)

    def _results_of(self, reference: Any, unit: Unit) -> Results | None:
        """Returns a finished unit's results, None if it must be handed out again."""
        exceptions = self._ray.exceptions
        try:
            answer = self._ray.get(reference)
        except exceptions.RayTaskError as error:
            raise error.cause from error
        except exceptions.LocalRayletDiedError as error:
            raise self._without_raylet() from error
        except (exceptions.NodeDiedError, exceptions.ObjectLostError, exceptions.TaskUnschedulableError) as error:
            return self._after_loss(unit, "node_lost", error, self._seconds_of(reference))
        except (exceptions.WorkerCrashedError, exceptions.OutOfMemoryError, exceptions.TaskCancelledError) as error:
            return self._after_loss(unit, "worker_lost", error, self._seconds_of(reference))
        notes = answer["notes"]
        if "refused" in answer:
            notes = [self._machines.refuse(answer["node"], answer["refused"])]
        for note in filter(None, notes):
            _logger.warning("%s", note)
        if "refused" in answer:
            return None
        return tuple(map(TrialResult.from_record, answer["records"]))

    def _seconds_of(self, reference: Any) -> float:
        """Returns for how long a task has been computed, 0 where its begin was not seen."""
        now = time.monotonic()
        return now - self._begun_at.get(reference, now)

    def _after_loss(self, unit: Unit, status: Status, error: Exception, seconds: float) -> Results | None:
        self._losses[unit].append(seconds)
        num_losses = len(self._losses[unit])
        text = " ".join(str(error).split())[:500]
        what = "machine" if status == "node_lost" else "worker"
        if num_losses < MAX_LOSSES:
            again = f"it is handed out again ({num_losses} of {MAX_LOSSES - 1} times)"
            _logger.warning("%s: its %s was lost, %s: %s", name_of(unit), what, again, text)
            return None
        error_text = f"{MAX_LOSSES} workers were lost under this trial, the last one with its {what}: {text}"
        node = _NODE.search(text)
        cause: dict[str, str | float] = {"losses": num_losses, **({"node": node[1]} if node else {})}
        result = TrialResult(status, None, seconds=sum(self._losses[unit]) / len(unit), error=error_text, cause=cause)
        return tuple(replace(result, metric=self._metric_of(trial.task)) for trial in unit)


_supervisor: tuple[str, Supervisor] | None = None
"""Of a worker process, for as long as it lives, with the GPUs that its own process sees."""

VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"


def _compute(
    evaluator: TrialEvaluator, limits: Limits, own: Mapping[str, str], unit: Unit, note: str
) -> dict[str, Any]:
    """Runs in a worker; plain values travel back, so that no class of ours needs to be found to read them."""
    if not note:
        return _computed(evaluator, limits, own, unit)
    import ray

    with noted_place(ray, note):
        return _computed(evaluator, limits, own, unit)


def _computed(evaluator: TrialEvaluator, limits: Limits, own: Mapping[str, str], unit: Unit) -> dict[str, Any]:
    supervisor = _supervisor_of(evaluator, limits)
    refused = _refusal(supervisor, own)
    if refused:
        import ray

        return {"refused": refused, "node": ray.get_runtime_context().get_node_id(), "notes": []}
    try:
        supervisor.begin(unit)
        while (results := supervisor.poll(WATCH_SECONDS)) is None:
            pass
    except BaseException:  # as when the task is cancelled: what trains now must not answer for the next unit
        supervisor.close()
        raise
    return {"records": [result.to_record() for result in results], "notes": supervisor.take_notes()}


def _refusal(supervisor: Supervisor, own: Mapping[str, str]) -> str:
    try:
        return differences(supervisor.environment(), own)
    except ArchSearchError as error:
        return str(error)


def _describe(evaluator: TrialEvaluator, limits: Limits) -> dict[str, str]:
    """Runs in a worker: returns what the evaluator says of the place."""
    return dict(_supervisor_of(evaluator, limits).environment())


def _supervisor_of(evaluator: TrialEvaluator, limits: Limits) -> Supervisor:
    """Returns what watches over trials here, with the GPU that Ray has given to the task at work."""
    global _supervisor
    visible = os.environ.get(VISIBLE_GPUS, "")
    if _supervisor is not None and _supervisor[0] != visible:
        _supervisor[1].close()
        _supervisor = None
    if _supervisor is None:
        _supervisor = visible, Supervisor(evaluator, limits)
    return _supervisor[1]
