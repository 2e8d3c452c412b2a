"""A trial that goes wrong gets its status within seconds, and the next one runs."""

import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from shared_faults import LATE_SECONDS, MARK, FaultyEvaluator, await_no_process, marked_processes
from shared_simulation import answer, make_plan

from archsearch.errors import ConfigError, SearchStateError
from archsearch.run import supervisor as module
from archsearch.run.execution import Limits
from archsearch.run.supervisor import Supervisor
from archsearch.search.evolution import Evolution
from archsearch.trials.metric import MSE
from archsearch.trials.trial import TrialResult

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

TRIALS = [trial for _, trial in Evolution(make_plan()).ask()]
FIRST, OTHER = TRIALS[0], next(trial for trial in TRIALS if trial.cell != TRIALS[0].cell)
LIMITS = Limits(seconds=1.0, megabytes=200)


@pytest.fixture
def supervise(tmp_path, monkeypatch):
    """Returns a function that makes a supervisor of trials of which the first goes wrong."""
    monkeypatch.setattr(module, "OVERRUN_SECONDS", 0.5)
    made = []

    def make(fault: str | None, limits: Limits = LIMITS) -> Supervisor:
        faults = {FIRST.cell: fault} if fault else {}
        made.append(Supervisor(FaultyEvaluator(faults, tmp_path), limits))
        return made[-1]

    yield make
    for supervisor in made:
        supervisor.close()


def compute(supervisor: Supervisor, trial=FIRST) -> TrialResult:
    supervisor.begin((trial,))
    end = time.monotonic() + 60
    while (results := supervisor.poll(0.1)) is None:
        assert time.monotonic() < end, "the trial was never given up"
    return results[0]


def num_runs(folder: Path) -> int:
    return len((folder / "runs.txt").read_text().splitlines())


@pytest.mark.parametrize(
    ("fault", "status", "cause", "runs"),
    [
        ("segfault", "crashed", {"signal": 11, "signal_name": "SIGSEGV"}, 3),
        ("abort", "crashed", {"signal": 6, "signal_name": "SIGABRT"}, 3),
        ("leave", "crashed", {"exit_code": 3}, 3),
        ("hang_in_c", "time_limit", {"limit_seconds": 1.0}, 1),
        ("hang_in_python", "time_limit", {"limit_seconds": 1.0}, 1),
        ("grow", "memory_limit", {"limit_megabytes": 200}, 1),
        ("killed", "worker_lost", {"signal": 9, "signal_name": "SIGKILL"}, 3),
    ],
)
def test_each_way_to_go_wrong_is_a_status_with_its_cause_and_the_slot_works_again(
    supervise, tmp_path, fault, status, cause, runs
):
    supervisor = supervise(fault)
    result = compute(supervisor)
    assert (result.status, result.value, result.cause) == (status, None, cause)
    assert result.error
    assert result.seconds > 0
    assert num_runs(tmp_path) == runs
    assert TrialResult.from_record(result.to_record()).cause == cause
    assert compute(supervisor, OTHER) == answer(OTHER)


def test_a_hang_ends_within_seconds_of_its_limit(supervise):
    supervisor = supervise(None)
    compute(supervisor, OTHER)  # the process is there
    hanging = supervise("hang_in_c")
    begin = time.monotonic()
    hanging.environment()
    started = time.monotonic() - begin
    begin = time.monotonic()
    assert compute(hanging).status == "time_limit"
    assert 1.0 < time.monotonic() - begin < 1.0 + 0.5 + 3.0 + started


def test_a_verdict_counts_the_seconds_of_all_runs_and_names_the_tasks_metric(supervise):
    supervisor = supervise("killed_late", Limits())
    object.__setattr__(supervisor._evaluator, "tasks", {FIRST.task: SimpleNamespace(metric=MSE)})
    result = compute(supervisor)
    assert (result.status, result.metric) == ("worker_lost", "mse")
    assert result.seconds >= module.MAX_LOSSES * LATE_SECONDS


