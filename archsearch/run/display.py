"""What a person sees while a search runs: a live table on a terminal, plain lines elsewhere."""

import sys
import time
from collections import Counter
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live

from archsearch.run.live_table import BestCell, LiveState, best_cells, live_lines, live_picture
from archsearch.search.evolution import Evolution
from archsearch.search.outcome import COMPLETED, EXHAUSTED, IN_FLIGHT, KNOWN, StepOutcome
from archsearch.search.plan import SearchPlan
from archsearch.trials.trial import Trial, TrialResult

SECONDS_BETWEEN_LINES = 15.0
MAX_SECONDS_BETWEEN_LINES = 300.0
LINES_AT_A_PACE = 40
"""After so many lines the next pause is longer: the log of a week should be readable, too."""


class Progress:
    """The numbers behind both displays.

    Args:
        plan: The search.
    """

    def __init__(self, plan: SearchPlan) -> None:
        self._plan = plan
        self._begin = time.monotonic()
        self.num_founder_trials = len(plan.founders) * sum(
            plan.num_trials(task, task.max_settings) for task in plan.tasks
        )
        self.num_recorded = 0
        self.num_copied = 0
        self.num_computed = 0
        self.num_candidates = 0
        self.num_dropped = 0
        self.num_duplicates = 0
        self.num_in_flight = 0
        self.failures: Counter[str] = Counter()
        self.stages: Counter[str] = Counter()
        self._founders_are_done = False
        self._pace_from: tuple[float, int] | None = None

    def count_trial(self, result: TrialResult, *, recorded: bool) -> None:
        """Counts a trial that was answered."""
        copied = bool(result.recorded_in) and not recorded
        self.num_copied += copied
        recorded = recorded or copied
        self.num_recorded += recorded
        self.num_computed += not recorded
        if self._founders_are_done and self._pace_from is None and not recorded:
            self._pace_from = time.monotonic(), self.num_candidates
        if result.status != "ok":
            self.failures[result.status] += 1

    def count_step(self, outcome: StepOutcome) -> None:
        """Counts a consumed step."""
        if outcome.kind == "baseline":
            self._founders_are_done = True
        if outcome.kind == "propose":
            self.num_candidates += 1
            self.stages[outcome.stage] += 1
        self.num_dropped += len(outcome.dropped)
        self.num_duplicates += sum(reason in {KNOWN, IN_FLIGHT, EXHAUSTED} for _, reason in outcome.dropped)

    def seconds_left(self) -> float | None:
        """Returns a guess from the pace so far: of the founders' trials first, of candidates afterwards.

        What came from the journal says nothing about the pace.
        """
        now = time.monotonic()
        if not self._founders_are_done:
            done = self.num_recorded + self.num_computed
            if not self.num_computed:
                return None
            return (now - self._begin) / self.num_computed * max(0, self.num_founder_trials - done)
        if self._pace_from is None:
            return None
        since, candidates_then = self._pace_from
        num_new = self.num_candidates - candidates_then
        if not num_new:
            return None
        return (now - since) / num_new * (self._plan.num_candidates - self.num_candidates)

    def trials_per_hour(self) -> float | None:
        """Returns the pace of what was computed here, None before anything was."""
        seconds = time.monotonic() - self._begin
        return 3600 * self.num_computed / seconds if self.num_computed and seconds > 0 else None

    def state(self, best: tuple[BestCell, ...], num_workers: int | None) -> LiveState:
        """Returns everything as one value.

        Args:
            best: The best cells so far.
            num_workers: Trials that can be in flight at once; None where it is not known.
        """
        done = self.num_recorded + self.num_computed
        return LiveState(
            tasks=tuple(task.name for task in self._plan.tasks),
            num_candidates=self.num_candidates,
            max_candidates=self._plan.num_candidates,
            stages=dict(self.stages),  # copies: the picture is drawn by another thread than the one that counts
            num_duplicates=self.num_duplicates,
            num_out_of_bounds=self.num_dropped - self.num_duplicates,
            num_trials=done,
            num_recorded=self.num_recorded - self.num_copied,
            num_copied=self.num_copied,
            trials_per_hour=self.trials_per_hour(),
            num_busy=self.num_in_flight,
            num_workers=num_workers,
            seconds_left=self.seconds_left(),
            failures=dict(self.failures),
            best=best,
            founder_trials=None if self._founders_are_done else (done, self.num_founder_trials),
        )


