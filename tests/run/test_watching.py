"""A search seen from outside: from its journal alone, and without being in the way."""

import io
import os
from dataclasses import replace

import pytest
from rich.console import Console
from shared_simulation import SilentObserver, SimulatedEvaluator, make_plan

from archsearch.errors import FileFormatError
from archsearch.run import watching
from archsearch.run.display import LiveDisplay
from archsearch.run.folder import RunFolder
from archsearch.run.live_table import LiveState, failures_line, live_lines, live_picture, pace_line, progress_line
from archsearch.run.reading import load_run
from archsearch.run.session import Stopped, run_search
from archsearch.run.watching import MAX_FAILED_READS, Watcher


def drawn(state: LiveState) -> str:
    stream = io.StringIO()
    Console(file=stream, width=120).print(live_picture(state))
    return stream.getvalue()


class Looking(SilentObserver):
    """Looks at the journal from outside after every step, while the search has it open."""

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher
        self.states: list[LiveState] = []

    def step_consumed(self, outcome, evolution):  # noqa: ARG002 - asked by the driver
        state = self.watcher.look()
        assert state is not None
        self.states.append(state)


def test_what_is_seen_from_outside_is_what_the_search_itself_shows(tmp_path):
    plan, folder = make_plan(num_candidates=15), RunFolder.create(tmp_path, "run", "test")
    looking = Looking(Watcher(folder, 15, 1))
    assert looking.watcher.look() is None
    run_search(plan, folder, SimulatedEvaluator(), 0, looking)
    display = LiveDisplay(plan, Console(file=io.StringIO(), force_terminal=True))
    run_search(plan, folder, SimulatedEvaluator(), 0, display)
    display.close()
    inside = display._progress.state(display._best, 1)
    last = looking.states[-1]
    for field in ("tasks", "num_candidates", "max_candidates", "num_duplicates", "num_out_of_bounds", "num_trials"):
        assert getattr(last, field) == getattr(inside, field), field
    assert (dict(last.stages), dict(last.failures), last.best) == (inside.stages, inside.failures, inside.best)
    assert [state.num_candidates for state in looking.states][:2] == [0, 1]
    assert looking.watcher.has_ended


def test_a_stopped_search_has_not_ended(tmp_path):
    folder = RunFolder.create(tmp_path, "run", "test")
    with pytest.raises(Stopped):
        run_search(make_plan(), folder, SimulatedEvaluator(interrupt_after=20), 0, SilentObserver())
    watcher = Watcher(folder, 40, None)
    state = watcher.look()
    assert state.founder_trials == (20, 0)
    assert not watcher.has_ended
    assert "The founders are being trained first" in drawn(state)
    assert progress_line(state) == "founders 20 trials"


def test_the_pace_is_that_since_the_first_look(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(watching.time, "monotonic", lambda: clock[0])
    folder = RunFolder.create(tmp_path, "run", "test")
    watcher = Watcher(folder, 40, 2)
    for interrupt_after in (250, 50):
        with pytest.raises(Stopped):
            run_search(make_plan(), folder, SimulatedEvaluator(interrupt_after), 0, SilentObserver())
        state = watcher.look()
        clock[0] += 100.0
    assert state.num_trials == 300
    assert state.trials_per_hour == pytest.approx(50 / 100 * 3600)
    assert state.seconds_left > 100


class Lasting(SimulatedEvaluator):
    """Lets every trial take 36 s by its own account."""

    def evaluate(self, trial):
        return replace(super().evaluate(trial), seconds=36.0)


@pytest.mark.parametrize(("num_workers", "pace"), [(2, 200), (None, None)])
def test_before_a_pace_is_seen_it_is_guessed_only_of_a_known_number_of_workers(tmp_path, num_workers, pace):
    folder = RunFolder.create(tmp_path, "run", "test")
    with pytest.raises(Stopped):
        run_search(make_plan(), folder, Lasting(250), 0, SilentObserver())
    state = Watcher(folder, 40, num_workers).look()
    assert state.trials_per_hour == pace
    assert (state.seconds_left is None) == (pace is None)


def test_a_look_reads_no_curves(tmp_path, monkeypatch):
    curves = []
    load = watching.load_run
    monkeypatch.setattr(watching, "load_run", lambda path, **options: curves.append(options) or load(path, **options))
    folder = RunFolder.create(tmp_path, "run", "test")
    run_search(make_plan(num_candidates=1), folder, SimulatedEvaluator(), 0, SilentObserver())
    Watcher(folder, 1, 1).look()
    assert curves == [{"curves": False}]


def test_one_failed_look_is_forgiven_and_a_damaged_journal_is_not(tmp_path):
    folder = RunFolder.create(tmp_path, "run", "test")
    run_search(make_plan(num_candidates=2), folder, SimulatedEvaluator(), 0, SilentObserver())
    watcher = Watcher(folder, 2, 1)
    seen = watcher.look()
    folder.journal_path.write_bytes(b"no journal")
    for _ in range(MAX_FAILED_READS - 1):
        assert watcher.look() == seen
    with pytest.raises(FileFormatError):
        watcher.look()


def test_the_driver_is_the_process_that_holds_the_lock(tmp_path):
    folder = RunFolder.create(tmp_path, "run", "test")
    assert folder.driver is None
    with folder.locked():
        assert folder.driver == os.getpid()
    for text in ("", "pid", "pid none\n", f"pid {2**22 + 1}\n"):  # above every process number of Linux
        (folder.path / "archsearch.lock").write_text(text, encoding="utf-8")
        assert folder.driver is None


def test_looking_changes_nothing_in_the_folder(tmp_path):
    folder = RunFolder.create(tmp_path, "run", "test")
    run_search(make_plan(num_candidates=2), folder, SimulatedEvaluator(), 0, SilentObserver())
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.path.rglob("*")}
    Watcher(folder, 2, 1).look()
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.path.rglob("*")} == before


def test_the_picture_has_stages_pace_workers_time_left_and_failures(tmp_path):
    folder = RunFolder.create(tmp_path, "run", "test")
    run_search(make_plan(num_candidates=15), folder, SimulatedEvaluator(), 0, SilentObserver())
    best = Watcher(folder, 15, 1).look().best
    state = LiveState(
        tasks=("first", "second"),
        num_candidates=15,
        max_candidates=40,
        stages={"second": 2, "completed": 4, "memorization": 8, "nothing_new": 1},
        num_duplicates=3,
        num_out_of_bounds=1,
        num_trials=120,
        num_recorded=20,
        trials_per_hour=1234.5,
        num_busy=3,
        num_workers=4,
        seconds_left=600.0,
        failures={"worker_lost": 1, "diverged": 5},
        best=best,
    )
    text = drawn(state)
    for words in (
        "candidates 15/40, about 10 min left",
        "proposed 15, duplicates 3, out of bounds 1, nothing new 1, ",
        "fell at memorization 8, fell at second 2, admitted 4",
        "trials 120 (20 from the journal), about 1,234 an hour, 3 of 4 workers busy",
        "failed: diverged 5, worker_lost 1",
        *(cell.title for cell in best),
    ):
        assert words in text
    assert live_lines(state).count(" | ") == 3
    assert failures_line(state) in live_lines(state)
    assert pace_line(LiveState(("a",), num_workers=1)) == "trials 0, 1 worker"
    board = load_run(folder.path).leaderboard()
    assert [cell.fitness for cell in best] == list(board["fitness"])[:8]
