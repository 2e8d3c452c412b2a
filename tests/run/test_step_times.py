"""The time of a training step: cells are compared at equal budgets, whatever settings chance gave them."""

from dataclasses import replace

import pytest
from shared_runs import run
from shared_simulation import SPACE, SimulatedEvaluator, make_plan, uniform

from archsearch.run.reading import load_run
from archsearch.run.step_times import StepTimes
from archsearch.search.knowledge import Knowledge
from archsearch.search.outcome import COMPLETED, Examined, StepOutcome
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Trial, TrialResult

LAYERS = {1: 0.001, 2: 0.004}
"""Seconds of the baseline's step."""


def setting(num_layers: int, max_parameters: int = 1000, rate: float = 1.0) -> Setting:
    return Setting(1.0, rate, 5.0, num_layers, max_parameters)


def examined(cell: str, task: str, of: Setting, seconds: float | None) -> Examined:
    result = TrialResult("ok", 0.5, step_seconds=seconds)
    return Examined(f"{cell}/{task}/{of.key}/{seconds}", cell, task, of, result, 100)


def times_of(*entries: Examined, kind: str = "reevaluate", stage: str = COMPLETED) -> StepTimes:
    times = StepTimes()
    for number, entry in enumerate(entries):
        times.add(StepOutcome(number, kind if entry.cell != "base" else "baseline", (), stage, (entry,)))
    return times


def knowledge(*tasks: str) -> Knowledge:
    return Knowledge(tasks, 10, founders=("base",))


BASELINE = [examined("base", "xml", setting(layers), seconds) for layers, seconds in LAYERS.items()]


@pytest.mark.parametrize("layers", LAYERS)
def test_a_cell_twice_as_slow_is_so_whatever_budget_it_was_given(layers):
    times = times_of(*BASELINE, examined("c_1", "xml", setting(layers), 2 * LAYERS[layers]))
    assert times.milliseconds("base", knowledge("xml")) == pytest.approx(2.5)
    assert times.milliseconds("c_1", knowledge("xml")) == pytest.approx(5.0)


def test_of_trials_with_one_budget_the_fastest_counts():
    seconds = [0.004, 0.002, 0.5]
    trials = [examined("c_1", "xml", setting(1, rate=0.1 * n), value) for n, value in enumerate(seconds, start=1)]
    assert times_of(*BASELINE[:1], *trials).milliseconds("c_1", knowledge("xml")) == pytest.approx(2.0)


def test_tasks_count_alike_and_each_must_be_known():
    both = [examined("base", "words", setting(1), 0.01), examined("c_1", "xml", setting(1), 0.001)]
    times = times_of(*BASELINE[:1], *both)
    assert times.milliseconds("base", knowledge("xml", "words")) == pytest.approx(5.5)
    assert times.milliseconds("c_1", knowledge("xml", "words")) is None
    assert times.milliseconds("c_1", knowledge("xml")) == pytest.approx(1.0)


@pytest.mark.parametrize("seconds", [None, 0.0, -1.0])
def test_what_was_not_timed_has_no_time(seconds):
    times = times_of(*BASELINE, examined("c_1", "xml", setting(1), seconds))
    assert times.milliseconds("c_1", knowledge("xml")) is None
    assert times.milliseconds("c_1", Knowledge(("xml",), 10)) is None
    assert StepTimes().milliseconds("base", knowledge("xml")) is None


def test_other_budgets_than_the_baselines_say_nothing():
    times = times_of(*BASELINE, examined("c_1", "xml", setting(1, max_parameters=7), 0.001))
    assert times.milliseconds("c_1", knowledge("xml")) is None


def test_cells_that_fell_are_not_kept():
    times = times_of(*BASELINE, examined("c_1", "xml", setting(1), 0.001), kind="propose", stage="xml")
    assert times.milliseconds("c_1", knowledge("xml")) is None


class TimedEvaluator(SimulatedEvaluator):
    """Steps take 1 ms a layer, times a factor of the cell's own."""

    def evaluate(self, trial: Trial) -> TrialResult:
        factor = 1 + uniform("slow", trial.cell)
        return replace(super().evaluate(trial), step_seconds=0.001 * factor * trial.setting.num_layers)


def test_a_runs_leaderboard_tells_the_cells_own_factor(tmp_path):
    plan = make_plan()
    assert {one.num_layers for one in SPACE.all()} == {1, 2}
    path = run(tmp_path, "timed", plan, TimedEvaluator())
    board = load_run(path).leaderboard()
    assert len(board) > 5
    for cell, milliseconds in zip(board["cell"], board["step_milliseconds"], strict=True):
        assert milliseconds == pytest.approx(1.5 * (1 + uniform("slow", cell)), abs=0.001)


def test_a_run_that_timed_nothing_has_an_empty_column(tmp_path):
    board = load_run(run(tmp_path, "untimed", make_plan())).leaderboard()
    assert board["step_milliseconds"].isna().all()