class PlainDisplay:
    """Prints a line now and then, ever more seldom, and one for every cell that passed all gates.

    What an earlier sitting left is told in the first line, before anything is computed.

    Args:
        plan: The search.
        stream: Where the lines go.
        num_workers: Trials that can be in flight at once; None where it is not known.
    """

    def __init__(self, plan: SearchPlan, stream: TextIO, num_workers: int | None = 1) -> None:
        self._progress = Progress(plan)
        self._num_workers = num_workers
        self._stream = stream
        self._begin = time.monotonic()
        self._due: float | None = None

    def trial_answered(self, trial: Trial, result: TrialResult, *, recorded: bool) -> None:  # noqa: ARG002
        """Counts the trial."""
        self._progress.count_trial(result, recorded=recorded)

    def step_consumed(self, outcome: StepOutcome, evolution: Evolution) -> None:
        """Counts the step, and tells of a cell that came through; what the journal held is not told again."""
        self._progress.count_step(outcome)
        if not self._progress.num_computed:
            return
        if outcome.kind == "baseline":
            knowledge = evolution.knowledge
            best = ", ".join(f"{task} {knowledge.baseline_value(task):.3f}" for task in knowledge.tasks)
            self._print(f"founders done, the baseline's best: {best}")
        elif outcome.kind == "propose" and outcome.stage == COMPLETED:
            digest = outcome.cells[0].digest
            fitness = evolution.knowledge.fitness(evolution.knowledge.cells[digest])
            self._print(f"step {outcome.number}: {digest} passed every gate, fitness {fitness:.3f}")

    def refresh(self, num_in_flight: int, num_waiting: int) -> None:  # noqa: ARG002
        """Notes how busy the workers are, and prints the state if the last line is old."""
        self._progress.num_in_flight = num_in_flight
        now = time.monotonic()
        if self._due is None and not self._progress.num_recorded:
            self._due = self._begin + SECONDS_BETWEEN_LINES
        if self._due is None or now > self._due:
            self._print_state()
            pause = max(SECONDS_BETWEEN_LINES, (now - self._begin) / LINES_AT_A_PACE)
            self._due = now + min(pause, MAX_SECONDS_BETWEEN_LINES)

    def close(self) -> None:
        """Prints the last state, in which nothing is in flight any more."""
        self._progress.num_in_flight = 0
        self._print_state()

    def _print_state(self) -> None:
        self._print(live_lines(self._progress.state((), self._num_workers)))

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class LiveDisplay:
    """Shows the best cells with the progress around them, redrawn in place.

    Args:
        plan: The search.
        console: The terminal.
        num_workers: Trials that can be in flight at once; None where it is not known.
    """

    def __init__(self, plan: SearchPlan, console: Console, num_workers: int | None = 1) -> None:
        self._progress = Progress(plan)
        self._num_workers = num_workers
        self._best: tuple[BestCell, ...] = ()
        self._live = Live(console=console, refresh_per_second=4, get_renderable=self._render)
        self._live.start()

    def trial_answered(self, trial: Trial, result: TrialResult, *, recorded: bool) -> None:  # noqa: ARG002
        """Counts the trial."""
        self._progress.count_trial(result, recorded=recorded)

    def step_consumed(self, outcome: StepOutcome, evolution: Evolution) -> None:
        """Counts the step and brings the table up to date."""
        self._progress.count_step(outcome)
        self._best = best_cells(evolution.knowledge)

    def refresh(self, num_in_flight: int, num_waiting: int) -> None:  # noqa: ARG002
        """Notes how busy the workers are."""
        self._progress.num_in_flight = num_in_flight

    def close(self) -> None:
        """Leaves the last picture standing, in which nothing is in flight any more."""
        self._progress.num_in_flight = 0
        self._live.stop()

    def _render(self) -> Group:
        return live_picture(self._progress.state(self._best, self._num_workers))


def make_display(plan: SearchPlan, workers: int | None = 1) -> PlainDisplay | LiveDisplay:
    """Returns a live table if standard output is a terminal, else plain lines.

    Args:
        plan: The search.
        workers: Worker processes; 0 counts as one, this process. None for those of a cluster, which come and go.
    """
    num_workers = None if workers is None else max(1, workers)
    console = Console(markup=False)
    if console.is_terminal:
        return LiveDisplay(plan, console, num_workers)
    return PlainDisplay(plan, sys.stdout, num_workers)
