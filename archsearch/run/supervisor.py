"""Watches over trials in a process of their own, and ends it when it must: the same way in every executor."""

import time
from collections import deque
from collections.abc import Mapping

from archsearch.errors import SearchStateError
from archsearch.run.execution import Limits
from archsearch.run.trial_process import Death, TrialProcess
from archsearch.run.unit import Results, TrialEvaluator, Unit, name_of
from archsearch.trials.trial import Status, TrialResult

OVERRUN_SECONDS = 5.0
"""How much longer than its time limit a trial may take to notice it."""

START_SECONDS = 180.0
SECONDS_BETWEEN_LOOKS = 0.2
MAX_LOSSES = 3
"""Processes that may be ended from outside under one trial before it is given up."""

MAX_CRASHES_ALONE = 2


def longest_seconds(limits: Limits, num_trials: int = 1) -> float | None:
    """Returns the most time a supervisor can need for a unit, however often it must be run; None without a limit."""
    if limits.seconds is None:
        return None
    together = START_SECONDS + num_trials * limits.seconds + OVERRUN_SECONDS
    apart = START_SECONDS + limits.seconds + OVERRUN_SECONDS if num_trials > 1 else 0.0
    return (1 + MAX_CRASHES_ALONE + MAX_LOSSES) * (together + num_trials * apart)


