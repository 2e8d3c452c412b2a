"""Runs a search of 200,000 simulated trials on 1,000 simulated workers through the real search, driver and journal.

    python benchmarks/scale.py FOLDER [--candidates N] [--at-once N] [--workers N] [--lookahead N] [--plot PICTURE]

FOLDER must not exist. Prints the driver's CPU time per trial and its memory from the beginning to the end, with what
drawing the simulated results took left out; then how long a fresh process takes to resume the finished journal, and
to print its leaderboard. Writes every sample to FOLDER.csv, and draws them into an SVG or PNG on request. Linux only.
"""

import argparse
import csv
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scale_plot import fifths, mean_cost, plot_scale
from simulated_search import SimulatedWorkers, make_plan

from archsearch.mutation import mutate as mutation
from archsearch.run import session
from archsearch.run.folder import RunFolder
from archsearch.run.session import EndedRun, run_search
from archsearch.search.evolution import Evolution
from archsearch.search.outcome import StepOutcome
from archsearch.trials.trial import Trial, TrialResult

TRIALS_PER_SAMPLE = 2000
COLUMNS = ("trials", "steps", "driver_ms_per_trial", "of_it_mutation_ms", "memory_mb", "elapsed_seconds")
BAR_WIDTH = 50


class Sampler:
    """An observer that notes what each few thousand trials cost."""

    def __init__(self, workers: SimulatedWorkers, mutation_clock: "Clock") -> None:
        self.samples: list[dict[str, float]] = []
        self._workers = workers
        self._mutation = mutation_clock
        self._begin = time.monotonic()
        self._before = self._times()
        self._num_trials = self._num_steps = 0

    def trial_answered(self, trial: Trial, result: TrialResult, *, recorded: bool) -> None:  # noqa: ARG002
        """Takes a sample now and then."""
        self._num_trials += 1
        if self._num_trials % TRIALS_PER_SAMPLE == 0:
            now = self._times()
            driver, mutating = (1e3 * (b - a) / TRIALS_PER_SAMPLE for a, b in zip(self._before, now, strict=True))
            elapsed = time.monotonic() - self._begin
            values = (self._num_trials, self._num_steps, driver, mutating, memory_mb(), elapsed)
            self.samples.append(dict(zip(COLUMNS, values, strict=True)))
            self._before = now

    def step_consumed(self, outcome: StepOutcome, evolution: Evolution) -> None:  # noqa: ARG002
        """Counts the step."""
        self._num_steps += 1

    def refresh(self, num_in_flight: int, num_waiting: int) -> None:
        """Does nothing."""

    def _times(self) -> tuple[float, float]:
        return time.process_time() - self._workers.cpu_seconds, self._mutation.seconds


class Clock:
    """Adds up the CPU time of a function wherever it was imported."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.seconds = 0.0
        self.calls = 0

        def timed(*arguments: Any) -> Any:
            begin = time.process_time()
            try:
                return function(*arguments)
            finally:
                self.seconds += time.process_time() - begin
                self.calls += 1

        for module in list(sys.modules.values()):
            for name, value in list(vars(module).items()):
                if value is function:
                    setattr(module, name, timed)


def main() -> None:
    """Runs everything and prints it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--candidates", type=int, default=8200)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--lookahead", type=int, default=2000)
    parser.add_argument("--at-once", type=int, default=1, help="results that arrive together")
    parser.add_argument("--plot", type=Path, help="where to draw cost and memory along the run")
    parser.add_argument("--resume", action="store_true", help="only resume a finished run")
    arguments = parser.parse_args()
    if arguments.resume:
        workers = SimulatedWorkers(arguments.workers, arguments.at_once)
        begin, sampler = time.monotonic(), Sampler(workers, Clock(mutation.mutate))
        run(arguments, RunFolder.open(arguments.folder), workers, sampler)
        took = time.monotonic() - begin
        print(f"resume: {took:.1f} s, {time.process_time():.1f} s of CPU, at most {peak_mb():.0f} MB")
        return
    search(arguments)
    journal = arguments.folder / "archsearch.db"
    print(f"journal: {journal.stat().st_size / 1e6:.0f} MB")
    subprocess.run([sys.executable, *sys.argv, "--resume"], check=True)
    read = "import sys; from archsearch.cli.main import run_command_line as r; sys.exit(r(sys.argv[1:]))"
    begin, before = time.monotonic(), children_cpu_seconds()
    command = [sys.executable, "-c", read, "leaderboard", f"run={arguments.folder}", "top=3"]
    subprocess.run(command, check=True)
    cpu = children_cpu_seconds() - before
    print(f"archsearch leaderboard: {time.monotonic() - begin:.1f} s, {cpu:.1f} s of CPU")


def search(arguments: argparse.Namespace) -> None:
    """Runs the search and prints its samples."""
    workers = SimulatedWorkers(arguments.workers, arguments.at_once)
    folder = RunFolder.create(arguments.folder.parent, arguments.folder.name, "scale")
    clock = Clock(mutation.mutate)
    sampler = Sampler(workers, clock)
    run(arguments, folder, workers, sampler)
    with arguments.folder.with_suffix(".csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(sampler.samples)
    show(sampler.samples)
    if arguments.plot:
        plot_scale(sampler.samples, arguments.plot)
    by_part = ", ".join(f"{mean_cost(part):.3f}" for part in fifths(sampler.samples))
    print(f"\ndriver: {mean_cost(sampler.samples):.3f} ms of CPU per trial; by fifths {by_part}")
    print("The first has the start of all steps in flight at once, the last few proposals: those are under way.")
    print(f"of it mutation with canonical forms: {1e3 * clock.seconds / max(1, clock.calls):.2f} ms per child drawn")
    print(f"memory: at most {peak_mb():.0f} MB; drawing results took {workers.cpu_seconds:.0f} s, not counted")


def run(arguments: argparse.Namespace, folder: RunFolder, workers: SimulatedWorkers, observer: Sampler) -> EndedRun:
    """Runs a sitting with the simulated workers in the place of real ones."""
    session.make_executor = lambda *_: workers  # type: ignore[assignment]
    plan = make_plan(arguments.candidates, arguments.lookahead)
    return run_search(plan, folder, None, arguments.workers, observer)  # type: ignore[arg-type]


def show(samples: list[dict[str, float]]) -> None:
    """Prints cost and memory as bars, some twenty rows of them."""
    most = max(sample["driver_ms_per_trial"] for sample in samples)
    print(f"{'trials':>8} {'ms/trial':>9} {'memory':>8}   driver CPU per trial")
    stride = max(1, len(samples) // 20)
    for start in range(0, len(samples) - stride + 1, stride):
        part = samples[start : start + stride]
        cost = mean_cost(part)
        bar = "#" * round(BAR_WIDTH * cost / most)
        print(f"{part[-1]['trials']:>8.0f} {cost:>9.3f} {part[-1]['memory_mb']:>5.0f} MB   {bar}")


def children_cpu_seconds() -> float:
    """Returns what processes that were started and have ended took."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def memory_mb() -> float:
    """Returns what the process holds in memory now."""
    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak_mb() -> float:
    """Returns the most the process has held in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
