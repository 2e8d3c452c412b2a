"""Signals and closed pipes: what is finished is kept, the way on is named, the exit code is as promised."""

import os
import signal
import time
from functools import partial

from faults.place import SMALL_SEARCH, WATCHED, Place
from faults.promises import expect, fault
from faults.sitting import Ended, Sitting
from faults.tables import kept_keys

STOP = (
    "exit 130; the trial in flight ends and is kept; the resume command is printed; "
    "resumed, it ends as if never stopped"
)


def _busy(place: Place, sitting: Sitting, number: int = 5) -> None:
    """Waits until some trials are kept and another one is in flight."""
    sitting.await_that(
        lambda: len(kept_keys(place.run)) >= number and len(place.begun) > len(kept_keys(place.run)),
        "a trial was in flight",
    )


def _says_how_to_go_on(place: Place, ended: Ended) -> None:
    ended.says(f"archsearch resume run={place.run}")


def _goes_on_to_the_same_end(place: Place) -> None:
    begun = len(place.begun)
    kept = kept_keys(place.run)
    place.resume().ends_with(0)
    again = kept.intersection(place.begun[begun:])
    expect(not again, f"{len(again)} finished trials were computed again")
    place.expect_same_end("command")


def _stop(place: Place, number: signal.Signals) -> str:
    sitting = place.search(seconds=0.5)
    _busy(place, sitting)
    in_flight = place.begun[-1]
    sitting.send(number)
    ended = sitting.ends_with(130)
    _says_how_to_go_on(place, ended)
    kept = kept_keys(place.run)
    expect(in_flight in kept, "the trial in flight was dropped within its grace period")
    _goes_on_to_the_same_end(place)
    return f"exit 130 with {len(kept)} trials kept, the one in flight too; resumed, all tables equal"


for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
    fault(
        f"signal-{_number.name.lower()}",
        f"{_number.name} to the command line while it trains",
        STOP,
        fast=_number == signal.SIGTERM,
    )(partial(_stop, number=_number))


@fault(
    "ctrl-c-twice",
    "Ctrl-C, and a second one during the grace period of a trial that takes an hour",
    "leaves at once with 130, names the resume command, keeps every finished trial, leaves no process",
)
def ctrl_c_twice(place: Place) -> str:
    first = place.search(seconds=0.05)
    _busy(place, first, 3)
    first.send(signal.SIGTERM)
    first.ends_with(130)
    sitting = place.resume("grace_seconds=3600", seconds=3600.0)
    sitting.await_that(lambda: len(place.begun) > len(kept_keys(place.run)), "a trial began")
    sitting.send(signal.SIGINT)
    sitting.await_text("stop again to leave at once")
    begin = time.monotonic()
    sitting.send(signal.SIGINT)
    _says_how_to_go_on(place, sitting.ends_with(130))
    seconds = time.monotonic() - begin
    expect(seconds < 10, f"it took {seconds:.1f} s to leave at once")
    _goes_on_to_the_same_end(place)
    return f"left {seconds:.1f} s after the second signal with 130; resumed, all tables equal"


@fault(
    "grace-period-over",
    "SIGTERM while a trial hangs; grace_seconds=1",
    "the trial is dropped after the grace period; exit 130; it is repeated later, nothing else is",
)
def grace_period_over(place: Place) -> str:
    sitting = place.simulate(seconds=3600.0, grace=1.0)
    sitting.await_that(lambda: len(place.begun) > 0, "a trial began")
    begin = time.monotonic()
    sitting.send(signal.SIGTERM)
    sitting.ends_with(130)
    seconds = time.monotonic() - begin
    expect(seconds < 20, f"it took {seconds:.1f} s")
    expect(not kept_keys(place.run), "a trial that did not end was kept")
    place.simulate_to_the_same_end()
    repeated = place.num_repeated
    expect(repeated == 1, f"{repeated} trials were repeated")
    return f"ended {seconds:.1f} s after the signal; the one trial in flight was repeated; all tables equal"


@fault(
    "signal-at-the-start",
    "SIGTERM as soon as the run's folder is named, before the first trial",
    "exit 130 and the resume command; resume ends as if never stopped",
)
def signal_at_the_start(place: Place) -> str:
    sitting = place.search(seconds=0.5)
    sitting.await_text("Run folder:")
    sitting.send(signal.SIGTERM)
    _says_how_to_go_on(place, sitting.ends_with(130))
    kept = len(kept_keys(place.run))
    _goes_on_to_the_same_end(place)
    return f"exit 130 with {kept} trials; resumed, all tables equal"


@fault(
    "nohup",
    "SIGHUP to a search started with SIGHUP ignored, as under nohup",
    "it goes on as if nothing had happened",
)
def nohup(place: Place) -> str:
    words = ("search", *SMALL_SEARCH, f"results_dir={place.folder}", "name=run", *WATCHED)
    sitting = place.command(*words, seconds=0.1, prefix=("sh", "-c", 'trap "" HUP; exec "$@"', "sh"))
    _busy(place, sitting)
    sitting.send(signal.SIGHUP)
    sitting.ends_with(0)
    place.expect_same_end("command")
    return "exit 0; all tables equal"


@fault(
    "closed-pipe",
    "what reads the output ends after one line, as `archsearch search | head -1`",
    "no traceback; the run ends or stops in good order, names the way on, and can be resumed to the same end",
)
def closed_pipe(place: Place) -> str:
    script = 'set -o pipefail; "$@" 2>errors.txt | head -n 1'
    words = ("search", *SMALL_SEARCH, f"results_dir={place.folder}", "name=run", *WATCHED)
    sitting = place.command(*words, seconds=0.05, prefix=("bash", "-c", script, "bash"))
    ended = sitting.end()
    errors = (place.folder / "errors.txt").read_text()
    expect("Traceback" not in errors and "Exception ignored" not in errors, f"it said: {errors[-500:]}")
    expect(ended.code in {0, 1}, f"exit code {ended.code}: {errors[-500:]}")
    if ended.code == 1:
        expect(f"archsearch resume run={place.run}" in " ".join(errors.split()), f"no way on named: {errors[-500:]}")
    kept = len(kept_keys(place.run))
    _goes_on_to_the_same_end(place)
    return f"exit {ended.code} with {kept} trials kept, way on named; resumed, all tables equal"


@fault(
    "signal-to-the-worker",
    "SIGTERM from outside to the process that trains, as a batch system sends it to all",
    "no verdict on the cell: the trial is run again; the tables of an undisturbed run",
    fast=True,
)
def signal_to_the_worker(place: Place) -> str:
    sitting = place.simulate(seconds=0.05)
    for number in (1, 6):
        sitting.await_that(lambda number=number: len(place.begun) > number, "trials began")
        for pid in sitting.workers():
            os.kill(pid, signal.SIGTERM)
    sitting.ends_with(0).says("it is run again")
    place.expect_same_end()
    return f"{place.num_repeated} trials run again; all tables equal"
