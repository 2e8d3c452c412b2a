"""Searches against recorded and synthetic curves: what is answered, what is spent, and what comes out."""

import random
from dataclasses import replace

import pandas as pd
import pytest
from shared_simulation import SilentObserver, SimulatedEvaluator, make_plan

from archsearch.errors import FileFormatError
from archsearch.graph.catalog import zoo_cell
from archsearch.run.folder import RunFolder
from archsearch.run.session import run_search
from archsearch.search.jozefowicz2015 import Jozefowicz2015
from archsearch.search.plan import TaskPlan
from archsearch.search.strategy import Rung
from archsearch.studies.answers import RecordedSource
from archsearch.studies.recorded_curves import COLUMNS, Curve, read_recorded
from archsearch.studies.replay import replay
from archsearch.studies.replay_tables import budget_frame, comparison_frame, interval, trace_frame
from archsearch.studies.synthetic_curves import FITTED, TASKS, SyntheticSource
from archsearch.trials.setting import Setting, SettingSpace
from archsearch.trials.trial import Recipe, Trial, TrialResult

SPACE = SettingSpace((0.7, 1.0, 1.4), (0.2, 0.5, 1.0, 2.0), (1.0,), (1,), (1000,))
"""12 settings."""


def curve(cell, setting, task, lengths=(10, 20, 40)):
    """Returns rows of a file: curves that do not cross, better for mut1 than for gru, best at learning rate 0.5."""
    level = {"gru": 0.5, "lstm": 0.4, "mut1": 0.6, "tanh": 0.1}[cell] + 0.1 * (setting.learning_rate == 0.5)
    common = {"cell": cell, "task": task, **{name: getattr(setting, name) for name in COLUMNS[2:7]}}
    return [{**common, "step": step, "accuracy": level * step / (step + 10)} for step in lengths]


@pytest.fixture
def csv(tmp_path):
    rows = [
        row
        for cell in ("gru", "lstm", "mut1", "tanh")
        for task in ("first", "second")
        for setting in SPACE.all()
        for row in curve(cell, setting, task)
        if not (cell == "tanh" and task == "second")
    ]
    path = tmp_path / "curves.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def plan_of(**changes):
    tasks = tuple(TaskPlan(name, "recorded", SPACE, 40, 4, 8) for name in ("first", "second"))
    values = {"screen": None, "tasks": tasks, "num_candidates": 4, "gate": 0.5, "max_draws": 50, "bounds": WIDE}
    return make_plan(**{**values, **changes})


WIDE = replace(make_plan().bounds, max_nodes=1000, max_parameters=10**8, max_multiply_adds=10**8)


def trial_of(name, setting, task="first", max_steps=40):
    graph = zoo_cell(name).canonical()
    return Trial(graph.digest, graph, task, "recorded", Recipe(), setting, 0, max_steps, 1)


def test_a_curve_answers_by_its_best_so_far():
    own = Curve.from_points([(20, 0.3), (10, 0.5), (30, 0.6)])
    assert own.until(10) == (0.5, 10)
    assert own.until(29) == (0.5, 29)
    assert own.until(30) == (0.6, 30)
    assert own.until(500) == (0.6, 30)
    assert own.until(3) == (0.5, 3)


def test_what_was_recorded_is_answered_as_it_was(csv):
    answers = RecordedSource(read_recorded(csv)).for_seed(3)
    for setting in SPACE.all():
        for steps, expected in ((10, 10), (39, 20), (40, 40)):
            result = answers.answer(trial_of("mut1", setting, max_steps=steps))
            row = next(row for row in curve("mut1", setting, "first") if row["step"] == expected)
            assert (result.value, result.steps) == (pytest.approx(row["accuracy"]), steps)


def test_a_setting_that_was_not_recorded_stands_for_the_same_one_in_all_cells(csv):
    recorded = read_recorded(csv)
    other = Setting(2.8, 5.0, 20.0, 4, 999)
    ranks = set()
    for seed in range(30):
        answers = RecordedSource(recorded).for_seed(seed)
        gru, mut1 = (answers.answer(trial_of(name, other)).value for name in ("gru", "mut1"))
        assert mut1 - gru == pytest.approx(0.1 * 40 / 50)
        ranks.add(gru)
    assert len(ranks) == 2, "other seeds, other settings"


def test_a_cell_without_a_curve_on_a_task_has_no_accuracy(csv):
    answers = RecordedSource(read_recorded(csv)).for_seed(1)
    result = answers.answer(trial_of("tanh", SPACE.all()[0], "second"))
    assert (result.status, result.value) == ("failed", None)


