"""The executor that computes trials in worker processes, by Ray. The only file that knows Ray."""

import _thread
import logging
import os
import shutil
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from archsearch.errors import SearchStateError
from archsearch.run.executor import TrialEvaluator
from archsearch.trials.trial import Trial, TrialResult

START_SECONDS = 180.0
MAX_LOSSES = 3
"""Workers that may be lost under one trial before it is given up."""


class RayExecutor:
    """Computes trials in `num_workers` processes of a private local Ray.

    Nothing joins a Ray that others run on the machine, and nothing of theirs is touched.

    Args:
        evaluator: What trains; sent to the workers once.
        num_workers: Trials at once, each on one thread.

    Raises:
        SearchStateError: Ray does not start.
    """

    def __init__(self, evaluator: TrialEvaluator, num_workers: int) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        self._ray = ray
        self._temporary = Path(tempfile.mkdtemp(prefix="archsearch-"))
        try:
            _start(ray, num_workers, self._temporary)
        except BaseException:
            shutil.rmtree(self._temporary, ignore_errors=True)
            raise
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

        A trial whose worker was lost is handed out again, `MAX_LOSSES` times in all.

        Raises:
            ArchSearchError: The trial itself was asked for wrongly.
        """
        if not self._in_flight:
            return []
        ready, _ = self._ray.wait(list(self._in_flight), num_returns=1, timeout=timeout_seconds)
        finished = []
        for reference in ready:
            trial = self._in_flight[reference]
            result = self._result_of(reference, trial)
            del self._in_flight[reference]  # only now: an interrupt before this leaves it to `collect`
            if result is not None:
                finished.append((trial, result))
            else:
                self.submit(trial)
        return finished

    def collect(self) -> list[tuple[Trial, TrialResult]]:
        """Returns the trials that have finished by now."""
        references = list(self._in_flight)
        ready, _ = self._ray.wait(references, num_returns=len(references), timeout=0) if references else ([], [])
        trials = [self._in_flight.pop(reference) for reference in ready]
        results = [(trial, self._result_of(reference, trial)) for reference, trial in zip(ready, trials, strict=True)]
        return [(trial, result) for trial, result in results if result is not None]

    def _result_of(self, reference: Any, trial: Trial) -> TrialResult | None:
        """Returns a finished trial's result, None if its worker was lost and another may try."""
        exceptions = self._ray.exceptions
        try:
            return TrialResult.from_record(self._ray.get(reference))
        except exceptions.RayTaskError as error:
            raise error.cause from error
        except (exceptions.WorkerCrashedError, exceptions.OutOfMemoryError) as error:
            text = " ".join(str(error).split())[:500]
        self._losses[trial.key] += 1
        if self._losses[trial.key] < MAX_LOSSES:
            return None
        return TrialResult("worker_lost", None, error=f"{MAX_LOSSES} workers were lost under this trial: {text}")

    def close(self) -> None:
        """Ends the workers and removes the temporary folder."""
        for reference in self._in_flight:
            self._ray.cancel(reference, force=True)
        self._in_flight.clear()
        self._ray.shutdown()
        shutil.rmtree(self._temporary, ignore_errors=True)


def _start(ray: Any, num_workers: int, temporary: Path) -> None:
    """Starts a private Ray, or gives up after `START_SECONDS`: it may hang where it is not allowed to open sockets."""
    is_late = threading.Event()

    def give_up() -> None:
        is_late.set()
        _thread.interrupt_main()

    watchdog = threading.Timer(START_SECONDS, give_up)
    watchdog.daemon = True
    watchdog.start()
    advice = "Look at the memory, the disk and the sockets allowed here, or use workers=0 to train in this process."
    try:
        ray.init(
            address="local",
            num_cpus=num_workers,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=256 * 1024 * 1024,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}},
            _temp_dir=str(temporary),
        )
    except KeyboardInterrupt:
        if not is_late.is_set():
            raise
        raise SearchStateError(f"Ray did not start within {START_SECONDS:.0f} s. {advice}") from None
    except (RuntimeError, ValueError, OSError) as error:
        raise SearchStateError(f"Ray did not start ({error}). {advice}") from error
    finally:
        watchdog.cancel()


def _evaluate(evaluator: TrialEvaluator, trial: Trial) -> dict[str, Any]:
    """Runs in a worker; plain values travel back, so that no class of ours needs to be found to read them."""
    return evaluator.evaluate(trial).to_record()
