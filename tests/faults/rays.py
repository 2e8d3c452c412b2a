"""Ray's processes killed, and sittings with other numbers of workers: the same end."""

import signal

from faults.place import SMALL_SEARCH, Place
from faults.promises import expect, fault
from faults.sitting import kill
from faults.tables import kept_keys


@fault(
    "workers-1-4-2-0",
    "one search in four sittings with 1, 4, 2 and 0 workers, SIGTERM between them",
    "no finished trial repeated; the tables of an uninterrupted serial run",
    ray=True,
)
def workers_1_4_2_0(place: Place) -> str:
    for workers, number in ((1, 20), (4, 45), (2, 65)):
        sitting = place.simulate_until(number, workers=workers, seconds=0.1)
        sitting.send(signal.SIGTERM)
        sitting.ends_with(130)
    place.simulate(workers=0).ends_with(0)
    repeated = place.num_repeated
    expect(repeated == 0, f"{repeated} trials were repeated")
    place.expect_same_end()
    return "no trial repeated; all tables equal"


@fault(
    "ray-worker-killed",
    "kill -9 of a worker of Ray with the process that trains in it",
    "no verdict on the cell: handed out again; the tables of an undisturbed run",
    fast=True,
    ray=True,
)
def ray_worker_killed(place: Place) -> str:
    sitting = place.simulate(workers=2, seconds=0.1)
    for number in (10, 40):
        place.await_kept(sitting, number)
        sitting.await_that(lambda: bool(sitting.workers("ray::_compute")), "a worker of Ray trained")
        killed = [pid for pid in sitting.workers("ray::_compute")[:1] if kill(pid)]
        expect(bool(killed), "there was no worker of Ray")
    ended = sitting.ends_with(0)
    place.expect_same_end()
    return f"handed out again {ended.text.count('handed out again')} times; all tables equal"


@fault(
    "ray-driver-killed",
    "kill -9 of the driver of two workers, twice, each time resumed",
    "every process of Ray's ends within three minutes; at most the trials in flight are repeated; the same tables",
    ray=True,
)
def ray_driver_killed(place: Place) -> str:
    for number in (20, 50):
        sitting = place.simulate_until(number, workers=2, seconds=0.1)
        sitting.kill()
        place.await_no_processes()
    place.simulate().ends_with(0)
    repeated = place.num_repeated
    expect(repeated <= 4, f"{repeated} trials were repeated, four were in flight")
    place.expect_same_end()
    return f"{repeated} trials in flight repeated; no process left; all tables equal"


@fault(
    "raylet-killed",
    "kill -9 of Ray's own process (raylet) under the command line",
    "exit 1 that says so and names the resume command; no process left; resumed without Ray, the same tables",
    ray=True,
)
def raylet_killed(place: Place) -> str:
    words = ("search", *SMALL_SEARCH, "workers=2", f"results_dir={place.folder}", "name=run")
    sitting = place.command(*words, seconds=0.3)
    place.await_kept(sitting, 6)
    killed = [pid for pid in sitting.workers("raylet/raylet") if kill(pid)]
    expect(bool(killed), "there was no raylet")
    ended = sitting.ends_with(1).says("Ray", f"archsearch resume run={place.run}")
    kept = len(kept_keys(place.run))
    place.resume_to_the_same_end("workers=0")
    return f"exit 1 with {kept} trials kept: {' '.join(ended.text.split())[-160:]}; resumed, all tables equal"