def test_only_recorded_cells_are_proposed_and_the_best_is_found(csv):
    tasks = tuple(TaskPlan(name, "recorded", SPACE, 40, 12, 12) for name in ("first", "second"))
    plan = plan_of(tasks=tasks, num_candidates=2, reevaluate_probability=0.0)
    traces = replay(plan, RecordedSource(read_recorded(csv)), [1, 2, 3])
    for points in traces.values():
        assert points[-1].candidates == 2
        assert points[-1].fitness == pytest.approx(0.7 / 0.6), "the yardstick is the GRU's best of all recorded"
        assert [point.training_steps for point in points] == sorted(point.training_steps for point in points)


def test_the_lineage_of_a_run_is_kept(tmp_path):
    """A parent's children are those that it had."""

    class Curves(SimulatedEvaluator):
        def evaluate(self, trial):
            accuracy = super().evaluate(trial).value or 0.2
            return TrialResult("ok", accuracy, curve=((50, 1.0, accuracy / 2), (100, 1.0, accuracy)), steps=100)

    folder = RunFolder.create(tmp_path, "run", "test")
    plan = make_plan(num_candidates=25, screen=None, gate=0.3)
    run = run_search(plan, folder, Curves(), 0, SilentObserver())
    recorded = read_recorded(folder.path)
    assert set(recorded.parents) == set(run.knowledge.cells) - set(run.knowledge.founders)
    assert recorded.lengths == {"first": 100, "second": 100}
    answers = RecordedSource(recorded).for_seed(1)
    for parent in set(recorded.parents.values()):
        children = {child for child, other in recorded.parents.items() if other == parent}
        drawn = {answers.mutation(recorded.graphs[parent], random.Random(seed)).graph.digest for seed in range(60)}
        assert drawn <= children
    again = replay(replace(plan, num_candidates=10), RecordedSource(recorded), [1])[1]
    assert again[-1].fitness > 0


def test_errors_of_a_run_are_read_so_that_less_is_better(tmp_path):
    """Yardstick, answers and fitness are those of the search, whose best cell has the least error."""

    class Errors(SimulatedEvaluator):
        def evaluate(self, trial):
            error = 0.01 / (super().evaluate(trial).value or 0.2)
            curve = ((50, 1.0, error), (100, 1.0, 2 * error))  # the best is not the last
            return TrialResult("ok", error, curve=curve, steps=100, metric="mse")

    folder = RunFolder.create(tmp_path, "run", "test")
    plan = make_plan(num_candidates=25, screen=None, gate=0.3)
    knowledge = run_search(plan, folder, Errors(), 0, SilentObserver()).knowledge
    recorded = read_recorded(folder.path)
    answers = RecordedSource(recorded).for_seed(1)
    for task in plan.tasks:
        assert answers.yardstick(task, plan.baseline.graph) == knowledge.baseline[task.name]
        for digest in knowledge.graphs:
            history = knowledge.cells[digest].history(task.name)
            for setting, quality in zip(history.settings, history.qualities, strict=True):
                trial = Trial(digest, knowledge.graphs[digest], task.name, "d", Recipe(), setting, 0, 100, 1)
                assert answers.answer(trial).quality == quality
    points = replay(replace(plan, num_candidates=1), RecordedSource(recorded), [1])[1]
    founders = [knowledge.fitness(knowledge.cells[digest]) for digest in knowledge.founders]
    assert points[0].fitness == pytest.approx(max(founders))


def test_halving_pays_for_each_step_once(csv):
    """Rungs of a quarter, a half and all: 4 · 10 + 2 · 10 + 1 · 20 steps of 4 settings, anew 4 · 10 + 2 · 20 + 40."""
    rungs = (Rung(0.25, 1.0), Rung(0.5, 0.5), Rung(1.0, 0.25))
    tasks = tuple(TaskPlan(name, "recorded", SPACE, 40, 4, 4) for name in ("first", "second"))
    plan = plan_of(tasks=tasks, strategy=Jozefowicz2015(rungs=rungs), num_candidates=1, reevaluate_probability=0.0)
    (points,) = replay(plan, RecordedSource(read_recorded(csv)), [5]).values()
    first = points[0]
    assert (first.trials, first.training_steps, first.steps_anew) == (4 * 7, 4 * 80, 4 * 120)


