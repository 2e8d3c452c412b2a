"""Times that can be compared: one thread, one core, contenders in turn, medians."""

import gc
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

Run = Callable[[], object]

MIN_ROUNDS = 5
MAX_PER_TURN = 8
UNDISTURBED = 0.95
TURN_SECONDS = 0.01
# Beyond it a call's own work fills the caches so often that what lay in them before does not count.
WARM_UP_SECONDS = 0.15


@dataclass(frozen=True)
class Measured:
    """What came of measuring several contenders.

    Attributes:
        milliseconds: Of one call, by name.
        rounds: Turns that each had.
        cpu_share: CPU time per time elapsed; well below 1 where other processes took the core away.
    """

    milliseconds: dict[str, float]
    rounds: int
    cpu_share: float


def pin_one_thread() -> str:
    """Keeps this process, and those it starts, on one core and torch on one thread; returns what was done."""
    torch.set_num_threads(1)
    if not hasattr(os, "sched_setaffinity"):
        return "one thread; this system does not pin it to a core"
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return f"one thread on core {core}"


def interleaved_medians(contenders: Mapping[str, Run], seconds: float, max_rounds: int) -> Measured:
    """Measures contenders in turn, so that a slower moment of the machine meets all of them.

    A turn is one call that is not counted, which finds the caches as the others left them, and one or several that are:
    a training calls the same step again and again. Each round begins with another contender.

    Args:
        contenders: What to call, by name.
        seconds: About how long to measure.
        max_rounds: At most so many turns each; at least `MIN_ROUNDS`, or `max_rounds` if that is less.
    """
    expected = {}
    for name, run in contenders.items():
        run()
        expected[name] = seconds_of(run)
    counts = {name: max(1, min(MAX_PER_TURN, int(TURN_SECONDS / value))) for name, value in expected.items()}
    warm_ups = {name: int(value < WARM_UP_SECONDS) for name, value in expected.items()}
    round_seconds = sum((counts[name] + warm_ups[name]) * value for name, value in expected.items())
    num_rounds = max(min(MIN_ROUNDS, max_rounds), min(max_rounds, int(seconds / round_seconds)))
    times: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    gc.collect()
    gc.disable()
    start, cpu_start = time.perf_counter(), time.process_time()
    try:
        for number in range(num_rounds):
            first = number % len(names)
            for name in names[first:] + names[:first]:
                for _ in range(warm_ups[name]):
                    contenders[name]()
                times[name] += [seconds_of(contenders[name]) for _ in range(counts[name])]
    finally:
        gc.enable()
    cpu_share = (time.process_time() - cpu_start) / (time.perf_counter() - start)
    medians = {name: 1000 * statistics.median(values) for name, values in times.items()}
    return Measured(medians, num_rounds, cpu_share)


def disturbance(cpu_shares: Sequence[float]) -> str:
    """Returns a line about how much else ran on the core; empty if nothing worth a word."""
    disturbed = sum(share < UNDISTURBED for share in cpu_shares)
    if not disturbed:
        return ""
    return (
        f"\nother processes took over {1 - UNDISTURBED:.0%} of the core in {disturbed} of {len(cpu_shares)} rows "
        "(column cpu_share): their figures are not to be trusted"
    )


def seconds_of(run: Run) -> float:
    """Returns how long a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
