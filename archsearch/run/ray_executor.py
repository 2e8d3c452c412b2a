"""The executor that computes trials in worker processes, by Ray. The only file that knows Ray."""

import logging
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from archsearch.run.executor import TrialEvaluator
from archsearch.trials.trial import Trial, TrialResult

MAX_LOSSES = 3
"""Workers that may be lost under one trial before it is given up."""


class RayExecutor:
    """Computes trials in `num_workers` processes of a private local Ray.

    Nothing joins a Ray that others run on the machine, and nothing of theirs is touched.

    Args:
        evaluator: What trains; sent to the workers once.
        num_workers: Trials at once, each on one thread.
    """

    def __init__(self, evaluator: TrialEvaluator, num_workers: int) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        self._ray = ray
        self._temporary = Path(tempfile.mkdtemp(prefix="archsearch-"))
        ray.init(
            address="local",
            num_cpus=num_workers,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=256 * 1024 * 1024,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}},
            _temp_dir=str(self._temporary),
        )
        # A trial that dies with its worker is counted here and handed out again: Ray would retry without end.
        self._evaluate = ray.remote(num_cpus=1, max_retries=0)(_evaluate)
        self._evaluator = ray.put(evaluator)
        self._in_flight: dict[Any, Trial] = {}
        self._losses: Counter[str] = Counter()
        self.num_slots = num_workers

    def submit(self, trial: Trial) -> None:
        """Hands a trial to a worker."""
        self._in_flight[self._evaluate.remote(self._evaluator, trial)] = trial

    def wait(self, timeout_seconds: float) -> list[tuple[Trial, TrialResult]]:
        """Returns the trials finished, as soon as there is one, or none after the time.

        Raises:
            ArchSearchError: The trial itself was asked for wrongly.
        """
        if not self._in_flight:
            return []
        ready, _ = self._ray.wait(list(self._in_flight), num_returns=1, timeout=timeout_seconds)
        finished = ((self._in_flight[reference], self._result_of(reference)) for reference in ready)
        return [(trial, result) for trial, result in finished if result is not None]

    def collect(self) -> list[tuple[Trial, TrialResult]]:
        """Returns the trials that have finished by now."""
        finished = []
        while some := self.wait(0.0):
            finished += some
        return finished

    def _result_of(self, reference: Any) -> TrialResult | None:
        """Returns a trial's result, None if its worker was lost and another has it now."""
        trial = self._in_flight.pop(reference)
        exceptions = self._ray.exceptions
        try:
            return TrialResult.from_record(self._ray.get(reference))
        except exceptions.RayTaskError as error:
            raise error.cause from error
        except (exceptions.WorkerCrashedError, exceptions.OutOfMemoryError, exceptions.RaySystemError) as error:
            self._losses[trial.key] += 1
            if self._losses[trial.key] < MAX_LOSSES:
                self.submit(trial)
                return None
            text = " ".join(str(error).split())[:500]
            return TrialResult("worker_lost", None, error=f"{MAX_LOSSES} workers were lost under this trial: {text}")

    def close(self) -> None:
        """Ends the workers and removes the temporary folder."""
        for reference in self._in_flight:
            self._ray.cancel(reference, force=True)
        self._in_flight.clear()
        self._ray.shutdown()
        shutil.rmtree(self._temporary, ignore_errors=True)


def _evaluate(evaluator: TrialEvaluator, trial: Trial) -> dict[str, Any]:
    """Runs in a worker; plain values travel back, so that no class of ours needs to be found to read them."""
    return evaluator.evaluate(trial).to_record()