def test_equal_seeds_give_equal_replays(csv):
    source = RecordedSource(read_recorded(csv))
    assert replay(plan_of(), source, [1, 2]) == replay(plan_of(), source, [1, 2])
    synthetic = SyntheticSource(TASKS)
    plan = synthetic_plan()
    assert replay(plan, synthetic, [1]) == replay(plan, synthetic, [1])
    assert replay(plan, synthetic, [1])[1] != replay(plan, synthetic, [2])[2]


def synthetic_plan(**changes):
    tasks = tuple(TaskPlan(name, "recorded", SPACE, task.max_steps, 4, 8) for name, task in TASKS.items())
    return make_plan(screen=None, tasks=tasks, num_candidates=5, **changes)


def test_synthetic_curves_grow_and_children_resemble_their_parents():
    answers = SyntheticSource(TASKS).for_seed(1)
    setting = SPACE.all()[0]
    grown = [answers.answer(trial_of("gru", setting, "xml", steps)).value for steps in (100, 200, 1000, 2000)]
    assert grown == sorted(set(grown))
    close, far = [], []
    for seed in range(200):
        answers = SyntheticSource(TASKS).for_seed(seed)
        level = {name: answers._level("xml", zoo_cell(name).canonical().structure) for name in ("gru", "mut2", "tanh")}
        close.append(level["gru"] - level["mut2"])
        far.append(level["gru"] - level["tanh"])
    assert pd.Series(close).std() < 0.8 * pd.Series(far).std()


def test_synthetic_cells_spread_as_the_measured_ones_did():
    """Between the ten cells as fitted, and over seeds alike for large and small, repetitive and varied ones."""
    structures = [zoo_cell(name).canonical().structure for name in FITTED]
    seeds = [SyntheticSource(TASKS).for_seed(seed) for seed in range(400)]
    levels = pd.DataFrame([[answers._level("xml", structure) for structure in structures] for answers in seeds])
    assert levels.var(axis=1).mean() ** 0.5 == pytest.approx(1, rel=0.05)
    deviations = levels.std()
    assert deviations.max() < 1.15 * deviations.min()


def test_a_synthetic_curve_never_falls():
    hopeless = SyntheticSource({"xml": replace(TASKS["xml"], top=0.1)}).for_seed(1)
    assert [hopeless.answer(trial_of("gru", SPACE.all()[0], "xml", steps)).value for steps in (100, 2000)] == [
        0.356
    ] * 2


def test_what_is_expected_of_another_training_is_free_of_luck(csv):
    """Replicates around one mean: the best found was a lucky one, and what is expected of it is what the other gave."""
    frame = pd.read_csv(csv)
    lucky, unlucky = frame.assign(replicate=1), frame.assign(replicate=2)
    lucky["accuracy"] += 0.1
    unlucky["accuracy"] -= 0.1
    pd.concat([lucky, unlucky]).to_csv(csv, index=False)
    tasks = tuple(TaskPlan(name, "recorded", SPACE, 40, 12, 12) for name in ("first", "second"))
    plan = plan_of(tasks=tasks, num_candidates=2, reevaluate_probability=0.0)
    for points in replay(plan, RecordedSource(read_recorded(csv)), range(5)).values():
        levels = [level * 0.8 for level in (0.7, 0.6, 0.5)]
        assert points[-1].fitness > points[-1].expected_fitness
        assert any(points[-1].expected_fitness == pytest.approx((level - 0.1) / 0.58) for level in levels)
    recorded, trial = read_recorded(csv), trial_of("gru", SPACE.all()[0])
    level = 0.5 * 0.8
    pairs = {
        (answers.answer(trial).value, answers.expected(trial))
        for answers in map(RecordedSource(recorded).for_seed, range(40))
    }
    assert sorted(pairs) == [
        (pytest.approx(level - 0.1), pytest.approx(level + 0.1)),
        (pytest.approx(level + 0.1), pytest.approx(level - 0.1)),
    ]


def test_of_what_was_trained_once_nothing_is_expected(csv):
    """The seeds that have a value are counted, and there is none where no seed has."""
    frame = pd.read_csv(csv)
    assert RecordedSource(read_recorded(csv)).for_seed(1).expected(trial_of("gru", SPACE.all()[0])) is None
    traces = {"alone": replay(plan_of(), RecordedSource(read_recorded(csv)), range(6))}
    assert all(points[-1].expected_fitness is None for points in traces["alone"].values())
    (row,) = comparison_frame(traces).to_dict("records")
    assert (row["seeds"], row["expected_seeds"]) == (6, 0)
    assert row["expected_mean"] != row["expected_mean"]
    pd.concat([frame, frame[frame["init_scale"] == 1.4].assign(replicate=1)]).to_csv(csv, index=False)
    traces = {"some": replay(plan_of(), RecordedSource(read_recorded(csv)), range(20))}
    known = [points[-1].expected_fitness is not None for points in traces["some"].values()]
    (row,) = comparison_frame(traces).to_dict("records")
    assert 0 < row["expected_seeds"] == sum(known) < row["seeds"]
    assert row["expected_mean"] == 0


