"""Journal and views under random writes, crashes and reopenings: what was kept is there, once, and whole."""

import shutil
import sqlite3
import tempfile
from contextlib import suppress
from pathlib import Path

import pandas as pd
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from shared_simulation import SilentObserver, answer, make_plan, simulate

from archsearch.errors import SearchStateError
from archsearch.run.folder import RunFolder
from archsearch.run.journal import Journal
from archsearch.run.live_views import LiveViews
from archsearch.run.reading import load_run, restore_views
from archsearch.run.repair import repair_journal
from archsearch.run.view_files import VIEWS

PLAN = make_plan(num_candidates=6, tasks=make_plan().tasks[:1])
SEARCH = simulate(PLAN)
FACTS = {"plan": PLAN.identity, "tasks": '["first"]', "list_size": str(PLAN.list_size)}


class Folded:
    """Stands in for a search that has come as far as the steps it was given."""

    def __init__(self):
        from archsearch.search.knowledge import Knowledge

        self.knowledge = Knowledge(("first",), PLAN.list_size)


class JournalAndViews(RuleBasedStateMachine):
    """A driver that keeps trials and steps of a search in their order, and may be killed at any moment.

    `kept` and `stepped` are what the driver was told is on the disk.
    """

    @initialize(mode=st.sampled_from(["WAL", "DELETE"]))
    def begin(self, mode):
        self.mode = mode
        self.parent = Path(tempfile.mkdtemp())
        self.folder = RunFolder.create(self.parent, "run", "test")
        self.journal = Journal.create(self.folder.journal_path)
        for name, value in FACTS.items():
            self.journal.note(name, value)
        self.kept, self.stepped = 0, 0
        self.open_driver()

    def open_driver(self):
        self.journal._connection.execute(f"PRAGMA journal_mode = {self.mode}")
        self.search = Folded()
        self.views = LiveViews(self.folder, self.journal, self.search, SilentObserver(), lambda _files: None)
        for trial in SEARCH.trials[: self.kept]:
            self.views.trial_answered(trial, answer(trial), recorded=True)
        for outcome in SEARCH.outcomes[: self.stepped]:
            self.consume(outcome)

    def consume(self, outcome):
        self.search.knowledge = self.search.knowledge.fold(outcome)
        self.views.step_consumed(outcome, self.search)

    @rule(count=st.integers(1, 30))
    def keep_trials(self, count):
        trials = SEARCH.trials[self.kept : self.kept + count]
        self.journal.add_trials([(trial, answer(trial)) for trial in trials])
        for trial in trials:
            self.views.trial_answered(trial, answer(trial), recorded=False)
        self.kept += len(trials)

    @rule(count=st.integers(1, 4))
    def keep_steps(self, count):
        have = {trial.key for trial in SEARCH.trials[: self.kept]}
        ready = []
        for outcome in SEARCH.outcomes[self.stepped : self.stepped + count]:
            if not have.issuperset(entry.key for entry in outcome.examined):
                break
            ready.append(outcome)
        self.journal.add_steps(ready)
        self.stepped += len(ready)
        for outcome in ready:
            self.consume(outcome)

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def keep_a_trial_twice(self, data):
        trial = SEARCH.trials[data.draw(st.integers(0, self.kept - 1))]
        with suppress(SearchStateError):
            self.journal.add_trial(trial, answer(trial))
            raise AssertionError("a trial was kept twice")

    @rule(rows=st.integers(0, 3))
    def be_killed_in_a_commit(self, rows):
        """The process ends in the middle of a transaction; the copy is what it leaves on the disk."""
        self.journal._connection.execute("BEGIN IMMEDIATE")
        for number in range(rows):
            self.journal._connection.execute("INSERT INTO steps VALUES (?, ?, ?)", (1000 + number, "x" * 5000, 0))
        self.leave_copy()

    @rule()
    def be_killed(self):
        self.leave_copy()

    def leave_copy(self):
        copy = self.parent / "copy"
        shutil.copytree(self.folder.path, copy)
        self.views._trials.close()
        self.views._candidates.close()
        self.journal._connection.close()
        shutil.rmtree(self.folder.path)
        copy.rename(self.folder.path)
        (self.folder.path / ".trials.csv.4321").write_text("half")
        self.journal = Journal.open(self.folder.journal_path)
        self.open_driver()

    @rule()
    def close_and_reopen(self):
        self.views.close()
        self.journal.close()
        self.journal = Journal.open(self.folder.journal_path)
        self.open_driver()

    @rule(name=st.sampled_from(VIEWS), text=st.text(max_size=20))
    def edit_a_view(self, name, text):
        self.views._write()
        kept = len(list(self.folder.path.glob(f"{name}.edited-*")))
        (self.folder.path / name).write_bytes(b"edited: " + text.encode())
        self.views._write()
        assert len(list(self.folder.path.glob(f"{name}.edited-*"))) == kept + 1

    @rule(name=st.sampled_from(VIEWS))
    def lose_a_view_and_restore_it(self, name):
        self.views._write()
        before = (self.folder.path / name).read_bytes()
        (self.folder.path / name).unlink()
        restore_views(load_run(self.folder.path))
        assert (self.folder.path / name).read_bytes() == before
        self.views._files.__init__(self.folder, self.journal)

    @rule()
    def write_views(self):
        self.views._write()
        run = load_run(self.folder.path)
        pd.testing.assert_frame_equal(pd.read_csv(self.folder.path / "trials.csv"), run.trials())
        pd.testing.assert_frame_equal(pd.read_csv(self.folder.path / "candidates.csv"), run.candidates())
        pd.testing.assert_frame_equal(pd.read_csv(self.folder.path / "leaderboard.csv"), run.leaderboard())

    @rule()
    def look_for_damage(self):
        assert repair_journal(self.folder).kept_as is None

    @invariant()
    def everything_kept_is_there_once(self):
        if not hasattr(self, "kept"):
            return
        reader = Journal.open(self.folder.journal_path, read_only=True)
        try:
            assert [trial.key for trial in reader.trials()] == [trial.key for trial in SEARCH.trials[: self.kept]]
            assert list(reader.step_records()) == SEARCH.records[: self.stepped]
        finally:
            reader.close()

    def teardown(self):
        if hasattr(self, "journal"):
            with suppress(sqlite3.Error):
                self.views._trials.close()
                self.views._candidates.close()
                self.journal.close()
            shutil.rmtree(self.parent)


TestJournalAndViews = JournalAndViews.TestCase
TestJournalAndViews.settings = settings(
    max_examples=12, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
