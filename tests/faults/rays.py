"""Ray's processes killed, and sittings with other numbers of workers: the same end."""

import json
import os
import signal
import socket
import sys

from faults.place import SMALL_SEARCH, Place
from faults.promises import expect, fault
from faults.sabotage import SABOTAGE
from faults.sitting import kill
from faults.tables import kept_keys

# of a cluster; only so that the row need not wait as long as Ray does otherwise
PATIENCE = {"RAY_health_check_initial_delay_ms": "1000", "RAY_health_check_period_ms": "1000"}


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


@fault(
    "stopped-while-ray-starts",
    "SIGTERM as soon as the first process of Ray's is there, which takes this signal for itself while it starts",
    "exit 130 and the resume command; no process left; resumed without Ray, the same tables",
    ray=True,
)
def stopped_while_ray_starts(place: Place) -> str:
    words = ("search", *SMALL_SEARCH, "workers=2", f"results_dir={place.folder}", "name=run")
    sitting = place.command(*words, seconds=0.3)
    sitting.await_that(lambda: bool(sitting.workers("gcs_server")), "Ray started")
    sitting.send(signal.SIGTERM)
    sitting.ends_with(130).says(f"archsearch resume run={place.run}")
    place.await_no_processes()
    kept = len(kept_keys(place.run))
    place.resume_to_the_same_end("workers=0")
    return f"exit 130 with {kept} trials kept; resumed, all tables equal"


@fault(
    "ray-node-cut-off",
    "one of two nodes of a Ray cluster falls silent in mid-search, its connections open, as if its network were cut",
    "its trials are handed out again without a verdict; exit 0; the tables of an undisturbed run",
    ray=True,
)
def ray_node_cut_off(place: Place) -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    order = {SABOTAGE: json.dumps({"simulated": True, "folder": str(place.folder), "seconds": 0.3})}
    environment = {**PATIENCE, "RAY_TMPDIR": str(place.folder), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "t" * 32}
    start = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--block", "--num-cpus=1"]
    head = [*start, "--head", f"--port={address.rpartition(':')[2]}", "--include-dashboard=false"]
    nodes = [place.start([*head, "--node-ip-address=127.0.0.1"], **environment, **order)]
    nodes[0].await_text("Ray runtime started")
    before = set(place.processes())
    nodes.append(place.start([*start, f"--address={address}", "--node-ip-address=127.0.0.2"], **environment, **order))
    nodes[1].await_text("Ray runtime started")
    of_node = set(place.processes()) - before
    words = (*SMALL_SEARCH, f"ray.address={address}", "workers=2", f"results_dir={place.folder}", "name=run")
    sitting = place.command("search", *words, seconds=0.3, environment=environment)
    place.await_kept(sitting, 6)
    sitting.await_that(lambda: bool(nodes[1].workers("ray::_compute")), "the other node computed")
    of_node.update(nodes[1].workers(""))
    for pid in of_node:
        os.kill(pid, signal.SIGSTOP)
    ended = sitting.ends_with(0)
    for pid in set(place.processes()):
        kill(pid)
    place.expect_same_end("command")
    again = ended.text.count("handed out again")
    expect(again > 0, f"no trial was handed out again: {ended.text[-600:]}")
    return f"handed out again {again} times; exit 0; all tables equal"
