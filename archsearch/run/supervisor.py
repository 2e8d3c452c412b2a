"""Watches over trials in a process of their own, and ends it when it must: the same way in every executor."""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from archsearch.run.execution import Limits
from archsearch.run.trial_process import Death, TrialProcess, did_not_start
from archsearch.run.unit import Results, TrialEvaluator, Unit, metric_name, name_of
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


@dataclass
class _Attempt:
    """What has befallen trials that are run together, or one of them by itself, until they have their results.

    Attributes:
        part: The trials, a unit or one of its trials.
        is_alone: Whether nothing else has run in the process.
        num_losses: Processes that were ended from outside under it.
        num_crashes_alone: Processes in which it ran alone and which ended by themselves.
        since: When it was handed to the present process, or when that was ready, by the monotonic clock.
        has_begun: Whether that process was ready.
        lost_seconds: Time that it took in processes that have ended.
    """

    part: Unit
    is_alone: bool = False
    num_losses: int = 0
    num_crashes_alone: int = 0
    since: float = 0.0
    has_begun: bool = False
    lost_seconds: float = 0.0

    def begin(self) -> None:
        """Begins anew, in another process or for the first time."""
        self.has_begun, self.since = False, time.monotonic()

    def lose(self) -> None:
        """Adds up what the present process has taken, which ends."""
        self.lost_seconds += time.monotonic() - self.since


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
        self._attempt: _Attempt | None = None
        self._left: deque[Unit] = deque()
        self._results: dict[str, TrialResult] = {}

    def begin(self, unit: Unit) -> None:
        """Starts a unit; the one before must have ended, or been dropped by `close`."""
        assert self._attempt is None  # results have no key: those of the unit before would be taken for this one's
        self._unit, self._results = unit, {}
        self._left.clear()
        self._begin_part(unit)

    def _begin_part(self, part: Unit) -> None:
        """Starts a unit, or one trial of it."""
        self._attempt = _Attempt(part)
        self._start(self._attempt)

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
            self._end_process()
            if not answer.is_from_outside:
                break
        raise did_not_start(str(answer))

    def _await_start(self) -> Death | None:
        self._process = self._process or TrialProcess(self._evaluator)
        give_up = time.monotonic() + START_SECONDS
        while self._process.environment is None:
            left = give_up - time.monotonic()
            if left < 0:
                raise did_not_start(f"not within {START_SECONDS:.0f} s")
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
        until = time.monotonic() + timeout_seconds
        while True:
            attempt = self._attempt
            assert attempt is not None  # begin comes first
            left = until - time.monotonic()
            ended = self._look(attempt, max(0.0, min(left, SECONDS_BETWEEN_LOOKS)))
            if ended is not None:
                if attempt.is_alone:
                    self._end_process()  # a process in which this trial ran shall not be blamed on the next one
                results = self._settle(attempt.part, ended)
                if results is not None:
                    return results
            if left <= 0:
                return None

    def take_notes(self) -> list[str]:
        """Returns what has happened besides results since the last call, for people."""
        notes, self._notes = self._notes, []
        return notes

    def close(self) -> None:
        """Ends the process and drops the unit in it."""
        self._attempt = None
        self._end_process()

    def _end_process(self) -> None:
        if self._process is not None:
            self._process.end()
            self._process = None

    def _settle(self, part: Unit, ended: Results | TrialResult) -> Results | None:
        """Takes what the trials at work came to, a verdict for all of them or their results; goes on with what is left.

        Returns:
            The results of the whole unit, None as long as some are missing.
        """
        if isinstance(ended, tuple):
            self._results |= {trial.key: result for trial, result in zip(part, ended, strict=True)}
        elif len(part) == 1:
            self._results[part[0].key] = ended
        else:
            self._note(part, f"{ended.error}; each is run by itself")
            self._left.extend((trial,) for trial in part)
        if self._left:
            self._begin_part(self._left.popleft())
            return None
        self._attempt = None
        return tuple(self._results[trial.key] for trial in self._unit)

    def _look(self, attempt: _Attempt, timeout_seconds: float) -> Results | TrialResult | None:
        """Returns results, or a verdict that stands for them."""
        assert self._process is not None  # there is one from begin to close
        answer = self._process.receive(timeout_seconds)
        if isinstance(answer, tuple):
            return answer
        if answer is not None:
            return self._after(attempt, answer)
        now = time.monotonic()
        if self._process.environment is None:
            if now - attempt.since > START_SECONDS:
                raise did_not_start(f"not within {START_SECONDS:.0f} s")
            return None
        if not attempt.has_begun:
            attempt.has_begun, attempt.since = True, now
        return self._beyond_limits(attempt, now - attempt.since)

    def _beyond_limits(self, attempt: _Attempt, seconds: float) -> TrialResult | None:
        assert self._process is not None  # the caller has looked
        limits = self._limits
        if limits.seconds is not None and seconds > limits.seconds * len(attempt.part) + OVERRUN_SECONDS:
            attempt.lose()
            self._end_process()
            error = f"the trial took longer than its limit of {limits.seconds:g} s and had to be ended by force"
            return self._verdict(attempt, "time_limit", error, {"limit_seconds": limits.seconds})
        if limits.megabytes is None or self._process.megabytes() <= limits.megabytes:
            return None
        shared = not attempt.is_alone and self._process.num_answered > 0
        attempt.lose()
        self._end_process()
        if shared:
            what = "its process, in which others ran before, grew beyond the memory limit; it is run alone"
            self._note(attempt.part, what)
            self._start_alone(attempt)
            return None
        error = f"the process that trained grew beyond the limit of {limits.megabytes} MB"
        return self._verdict(attempt, "memory_limit", error, {"limit_megabytes": limits.megabytes})

    def _after(self, attempt: _Attempt, death: Death) -> TrialResult | None:
        """Decides what follows the end of a process under the trial."""
        assert self._process is not None  # it has just ended
        was_ready = self._process.environment is not None
        if was_ready:
            attempt.lose()
        self._end_process()
        if death.is_from_outside:
            attempt.num_losses += 1
            if attempt.num_losses < MAX_LOSSES:
                self._note(attempt.part, f"its process was ended by {death}; it is run again")
                self._start(attempt)
                return None
            error = f"{MAX_LOSSES} processes were ended from outside under this trial, the last by {death}"
            return self._verdict(attempt, "worker_lost", error, death.cause)
        if not was_ready:
            raise did_not_start(str(death))
        attempt.num_crashes_alone += attempt.is_alone
        if attempt.num_crashes_alone < MAX_CRASHES_ALONE:
            self._note(attempt.part, f"its process crashed, {death}; it is run alone")
            self._start_alone(attempt)
            return None
        error = f"crashed {MAX_CRASHES_ALONE} times alone in a process, by {death}"
        return self._verdict(attempt, "crashed", error, death.cause)

    def _start_alone(self, attempt: _Attempt) -> None:
        attempt.is_alone = True
        self._end_process()
        self._start(attempt)

    def _start(self, attempt: _Attempt) -> None:
        self._process = self._process or TrialProcess(self._evaluator)
        self._process.begin(attempt.part)
        attempt.begin()

    def _note(self, part: Unit, text: str) -> None:
        self._notes.append(f"{name_of(part)}: {text}.")

    def _verdict(self, attempt: _Attempt, status: Status, error: str, cause: Mapping[str, str | float]) -> TrialResult:
        """Returns what stands for a result that there is none of; its seconds are those of all processes."""
        metric = metric_name(self._evaluator, attempt.part[0].task)
        return TrialResult(status, None, seconds=attempt.lost_seconds, error=error, cause=cause, metric=metric)