class Supervisor:
    """Computes one unit of trials at a time in a process of its own, which it keeps from unit to unit.

    What ends a trial that does not end by itself, and what it is called:

    - Beyond its time limit: `time_limit`. It is not run again.
    - Its process grew beyond the memory limit: if other trials had run in the process, the trial is run again alone in
      a new one; there, `memory_limit`.
    - Its process ended by itself, by a crash in native code for instance: the trial is run again alone in a new one,
      and, if it crashes there, alone once more; then `crashed`.
    - Its process was ended from outside: the trial is run again, `MAX_LOSSES` times in all; then `worker_lost`.

    Trials that train together may use the sum of their time limits. Where they come to one of these ends, it is the end
    of none of them yet: each is run by itself, which tells whose it is.

    So a verdict depends on the cell alone, not on what else a process has been through.

    Args:
        evaluator: What trains.
        limits: Of each trial.
    """

    def __init__(self, evaluator: TrialEvaluator, limits: Limits) -> None:
        self._notes: list[str] = []
        self._evaluator = evaluator
        self._limits = limits
        self._process: TrialProcess | None = None
        self._unit: Unit = ()
        self._part: Unit = ()
        self._left: deque[Unit] = deque()
        self._results: dict[str, TrialResult] = {}
        self._since = 0.0
        self._has_begun = False
        self._is_alone = False
        self._num_losses = 0
        self._num_crashes_alone = 0

    def begin(self, unit: Unit) -> None:
        """Starts a unit; the one before must have ended."""
        self._unit, self._results = unit, {}
        self._left.clear()
        self._begin_part(unit)

    def _begin_part(self, part: Unit) -> None:
        """Starts a unit, or one trial of it."""
        self._part = part
        self._is_alone = False
        self._num_losses = self._num_crashes_alone = 0
        self._start()

    def environment(self) -> Mapping[str, str]:
        """Returns what the evaluator says of the place, starting a process if there is none.

        Raises:
            ArchSearchError: Nothing can be computed here.
        """
        for _ in range(MAX_LOSSES):
            answer = self._await_start()
            if answer is None:
                assert self._process is not None  # it is ready
                return self._process.environment or {}
            self.close()
            if not answer.is_from_outside:
                break
        raise _did_not_start(str(answer))

    def _await_start(self) -> Death | None:
        self._process = self._process or TrialProcess(self._evaluator)
        give_up = time.monotonic() + START_SECONDS
        while self._process.environment is None:
            left = give_up - time.monotonic()
            if left < 0:
                raise _did_not_start(f"not within {START_SECONDS:.0f} s")
            answer = self._process.receive(left)
            if answer is not None:
                assert isinstance(answer, Death)  # nothing was asked of it
                return answer
        return None

    def poll(self, timeout_seconds: float) -> Results | None:
        """Returns the results of the unit begun, as soon as they are there, or None after the time.

        Raises:
            ArchSearchError: The trial was asked for wrongly, or nothing can be computed here.
        """
        assert self._part  # begin comes first
        until = time.monotonic() + timeout_seconds
        while True:
            left = until - time.monotonic()
            ended = self._look(max(0.0, min(left, SECONDS_BETWEEN_LOOKS)))
            if ended is not None:
                if self._is_alone:
                    self.close()  # a process in which this trial ran shall not be blamed on the next one
                results = self._settle(ended)
                if results is not None:
                    return results
            if left <= 0:
                return None

    def take_notes(self) -> list[str]:
        """Returns what has happened besides results since the last call, for people."""
        notes, self._notes = self._notes, []
        return notes

    def close(self) -> None:
        """Ends the process and drops the trial in it."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def _settle(self, ended: Results | TrialResult) -> Results | None:
        """Takes what the trials at work came to, a verdict for all of them or their results; goes on with what is left.

        Returns:
            The results of the whole unit, None as long as some are missing.
        """
        if isinstance(ended, tuple):
            self._results |= {trial.key: result for trial, result in zip(self._part, ended, strict=True)}
        elif len(self._part) == 1:
            self._results[self._part[0].key] = ended
        else:
            self._note(f"{ended.error}; each is run by itself")
            self._left.extend((trial,) for trial in self._part)
        if self._left:
            self._begin_part(self._left.popleft())
            return None
        self._part = ()
        return tuple(self._results[trial.key] for trial in self._unit)

    def _look(self, timeout_seconds: float) -> Results | TrialResult | None:
        """Returns results, or a verdict that stands for them."""
        assert self._process is not None  # there is one from begin to close
        answer = self._process.receive(timeout_seconds)
        if isinstance(answer, tuple):
            return answer
        if answer is not None:
            return self._after(answer)
        now = time.monotonic()
        if self._process.environment is None:
            if now - self._since > START_SECONDS:
                raise _did_not_start(f"not within {START_SECONDS:.0f} s")
            return None
        if not self._has_begun:
            self._has_begun, self._since = True, now
        return self._beyond_limits(now - self._since)

    def _beyond_limits(self, seconds: float) -> TrialResult | None:
        assert self._process is not None  # the caller has looked
        limits = self._limits
        if limits.seconds is not None and seconds > limits.seconds * len(self._part) + OVERRUN_SECONDS:
            self.close()
            error = f"the trial took longer than its limit of {limits.seconds:g} s and had to be ended by force"
            return self._result("time_limit", error, seconds, {"limit_seconds": limits.seconds})
        if limits.megabytes is None or self._process.megabytes() <= limits.megabytes:
            return None
        shared = not self._is_alone and self._process.num_answered > 0
        self.close()
        if shared:
            self._note("its process, in which others ran before, grew beyond the memory limit; it is run alone")
            self._start_alone()
            return None
        error = f"the process that trained grew beyond the limit of {limits.megabytes} MB"
        return self._result("memory_limit", error, seconds, {"limit_megabytes": limits.megabytes})

    def _after(self, death: Death) -> TrialResult | None:
        """Decides what follows the end of a process under the trial."""
        assert self._process is not None  # it has just ended
        was_ready = self._process.environment is not None
        self.close()
        if death.is_from_outside:
            self._num_losses += 1
            if self._num_losses < MAX_LOSSES:
                self._note(f"its process was ended by {death}; it is run again")
                self._start_alone() if self._is_alone else self._start()
                return None
            error = f"{MAX_LOSSES} processes were ended from outside under this trial, the last by {death}"
            return self._result("worker_lost", error, 0.0, death.cause)
        if not was_ready:
            raise _did_not_start(str(death))
        self._num_crashes_alone += self._is_alone
        if self._num_crashes_alone < MAX_CRASHES_ALONE:
            self._note(f"its process crashed, {death}; it is run alone")
            self._start_alone()
            return None
        error = f"crashed {MAX_CRASHES_ALONE} times alone in a process, by {death}"
        return self._result("crashed", error, 0.0, death.cause)

    def _start_alone(self) -> None:
        self._is_alone = True
        self.close()
        self._start()

    def _start(self) -> None:
        self._process = self._process or TrialProcess(self._evaluator)
        self._process.begin(self._part)
        self._has_begun, self._since = False, time.monotonic()

    def _note(self, text: str) -> None:
        self._notes.append(f"{name_of(self._part)}: {text}.")

    def _result(self, status: Status, error: str, seconds: float, cause: Mapping[str, str | float]) -> TrialResult:
        return TrialResult(status, None, seconds=seconds, error=error, cause=cause)


def _did_not_start(reason: str) -> SearchStateError:
    return SearchStateError(
        f"the process that trains did not start ({reason}). With ARCHSEARCH_DEBUG=1 the same command shows what it "
        f"says. Look at the memory and at the number of processes allowed here."
    )
