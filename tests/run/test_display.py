"""What people read while a search runs."""

import io
from typing import ClassVar

import pytest
from rich.console import Console
from shared_simulation import SimulatedEvaluator, make_plan

from archsearch.run import display as module
from archsearch.run.display import LiveDisplay, PlainDisplay, Progress
from archsearch.run.folder import RunFolder
from archsearch.run.live_table import live_lines
from archsearch.run.reading import load_run
from archsearch.run.session import Stopped, run_search
from archsearch.trials.trial import TrialResult


def test_plain_lines_tell_of_founders_gates_and_the_end(tmp_path):
    plan, stream = make_plan(num_candidates=12), io.StringIO()
    display = PlainDisplay(plan, stream)
    run_search(plan, RunFolder.create(tmp_path, "run", "test"), SimulatedEvaluator(), 0, display)
    display.close()
    lines = stream.getvalue().splitlines()
    run = load_run(tmp_path / "run")
    assert lines[0].startswith("founders done, the baseline's best: first 0.")
    passed = run.candidates().query("kind == 'propose' and stage == 'completed'")
    assert sum("passed every gate" in line for line in lines) == len(passed) > 0
    assert lines[-1].startswith("candidates 12/12 | proposed 12, ")
    assert f"admitted {len(passed)} | trials {len(run.trials())}, about " in lines[-1]
    assert " an hour, 0 of 1 worker busy" in lines[-1]


def test_a_plain_line_tells_pace_workers_and_time_left(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    stream, plan = io.StringIO(), make_plan()
    display = PlainDisplay(plan, stream, num_workers=4)
    for clock[0] in range(1, 11):
        display.trial_answered(None, TrialResult("ok", 0.5), recorded=False)
    clock[0] = 36.0
    display.refresh(3, 0)
    display.refresh(3, 0)
    (line,) = stream.getvalue().splitlines()
    planned = 2 * 2 * 36
    assert line == (
        f"founders 10/{planned} trials, about 8 min left | trials 10, about 1,000 an hour, 3 of 4 workers busy"
    )


def test_of_a_cluster_a_plain_line_tells_how_many_work():
    stream = io.StringIO()
    display = PlainDisplay(make_plan(), stream, num_workers=None)
    display.trial_answered(None, TrialResult("ok", 0.5), recorded=True)
    display.refresh(17, 0)
    assert stream.getvalue().endswith("trials 1 (1 from the journal), 17 at work\n")


def test_lines_come_every_quarter_minute_and_after_days_every_five_minutes(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    stream = io.StringIO()
    display = PlainDisplay(make_plan(), stream)
    printed = []
    for clock[0] in range(200_000):
        before = stream.tell()
        display.refresh(1, 0)
        if stream.tell() > before:
            printed.append(clock[0])
    assert printed[:3] == [16, 32, 48]
    assert printed[-1] - printed[-2] == 301
    assert len(printed) < 900


def test_a_resume_says_at_once_what_the_journal_held(monkeypatch):
    monkeypatch.setattr(module.time, "monotonic", lambda: 0.0)
    stream = io.StringIO()
    display = PlainDisplay(make_plan(), stream, num_workers=2)
    for _ in range(5):
        display.trial_answered(None, TrialResult("ok", 0.5), recorded=True)
    for _ in range(3):
        display.refresh(2, 0)
    assert stream.getvalue().splitlines() == [
        "founders 5/144 trials | trials 5 (5 from the journal), 2 of 2 workers busy"
    ]


def test_the_live_table_shows_the_best_cells_with_their_ratios(tmp_path):
    plan, stream = make_plan(num_candidates=12), io.StringIO()
    display = LiveDisplay(plan, Console(file=stream, force_terminal=True, width=100))
    run_search(plan, RunFolder.create(tmp_path, "run", "test"), SimulatedEvaluator(), 0, display)
    display.close()
    board = load_run(tmp_path / "run").leaderboard()
    assert "best cells so far" in stream.getvalue()
    for _, row in board.head(3).iterrows():
        name = row["name"] if isinstance(row["name"], str) else row["cell"]
        assert name in stream.getvalue()
        assert f"{row['fitness']:.3f}" in stream.getvalue()


def test_time_left_follows_the_pace_of_what_was_computed_not_of_what_was_read(tmp_path, monkeypatch):
    clock = iter(range(10_000_000))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))
    plan = make_plan(num_candidates=20)
    folder = RunFolder.create(tmp_path, "run", "test")
    with pytest.raises(Stopped):
        run_search(plan, folder, SimulatedEvaluator(interrupt_after=250), 0, PlainDisplay(plan, io.StringIO()))

    class Watched(PlainDisplay):
        """Notes the guess after each step of the resumed part."""

        guesses: ClassVar[list[float | None]] = []

        def step_consumed(self, outcome, evolution):
            super().step_consumed(outcome, evolution)
            self.guesses.append(self._progress.seconds_left())

    run_search(plan, folder, SimulatedEvaluator(), 0, Watched(plan, io.StringIO()))
    first = next(index for index, guess in enumerate(Watched.guesses[1:], 1) if guess is not None)
    assert Watched.guesses[1] is None, "steps from the journal say nothing about the pace"
    assert Watched.guesses[first] > 5
    assert Watched.guesses[-1] == 0


def test_failures_are_counted_by_kind():
    progress = Progress(make_plan())

    for status in ("ok", "diverged", "diverged", "worker_lost"):
        progress.count_trial(TrialResult(status, None), recorded=False)
    assert "failed: diverged 2, worker_lost 1" in live_lines(progress.state((), 1))


def test_a_resume_does_not_tell_again_what_the_journal_held(tmp_path):
    plan, stream = make_plan(num_candidates=12), io.StringIO()
    folder = RunFolder.create(tmp_path, "run", "test")
    run_search(plan, folder, SimulatedEvaluator(), 0, PlainDisplay(plan, io.StringIO()))
    display = PlainDisplay(plan, stream)
    run_search(plan, folder, SimulatedEvaluator(), 0, display)
    display.close()
    (line,) = stream.getvalue().splitlines()
    assert "candidates 12/12" in line
    assert "from the journal" in line