def test_a_unit_is_dropped_before_the_next_one_begins(supervise):
    supervisor = supervise("hang_in_python", Limits())
    supervisor.begin((FIRST,))
    with pytest.raises(AssertionError):
        supervisor.begin((OTHER,))
    supervisor.close()
    assert compute(supervisor, OTHER) == answer(OTHER)


@pytest.mark.parametrize("fault", ["segfault_once", "killed_once"])
def test_what_ends_a_process_once_is_no_verdict(supervise, tmp_path, fault):
    supervisor = supervise(fault)
    assert compute(supervisor) == answer(FIRST)
    assert num_runs(tmp_path) == 2
    assert len(supervisor.take_notes()) == 1
    assert supervisor.take_notes() == []


def test_memory_that_others_left_behind_is_not_the_trials_fault(supervise, monkeypatch):
    supervisor = supervise(None)
    compute(supervisor, OTHER)
    calls = iter([1000.0])
    monkeypatch.setattr(module.TrialProcess, "megabytes", lambda _: next(calls, 0.0))
    monkeypatch.setattr(module.TrialProcess, "receive", slow_once(module.TrialProcess.receive))
    assert compute(supervisor) == answer(FIRST)
    assert "run alone" in supervisor.take_notes()[0]


def slow_once(receive):
    """Returns `receive`, but for a first call that finds nothing yet."""
    calls = []

    def slow(self, timeout_seconds):
        calls.append(self)
        return None if len(calls) == 1 else receive(self, timeout_seconds)

    return slow


def test_processes_are_kept_from_trial_to_trial(supervise):
    supervisor = supervise(None)
    compute(supervisor)
    process = supervisor._process
    compute(supervisor, OTHER)
    assert supervisor._process is process


def test_a_bug_of_ours_is_no_verdict_on_the_cell(supervise):
    with pytest.raises(RuntimeError, match="ZeroDivisionError: division by zero"):
        compute(supervise("fail"))


@dataclass(frozen=True)
class Refusing:
    """Says that it cannot work here."""

    def describe(self):
        raise ConfigError("no engine here")

    def evaluate(self, _trial):
        raise AssertionError


def test_an_evaluator_that_cannot_work_says_why(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr(Refusing, "__module__", Path(__file__).stem)
    monkeypatch.setitem(sys.modules, Path(__file__).stem, sys.modules[__name__])
    with closing(Supervisor(Refusing(), LIMITS)) as supervisor, pytest.raises(ConfigError, match="no engine here"):
        supervisor.environment()


def test_a_process_that_the_system_does_not_start_is_an_error_with_the_way_out(monkeypatch):
    def refuse(*_arguments, **_options):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(SearchStateError, match=r"did not start \(.*temporarily unavailable\).*number of processes"):
        Supervisor(FaultyEvaluator(), LIMITS).begin((FIRST,))


def test_an_evaluator_that_cannot_travel_is_refused():
    evaluator = FaultyEvaluator({"": lambda: None})  # type: ignore[dict-item]
    with pytest.raises(ConfigError, match="can be pickled"):
        Supervisor(evaluator, LIMITS).environment()


def test_the_process_ends_with_its_owner_even_in_the_middle_of_native_code(tmp_path):
    script = textwrap.dedent(
        """
        import sys
        from shared_faults import FaultyEvaluator
        from shared_simulation import make_plan
        from archsearch.run.execution import Limits
        from archsearch.run.supervisor import Supervisor
        from archsearch.search.evolution import Evolution

        _, trial = Evolution(make_plan()).ask()[0]
        supervisor = Supervisor(FaultyEvaluator({trial.cell: "hang_in_c"}), Limits(3600))
        supervisor.environment()
        supervisor.begin((trial,))
        print("begun", flush=True)
        supervisor.poll(3600)
        """
    )
    mark = uuid.uuid4().hex
    environment = {**os.environ, MARK: mark, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment) as owner:
        assert owner.stdout.readline() == b"begun\n"
        assert len(marked_processes(mark)) == 2
        os.kill(owner.pid, signal.SIGKILL)
    assert await_no_process(mark) == {}
