"""Trials that go wrong: each its own status with its cause, the slot works again, the search goes on."""

import json
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from faults.place import TRAINED, Place
from faults.promises import expect, fault
from faults.tables import candidate, difference, kept_keys, read_rows, read_summary, statuses

GOES_ON = "counted in summary.json, its cause in the journal; every other trial is as ever; exit 0"


def _causes(journal: Path, status: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as connection:
        results = [json.loads(text) for (text,) in connection.execute("SELECT result FROM trials ORDER BY number")]
    return [result.get("cause", {}) for result in results if result["status"] == status]


def _others_are_as_ever(place: Place, cell: str, whole: Path) -> None:
    """Compares the founders' trials with those of an undisturbed run; later cells may follow from other results."""

    def founders(path: Path) -> list[dict[str, str]]:
        rows = [row for row in read_rows(path) if row["step"] == "0" and row["cell"] != cell]
        return [{name: value for name, value in row.items() if "seconds" not in name} for row in rows]

    expect(founders(place.run) == founders(whole), "the founders' trials differ")


def _goes_wrong(
    place: Place, way: str, status: str, cause: dict[str, object], num_runs: int, limits: dict[str, Any]
) -> str:
    whole = place.whole()
    cell = candidate(whole)
    sitting = place.simulate(faults={cell: way}, **limits)
    ended = sitting.ends_with(0)
    found = statuses(place.run, cell)
    expect(found == {status: 1}, f"the cell's trials are {found}, expected one {status}: {ended.text[-300:]}")
    expect(
        read_summary(place.run)["statuses"].get(status) == 1, f"the summary says {read_summary(place.run)['statuses']}"
    )
    causes = _causes(place.run / "archsearch.db", status)
    expect(causes == [cause], f"the causes are {causes}")
    row = next(row for row in read_rows(place.run) if row["cell"] == cell)
    runs = place.begun.count(row["key"])
    expect(runs == num_runs, f"it was run {runs} times, expected {num_runs}")
    if status == "time_limit":
        expect(float(row["training_seconds"]) < limits["time_limit"] + 10, f"ended after {row['training_seconds']} s")
    _others_are_as_ever(place, cell, whole)
    return f"{status}, cause {json.dumps(cause)}, run {runs} times, {row['training_seconds']} s; exit 0"


_SIGKILL = {"signal": 9, "signal_name": "SIGKILL"}
_TIME, _MEMORY = {"time_limit": 1.0}, {"memory_limit": 200, "time_limit": None}
for _way, _injected, _status, _cause, _runs, _limits in (
    ("hang_in_python", "a cell hangs in Python", "time_limit", {"limit_seconds": 1.0}, 1, _TIME),
    ("hang_in_c", "a cell hangs in C and lets no other thread run", "time_limit", {"limit_seconds": 1.0}, 1, _TIME),
    ("segfault", "a cell reads address 0", "crashed", {"signal": 11, "signal_name": "SIGSEGV"}, 3, {}),
    ("abort", "a cell aborts as C's assert does", "crashed", {"signal": 6, "signal_name": "SIGABRT"}, 3, {}),
    ("leave", "a cell ends its process with exit code 3", "crashed", {"exit_code": 3}, 3, {}),
    ("grow", "a cell takes 300 MB beyond its limit", "memory_limit", {"limit_megabytes": 200}, 2, _MEMORY),
    (
        "killed",
        "kill -9 of the worker whenever it trains a cell",
        "worker_lost",
        _SIGKILL,
        3,
        {},
    ),
):
    _inject = partial(_goes_wrong, way=_way, status=_status, cause=_cause, num_runs=_runs, limits=_limits)
    fault(
        f"cell-{_way.replace('_', '-')}",
        _injected,
        f"status {_status} after {_runs} run{'s' * (_runs > 1)}, {GOES_ON}",
        fast=_way in {"segfault", "hang_in_c"},
    )(_inject)


@fault(
    "worker-killed-once",
    "kill -9 of the worker while it trains, once",
    "no verdict on the cell: run again; the tables of an undisturbed run",
    fast=True,
)
def worker_killed_once(place: Place) -> str:
    cell = candidate(place.whole())
    place.simulate(faults={cell: "killed_once"}).ends_with(0).says("ended by signal 9", "run again")
    place.expect_same_end()
    return "run again; all tables equal"


@fault(
    "lost-workers-are-told",
    "a trial under which three workers were killed",
    "summary.json says that the run is not reproducible",
)
def lost_workers_are_told(place: Place) -> str:
    place.simulate(faults={candidate(place.whole()): "killed"}).ends_with(0)
    summary = read_summary(place.run)
    expect(summary["reproducible"] is False, f"the summary says {summary['reproducible']}")
    return '"reproducible": false'


@fault(
    "quarantine-and-kills",
    "one of a cell's five trials crashes; the driver is killed with -9 five times",
    "that cell's later trials are quarantined without being run; the same tables as without the kills",
)
def quarantine_and_kills(place: Place) -> str:
    whole = place.whole("whole")
    rows = read_rows(whole)
    cell = next(row["cell"] for row in rows if row["task"] == "second" and row["step"] != "0")
    key = next(row["key"] for row in rows if row["cell"] == cell and row["task"] == "first" and row["step"] != "0")
    faults = {key: "segfault"}
    undisturbed = place.folder / "undisturbed"
    place.simulate(plan="whole", faults=faults, run=str(undisturbed)).ends_with(0)
    expected = statuses(undisturbed, cell)
    expect({"crashed": 1, "quarantined": 5}.items() <= expected.items(), f"the cell's trials are {expected}")
    begun = len(place.begun)
    for number in range(1, 6):
        sitting = place.simulate(plan="whole", faults=faults, seconds=0.005)
        sitting.await_that(lambda number=number: len(place.begun) >= begun + 35 * number, "trials began")
        sitting.kill()
    place.simulate(plan="whole", faults=faults).ends_with(0)
    differs = difference(place.run, undisturbed)
    expect(not differs, f"after the kills these differ: {differs}")
    return f"the cell's trials: {expected}; after 5 kills all tables equal"


@fault(
    "training-raises", "the trainings of one cell raise an exception", f"status failed with the exception, {GOES_ON}"
)
def training_raises(place: Place) -> str:
    cell = candidate(place.whole("trained"))
    place.search("budget.candidates=4", base=TRAINED, simulated=False, faults={cell: "raise_error"}).ends_with(0)
    found = statuses(place.run, cell)
    expect(set(found) == {"failed"}, f"the cell's trials are {found}")
    errors = {row["error"] for row in read_rows(place.run) if row["cell"] == cell}
    expect(all("a matrix of 3 rows cannot be inverted" in error for error in errors), f"the errors are {errors}")
    _others_are_as_ever(place, cell, place.whole("trained"))
    return f"{found['failed']} failed, error: {errors.pop()}"


@fault(
    "training-diverges",
    "half of all settings have a learning rate of 1e30",
    "status diverged, the best accuracy before it counts; the search goes on to exit 0",
)
def training_diverges(place: Place) -> str:
    rates = "search.space.learning_rates=[1.0,1e30]"
    ended = place.search(rates, "budget.candidates=6", base=TRAINED, simulated=False).ends_with(0)
    found = statuses(place.run)
    expect(found.get("diverged", 0) > 0, f"statuses are {found}: too mild a fault")
    expect(read_summary(place.run)["statuses"] == found, f"the summary says {read_summary(place.run)['statuses']}")
    ended.says(f"{found['diverged']} diverged")
    return f"statuses {found}; exit 0"


@fault(
    "all-trials-raise",
    "all trainings of found cells raise the same exception",
    "the run stops with it after max_equal_failures, exit 1, and says what to do; everything is kept; with the bug "
    "mended, resume goes on to the end",
)
def all_trials_raise(place: Place) -> str:
    words = ("max_equal_failures=5", "budget.candidates=12")
    faults = {"memorization/*": "raise_error"}
    ended = place.search(*words, base=TRAINED, simulated=False, faults=faults).ends_with(1)
    ended.says("last 5 trials all failed", "a matrix of")
    num_kept = len(kept_keys(place.run))
    place.resume(simulated=False).ends_with(0)
    candidates = read_summary(place.run)["candidates"]
    expect(candidates == 12, f"it ended with {candidates} candidates")
    return f"exit 1 with {num_kept} trials kept: {' '.join(ended.text.split())[-200:]}; resumed, exit 0"


@fault(
    "baseline-fails",
    "no trial of the founders has an accuracy",
    "the run stops, exit 1, and names the task; everything is kept",
)
def baseline_fails(place: Place) -> str:
    ended = place.search(faults={"*": "no_accuracy"}).ends_with(1).says("xml")
    return f"exit 1 with {len(kept_keys(place.run))} trials kept: {' '.join(ended.text.split())[-220:]}"


@fault(
    "evaluator-breaks",
    "training breaks its promise and raises where only results are allowed: a bug of ours",
    "exit 1 in one paragraph that names the bug and keeps what is finished; with the bug mended, the same end",
)
def evaluator_breaks(place: Place) -> str:
    cell = candidate(place.whole("command"))
    ended = place.search(faults={cell: "fail"}).ends_with(1).says("ZeroDivisionError", "kept")
    place.resume_to_the_same_end()
    return f"exit 1: {' '.join(ended.text.split())[-160:]}; resumed, all tables equal"
