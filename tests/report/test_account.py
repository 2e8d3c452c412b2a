"""Funnel, transformations, cost and failures, against the tables of the run."""

from dataclasses import replace

import pytest
from shared_reported_runs import EVIL

from archsearch.report.account import environments, failures, funnel, num_duplicates, stages, successes, task_costs
from archsearch.report.curves import LearningCurves
from archsearch.run.reading import Run


def test_the_funnel_is_that_of_the_candidates(run):
    proposed = run.candidates().query("kind == 'propose'")
    levels = {level.label: level.count for level in funnel(run)}
    assert stages(run) == ["memorization", "first", "second"]
    assert levels["proposed"] == len(proposed) == 40
    fell = proposed["stage"].value_counts()
    assert levels["passed memorization"] == 40 - fell["memorization"]
    assert levels["passed second"] == fell["completed"]
    counts = [level.count for level in funnel(run)]
    assert counts == sorted(counts, reverse=True)
    assert all(level.share == level.count / 40 for level in funnel(run))


def test_success_of_each_transformation(run):
    proposed = run.candidates().query("kind == 'propose'").fillna("")
    board = run.leaderboard()
    for row in successes(run):
        made = proposed[[row.name in names.split() for names in proposed["transformations"]]]
        assert row.proposed == len(made) > 0
        assert row.screened == (made["stage"] != "memorization").sum()
        assert row.passed == (made["stage"] == "completed").sum()
        assert row.listed == made["cell"].isin(board["cell"]).sum()
    assert any(row.better for row in successes(run))


def test_better_than_the_parent_is_what_the_leaderboard_says(run):
    board = run.leaderboard().set_index("cell")
    found = board[board["parent"].isin(board.index)]
    better = [cell for cell in found.index if found["fitness"][cell] > board["fitness"][found["parent"][cell]]]
    counted = sum(row.better for row in successes(run))
    assert counted >= sum(len(set(found["transformations"][cell].split())) for cell in better) > 0


def test_cost_and_failures_are_those_of_the_trials(run):
    trials = run.trials()
    for cost in task_costs(run):
        of_task = trials[trials["task"] == cost.task]
        assert cost.trials == len(of_task)
        assert cost.seconds == pytest.approx(of_task["training_seconds"].sum(), abs=0.01 * len(of_task))
        assert cost.failed == (of_task["status"] != "ok").sum()
    (failure,) = failures(run)
    assert (failure.status, failure.count) == ("diverged", (trials["status"] == "diverged").sum())
    assert EVIL in failure.error
    assert sum(count for _, count in environments(run)) == len(trials)


def test_errors_that_differ_in_numbers_alone_are_one_however_they_are_written(run):
    losses = ("40234.1", "4.09889e+08", "3e-7", "-inf")
    diverged = next(
        entry for outcome in run.outcomes for entry in outcome.examined if entry.result.status == "diverged"
    )
    entries = [replace(diverged, result=replace(diverged.result, error=f"the loss is {loss}")) for loss in losses]
    told = Run(run.folder, run.tasks, 100, (), (replace(run.outcomes[0], examined=tuple(entries)),))
    assert [(failure.error, failure.count) for failure in failures(told)] == [
        ("the loss is 40234.1", 3),
        ("the loss is -inf", 1),
    ]


def test_duplicates_are_those_of_the_summary(run):
    dropped = run.summary()["duplicates"]["dropped"]
    assert num_duplicates(run) == sum(count for reason, count in dropped.items() if reason.startswith(("known", "in ")))


def test_the_best_trial_is_that_of_the_best_setting(run):
    curves, trials = LearningCurves(run), run.trials()
    for cell in run.leaderboard()["cell"]:
        for task in run.tasks:
            best = curves.best_trial(cell, task)
            of_cell = trials[(trials["cell"] == cell) & (trials["task"] == task)]
            assert best.result.value == of_cell["value"].max()
            assert best.setting == run.best_setting(cell, task)
