"""One driver per folder: a second one is refused, a dead one's lock is taken over, readers are never in the way."""

import json
import signal
import sys

from faults.place import Place
from faults.promises import expect, fault


@fault(
    "second-driver",
    "resume of a run that is being searched",
    "exit 2 at once, naming pid, host and start of the other; that one is not disturbed",
)
def second_driver(place: Place) -> str:
    sitting = place.search(seconds=0.3)
    place.await_kept(sitting, 2)
    with place.held(sitting):
        ended = place.resume().ends_with(2).at_once()
        ended.says(place.run, f"pid {sitting.pid} on", "since")
    sitting.ends_with(0)
    place.expect_same_end("command")
    return f"exit 2: {' '.join(ended.text.split())[-150:]}; the first: exit 0, all tables equal"


@fault(
    "lock-removed",
    "the lock file of a running search is removed, and the run resumed",
    "exit 2 at once: the folder itself is locked, too; the search that runs is not disturbed",
)
def lock_removed(place: Place) -> str:
    sitting = place.search(seconds=0.3)
    place.await_kept(sitting, 2)
    with place.held(sitting):
        (place.run / "archsearch.lock").unlink()
        place.resume().ends_with(2).at_once().says(place.run, "is working on this run")
    sitting.ends_with(0)
    place.expect_same_end("command")
    return "exit 2; the first: exit 0, all tables equal"


@fault(
    "two-drivers-race",
    "four drivers are started at once in one folder",
    "one of them searches, the others are refused; no trial is computed twice",
    fast=True,
)
def two_drivers_race(place: Place) -> str:
    place.run.mkdir()
    sittings = [place.simulate(seconds=0.02) for _ in range(4)]
    ended = [sitting.end() for sitting in sittings]
    codes = sorted(each.code for each in ended)
    refused = [each for each in ended if each.code]
    expect(codes[0] == 0 and all(code in {0, 1} for code in codes), f"exit codes {codes}: {ended[0].text[-300:]}")
    for each in refused:
        each.says("is working on this run")
    expect(len(place.begun) == len(set(place.begun)), "a trial was computed twice")
    place.expect_same_end()
    return f"exit codes {codes}; no trial computed twice; all tables equal"


@fault(
    "stale-lock",
    "the lock of a driver that was killed, its pid now another process's",
    "taken over with a word; the same end",
    fast=True,
)
def stale_lock(place: Place) -> str:
    sitting = place.simulate_until(3, seconds=0.05)
    sitting.kill()
    lock = place.run / "archsearch.lock"
    record = json.loads(lock.read_text())
    expect(record["pid"] == sitting.pid and {"host", "start", "since"} <= set(record), f"the lock says {record}")
    lock.write_text(json.dumps({**record, "pid": place.bystander.pid}))
    place.simulate().ends_with(0).says("left behind", "taken over")
    place.expect_same_end()
    return "taken over; all tables equal"


@fault("lock-of-noise", "the lock file holds noise", "no obstacle and no traceback; the same end", fast=True)
def lock_of_noise(place: Place) -> str:
    place.run.mkdir()
    (place.run / "archsearch.lock").write_bytes(bytes(range(128, 256)) * 3)
    place.simulate_to_the_same_end()
    return "exit 0; all tables equal"


@fault(
    "readers",
    "leaderboard, and a reader that holds a transaction open to the end, while the search runs",
    "readers see a whole run at any moment and are never refused; the search goes on to the same end",
)
def readers(place: Place) -> str:
    sitting = place.search(seconds=0.2)
    place.await_kept(sitting, 8)
    script = (
        "import sqlite3, sys; c = sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True); c.execute('BEGIN'); "
        "c.execute('SELECT count(*) FROM trials').fetchone(); print('reading', flush=True); "
        "import signal; signal.pause()"
    )
    with place.held(sitting):
        holding = place.start([sys.executable, "-c", script, str(place.run / "archsearch.db")])
        holding.await_text("reading")
        for _ in range(2):
            place.command("leaderboard", f"run={place.run}").ends_with(0)
    place.command("leaderboard", f"run={place.run}").ends_with(0)
    sitting.ends_with(0)
    holding.kill()
    place.expect_same_end("command")
    return "three readings, exit 0 each, beside a reader that holds on; the search: exit 0, all tables equal"


@fault(
    "refused-then-stopped",
    "SIGTERM to a driver whose second driver was just refused",
    "exit 130; the lock is free afterwards",
)
def refused_then_stopped(place: Place) -> str:
    sitting = place.simulate_until(2, seconds=0.1)
    with place.held(sitting):
        place.simulate().ends_with(1).says("is working on this run")
        sitting.send(signal.SIGTERM)
    sitting.ends_with(130)
    place.simulate_to_the_same_end()
    return "refused, stopped, continued; all tables equal"