def test_of_equal_results_the_setting_decides_and_not_what_is_expected(csv):
    """All trainings drawn are equal; the others differ, so that a choice by them would show."""
    frame = pd.read_csv(csv).assign(accuracy=0.5)
    others = frame.assign(replicate=1, accuracy=0.1 + frame["init_scale"] / 4)
    pd.concat([frame, others]).to_csv(csv, index=False)
    drawn = RecordedSource(read_recorded(csv))
    tasks = tuple(TaskPlan(name, "recorded", SPACE, 40, 12, 12) for name in ("first", "second"))
    plan = plan_of(tasks=tasks, num_candidates=2, reevaluate_probability=0.0)

    class First(RecordedSource):
        def for_seed(self, seed):
            answers = super().for_seed(seed)
            object.__setattr__(answers, "_replicate", lambda curves, _: curves[0])
            return answers

    points = replay(plan, First(drawn.recorded), [1])[1]
    assert points[-1].fitness == 1, "0.5 of the GRU's 0.5"
    assert points[-1].expected_fitness == pytest.approx((0.1 + 0.7 / 4) / 0.5), "the first setting, not the best one"


def test_tables_say_what_was_reached_and_spent(csv):
    source = RecordedSource(read_recorded(csv))
    halved = plan_of(strategy=Jozefowicz2015(rungs=(Rung(0.25, 1.0), Rung(1.0, 0.25))))
    traces = {"full": replay(plan_of(), source, range(4)), "halved": replay(halved, source, range(4))}
    comparison = comparison_frame(traces).set_index("strategy")
    assert comparison.loc["full", "difference_mean"] == 0
    assert comparison.loc["full", "steps_share_mean"] == 1
    assert comparison.loc["halved", "steps_share_high"] < 0.6
    for row in comparison.itertuples():
        assert row.fitness_low <= row.fitness_mean <= row.fitness_high
    for spent in ("trials", "training_steps"):
        frame = budget_frame(traces, spent)
        assert list(frame[spent]) == sorted(frame[spent])
        assert frame["full_mean"].iloc[-1] == pytest.approx(comparison.loc["full", "fitness_mean"])
        assert frame["full_mean"].dropna().is_monotonic_increasing
    rows = trace_frame(traces)
    assert set(rows["seed"]) == {0, 1, 2, 3}
    assert len(rows) == sum(len(points) for by_seed in traces.values() for points in by_seed.values())


def test_the_interval_is_students():
    low, mean, high = interval([1.0, 2.0, 3.0, 4.0])
    assert mean == 2.5
    assert high - mean == pytest.approx(3.182446 * 1.290994 / 2, rel=1e-5)
    assert mean - low == pytest.approx(high - mean)
    assert interval([7.0]) == (7.0, 7.0, 7.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell,task\ngru,xml\n", "found no init_scale"),
        (",".join(COLUMNS) + "\nnobody,xml,1,1,1,1,1000,10,0.5\n", "cell 'nobody'"),
        (",".join(COLUMNS) + "\n", "found none"),
        (",".join(COLUMNS) + "\ngru,xml,1,1,1,1,1000,10,good\n", "expected numbers in"),
        (",".join(COLUMNS) + "\ngru,xml,1,1,,1,1000,10,0.5\n", "found an empty field"),
        ("", "expected a CSV of learning curves"),
    ],
)
def test_files_that_hold_no_curves_are_refused(tmp_path, text, message):
    path = tmp_path / "curves.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileFormatError, match=message):
        read_recorded(path)


def test_cells_of_a_file_may_be_equations_with_parents(tmp_path):
    rows = curve("gru", SPACE.all()[0], "first")
    own = [
        {**row, "cell": "mine", "equations": "h' = tanh(linear(x, h))", "parent": "gru", "replicate": 2} for row in rows
    ]
    path = tmp_path / "curves.csv"
    pd.DataFrame([*rows, *own]).to_csv(path, index=False)
    recorded = read_recorded(path)
    assert recorded.parents == {zoo_cell("tanh").digest: zoo_cell("gru").digest}
    assert set(recorded.graphs) == {zoo_cell("tanh").digest, zoo_cell("gru").digest}
