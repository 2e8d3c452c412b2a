"""Stopping a real process: what is finished is kept, nothing of ours stays behind, nothing of others is touched."""

import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from shared_faults import MARK, FaultyEvaluator, await_no_process, marked_processes
from shared_runs import views
from shared_simulation import SilentObserver, make_small_plan

from archsearch.run.folder import RunFolder
from archsearch.run.reading import load_run
from archsearch.run.session import run_search

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

SCRIPT = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from shared_faults import FaultyEvaluator
    from shared_simulation import SilentObserver, make_small_plan
    from archsearch.run.execution import Execution, Limits
    from archsearch.run.folder import RunFolder
    from archsearch.run.session import Stopped, run_search

    folder, workers, seconds, grace = sys.argv[1:]

    class Announcing(SilentObserver):
        def trial_answered(self, trial, result, *, recorded):
            print("trial", trial.key, flush=True)

        def refresh(self, num_in_flight, num_waiting):
            if num_in_flight:
                print("busy", flush=True)

    evaluator, execution = FaultyEvaluator(seconds=float(seconds)), Execution(int(workers), Limits(3600), float(grace))
    try:
        run_search(make_small_plan(), RunFolder(Path(folder)), evaluator, execution, Announcing())
    except Stopped:
        print("stopped", flush=True)
        sys.exit(130)
    """
)


class Driver:
    """A search in another process.

    Attributes:
        process: The process.
        seen: The lines it has printed so far.
    """

    def __init__(self, process: "subprocess.Popen[str]", mark: str) -> None:
        self.process = process
        self.mark = mark
        self.seen: list[str] = []

    def read_until(self, start: str, times: int = 1) -> None:
        """Reads lines until some have begun so."""
        for _ in range(times):
            while True:
                line = self.process.stdout.readline()
                assert line, f"it ended, having said: {self.seen}"
                self.seen.append(line.strip())
                if line.startswith(start):
                    break

    def end(self) -> int:
        """Reads the rest and returns the exit code."""
        self.seen += [line.strip() for line in self.process.stdout]
        return self.process.wait()

    @property
    def keys(self) -> set[str]:
        """Keys of the trials it told of."""
        return {line.removeprefix("trial ") for line in self.seen if line.startswith("trial ")}


@contextmanager
def driving(folder: Path, workers: int = 0, seconds: float = 0.1, grace: float = 20.0, ignored=()) -> Iterator[Driver]:
    mark = uuid.uuid4().hex
    environment = {**os.environ, MARK: mark, "PYTHONPATH": str(Path(__file__).parents[1])}

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it for what runs in their background
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)

    words = [sys.executable, "-c", SCRIPT, str(folder), str(workers), str(seconds), str(grace)]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, preexec_fn=prepare
    ) as process:
        try:
            yield Driver(process, mark)
        finally:
            process.kill()
    assert await_no_process(mark) == {}, "processes were left behind"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP])
def test_the_first_signal_lets_the_trial_in_flight_end_and_keeps_it(tmp_path, number):
    with driving(tmp_path, seconds=0.5) as driver:
        driver.read_until("trial", times=2)
        driver.read_until("busy")
        driver.process.send_signal(number)
        assert driver.end() == 130
    assert driver.seen[-1] == "stopped"
    assert len(driver.keys) == 3
    assert driver.keys == set(load_run(tmp_path).trials()["key"])


def test_what_does_not_end_within_the_grace_period_is_dropped(tmp_path):
    with driving(tmp_path, seconds=3600, grace=0.5) as driver:
        driver.read_until("busy")
        begin = time.monotonic()
        driver.process.send_signal(signal.SIGTERM)
        assert driver.end() == 130
        assert time.monotonic() - begin < 15
    assert len(load_run(tmp_path).trials()) == 0


def test_a_second_signal_leaves_at_once_and_touches_nobody_else(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        with driving(tmp_path, seconds=3600, grace=3600) as driver:
            driver.read_until("busy")
            driver.process.send_signal(signal.SIGINT)
            driver.read_until("stopping: trials in flight (1)")
            driver.process.send_signal(signal.SIGINT)
            assert driver.end() == 130
        assert "stopped" not in driver.seen
        assert bystander.poll() is None
        bystander.communicate(b"\n")
    run_search(make_small_plan(), RunFolder(tmp_path), FaultyEvaluator(), 0, SilentObserver())


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_what_was_ignored_at_the_start_stays_ignored(tmp_path, number):
    """As under nohup, and in the background of a shell without job control."""
    with driving(tmp_path, ignored=(number,)) as driver:
        driver.read_until("trial")
        driver.process.send_signal(number)
        driver.read_until("trial", times=3)
        driver.process.send_signal(signal.SIGTERM)
        assert driver.end() == 130


@pytest.mark.ray
def test_workers_of_ray_stop_in_good_order_and_leave_nothing_behind(tmp_path):
    """First SIGTERM with its grace period, then SIGKILL of the driver, then on to the end: the same tables."""
    with driving(tmp_path / "stopped", workers=2, seconds=0.3) as driver:
        (tmp_path / "stopped").mkdir()
        driver.read_until("trial", times=4)
        driver.read_until("busy")
        driver.process.send_signal(signal.SIGTERM)
        assert driver.end() == 130
    assert driver.keys == set(load_run(tmp_path / "stopped").trials()["key"])
    with driving(tmp_path / "stopped", workers=1, seconds=3600) as killed:
        killed.read_until("busy")
        while not any("trial_worker" in command for command in marked_processes(killed.mark).values()):
            time.sleep(0.05)
        os.kill(killed.process.pid, signal.SIGKILL)
    whole = RunFolder.create(tmp_path, "whole", "test")
    for folder in (RunFolder(tmp_path / "stopped"), whole):
        run_search(make_small_plan(), folder, FaultyEvaluator(), 0, SilentObserver())
    assert views(tmp_path / "stopped") == views(whole.path)
