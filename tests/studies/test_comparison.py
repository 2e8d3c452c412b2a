"""Best fitness against what was spent, and two sides of it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from shared_studies import simulated_run

from archsearch.run.reading import Run
from archsearch.studies.comparison import Side, compare, comparison_frame, differing_keys
from archsearch.studies.comparison_plot import comparison_figure, plot_comparison
from archsearch.studies.continued_steps import ContinuedSteps
from archsearch.studies.progress import BUDGETS, Curve, Progress, StepProgress, progress_of, shared_baseline


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return simulated_run(tmp_path_factory.mktemp("studies") / "run")


def steps(*pairs):
    return Progress(tuple(StepProgress(dict.fromkeys(BUDGETS, float(spent)), fitness) for spent, fitness in pairs))


def test_a_staircase_is_read_between_its_steps():
    curve = Curve((10.0, 12.0, 20.0), (0.0, 0.9, 1.1))
    assert [curve.at(spent) for spent in (5, 10, 11.9, 12, 19, 20, 99)] == [0, 0, 0, 0.9, 0.9, 1.1, 1.1]
    assert curve.mean(10, 20) == pytest.approx((2 * 0 + 8 * 0.9) / 10)
    assert curve.mean(20, 20) == 1.1


def test_the_curve_of_a_run_ends_with_its_leaderboard(run):
    progress = progress_of(run, dict(run.knowledge.baseline))
    curve = progress.curve("trials")
    found = [fitness for fitness, digest in run.knowledge.listed if digest not in run.knowledge.founders]
    assert curve.best[-1] == pytest.approx(max(found))
    assert curve.total == len(run.trials())
    assert curve.founders == 2 * 2 * 36
    assert list(curve.best) == sorted(curve.best)


def test_a_longer_training_of_a_setting_goes_on_from_the_shorter_one(run):
    first, other = run.outcomes[0].examined[:2]
    trials = [(first, 20), (other, 30), (first, 50), (first, 40), (other, 30)]
    counted = ContinuedSteps()
    added = [counted.add(replace(entry, result=replace(entry.result, steps=steps))) for entry, steps in trials]
    assert added == [20, 30, 30, 0, 0]


def test_ratios_are_to_the_baseline_that_all_share(run):
    baseline = {task: 2 * value for task, value in run.knowledge.baseline.items()}
    halved, own = (progress_of(run, each).curve("trials") for each in (baseline, run.knowledge.baseline))
    assert halved.best[-1] == pytest.approx(own.best[-1] / 2)
    assert shared_baseline([run, run]) == pytest.approx(dict(run.knowledge.baseline))


def test_several_runs_a_side_are_compared_by_welchs_test():
    values = ([1.0, 1.02, 1.05], [0.9, 0.97, 0.93, 0.91])
    sides = [
        Side(name, tuple(steps((10, None), (10, value)) for value in side))
        for name, side in zip("ab", values, strict=True)
    ]
    trials = compare(*sides, 0.95)[0]
    name, one, _, difference = trials.rows[0]
    expected = stats.ttest_ind(*values, equal_var=False).confidence_interval(0.95)
    assert (name, trials.begin, trials.end) == ("fitness", 10, 20)
    assert (difference.low, difference.high) == pytest.approx((expected.low, expected.high))
    assert difference.estimate == pytest.approx(np.mean(values[0]) - np.mean(values[1]))
    alone = stats.ttest_1samp(values[0], 0).confidence_interval(0.95)
    assert (one.low, one.high) == pytest.approx((alone.low, alone.high))


def test_only_what_the_cheapest_run_spent_is_compared():
    short, long = steps((10, None), (5, 1.0)), steps((10, None), (5, 0.8), (50, 2.0))
    trials = compare(Side("a", (short,)), Side("b", (long,)), 0.95)[0]
    assert trials.end == 15
    assert trials.rows[0][2].estimate == 0.8


def test_nothing_is_compared_where_founders_cost_more_than_another_run():
    sides = Side("a", (steps((10, None), (5, 1.0)),)), Side("b", (steps((20, None), (5, 1.0)),))
    assert [comparison.rows for comparison in compare(*sides, 0.95)] == [()] * 3


def test_a_lone_run_gives_the_spread_of_drawing_its_steps_again():
    lucky = steps((10, None), *[(1, 0.8)] * 20, (1, 1.5))
    trials = compare(Side("a", (lucky,)), Side("b", (steps((10, None), *[(1, 0.8)] * 21),)), 0.95)[0]
    _, one, two, difference = trials.rows[0]
    assert (one.low, one.high) == (0.8, 1.5)
    assert (two.low, two.high) == (0.8, 0.8)
    assert difference.low == pytest.approx(0.0)
    same = Side("a", (lucky,)), Side("b", (lucky,))
    assert compare(*same, 0.95) == compare(*same, 0.95), "drawn from named seeds"


def test_steps_drawn_again_keep_their_order_since_a_search_gets_better_with_time():
    growing = steps((10, None), *[(1, 0.5 + 0.01 * number) for number in range(40)])
    _, one, _, difference = compare(Side("a", (growing,)), Side("b", (growing,)), 0.95)[0].rows[1]
    assert one.low < one.estimate - 0.01 < one.estimate + 0.01 < one.high
    assert difference.low < -0.01 < 0.01 < difference.high


def test_a_lone_run_against_several():
    sides = Side("a", (steps((10, None), (1, 0.9)),)), Side("b", tuple(steps((10, None), (1, v)) for v in (0.8, 0.85)))
    difference = compare(*sides, 0.95)[0].rows[0][3]
    assert 0.05 <= difference.low <= difference.estimate <= difference.high <= 0.1 + 1e-9


def test_the_curves_are_kept_as_rows():
    frame = comparison_frame(Side("a", (steps((10, None), (5, 1.0)),)), Side("b", (steps((10, None)),)))
    assert list(frame.columns) == ["side", "run", "budget", "spent", "best_fitness"]
    assert len(frame) == 3 * (2 + 1)
    assert frame["best_fitness"].isna().sum() == 3 * 2
    idle = comparison_frame(Side("a", (steps((10, None), (0, None)),)), Side("b", (steps((10, None)),)))
    assert len(idle) == 3 * (2 + 1), "also a step that spent nothing"


def test_more_founders_than_steps_lose_no_found_cell(run):
    founders, proposed = run.outcomes[0], next(each for each in run.outcomes if each.kind == "propose" and each.cells)
    last = founders.cells[-1]
    entries = [entry for entry in founders.examined if entry.cell == last.digest]

    def alike(digest):
        """Returns a cell with the results of the last founder."""
        return replace(last, digest=digest), tuple(replace(entry, cell=digest, key=digest) for entry in entries)

    more = [alike(f"c_{number:016x}") for number in range(3)]
    all_cells = (*founders.cells, *(cell for cell, _ in more))
    examined = (*founders.examined, *(entry for _, found in more for entry in found))
    cell, found = alike("c_ffffffffffffffff")
    outcome = replace(proposed, number=1, cells=(cell,), stage="completed", examined=found)
    outcomes = (replace(founders, cells=all_cells, examined=examined), outcome)
    short = Run(run.folder, run.tasks, 100, (), outcomes)
    _, step = progress_of(short, dict(run.knowledge.baseline)).steps
    assert step.fitness == run.knowledge.fitness(run.knowledge.cells[last.digest])


def test_the_picture_is_a_png(tmp_path):
    sides = Side("a", (steps((10, None), (5, 1.0)),)), Side("b", (steps((10, None), (9, 0.8)),))
    plot_comparison(*sides, BUDGETS, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_line_and_range_begin_when_each_search_has_found_a_cell_and_end_with_the_first(tmp_path):
    early, late = steps((10, None), (5, 0.9), (85, 0.95)), steps((10, None), (30, 0.8), (160, 0.99))
    sides = Side("a", (early, late)), Side("b", (steps((10, None), (50, None)),))
    axes = comparison_figure(*sides, BUDGETS).axes[0]
    x, y = axes.lines[0].get_data()
    drawn = [(spent, height) for spent, height in zip(x, y, strict=True) if height == height]
    assert drawn[0] == (pytest.approx(40, abs=1), pytest.approx((0.9 + 0.8) / 2))
    assert drawn[-1] == (100, pytest.approx((0.95 + 0.8) / 2))
    band = axes.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(0.8)
    assert band[:, 0].max() == 100
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["a", "b: found no cell", "baseline"]


def test_differences_are_named_by_their_place():
    one, two = {"a": {"b": 1, "c": {"d": 1}}, "e": [1]}, {"a": {"b": 2}, "e": [1]}
    assert differing_keys(one, two) == ["a.b: 1 against 2", "a.c: only one of them has it"]
    assert differing_keys(one, one) == []
