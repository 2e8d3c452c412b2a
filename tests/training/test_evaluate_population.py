"""Trials that train together: which ones, and that their results are those of training alone."""

import itertools
import random
from dataclasses import replace

import pytest
import torch
from shared_populations import RaggedTask

from archsearch.errors import ConfigError
from archsearch.graph.catalog import zoo_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.training import evaluate_population
from archsearch.training.evaluate import Evaluator, HeldOutEvaluator
from archsearch.training.gradient_step import AutogradStep
from archsearch.training.grouping import Populations, group_trials
from archsearch.training.population import PopulationTrainer
from archsearch.training.population_step import PopulationStep
from archsearch.training.stops import TimeLimitError
from archsearch.training.width import model_parameters
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Recipe, TrialResult

RECIPE = Recipe(batch_size=4, unroll=6, precision="float64")
EVERY_WIDTH = Populations(padding=1e9)


@pytest.fixture
def make_trials(recall_task, make_trial):
    """Returns a function that draws trials of one cell with different settings."""

    def make(number, task=None, **fields):
        rng = random.Random(3)
        return [
            make_trial(
                task or recall_task,
                setting=Setting(
                    rng.choice([0.7, 1.4]), 0.1 * (1 + index), rng.choice([1.0, 5.0]), 1, rng.choice([300, 400])
                ),
                **{"recipe": RECIPE, **fields},
            )
            for index in range(number)
        ]

    return make


def evaluator_of(*tasks, engine="vectorized", **fields):
    return Evaluator({task.name: task for task in tasks}, engine, **fields)


def assert_equal_results(together: TrialResult, alone: TrialResult, tolerance: float = 1e-9) -> None:
    names = ("status", "steps", "parameters", "hidden_size", "metric", "error", "cause")
    assert [getattr(together, name) for name in names] == [getattr(alone, name) for name in names]
    assert together.value == (None if alone.value is None else pytest.approx(alone.value, rel=tolerance))
    assert_curves_agree(together, alone, tolerance)


def assert_curves_agree(together: TrialResult, alone: TrialResult, tolerance: float = 1e-9) -> None:
    assert len(together.curve) == len(alone.curve)
    for mine, other in zip(together.curve, alone.curve, strict=True):
        assert mine == pytest.approx(other, rel=tolerance)


# which


def test_engines_that_train_one_model_group_nothing(recall_task, make_trials):
    trials = make_trials(3)
    assert evaluator_of(recall_task, engine="interpreter").group(trials) == [(trial,) for trial in trials]


def test_trials_of_one_kind_are_together_whatever_their_settings(recall_task, make_trials):
    trials = make_trials(6)
    assert evaluator_of(recall_task, populations=EVERY_WIDTH).group(trials) == [tuple(trials)]


@pytest.mark.parametrize(
    "fields",
    [
        {"cell": "c_other"},
        {"max_steps": 13},
        {"root_seed": 2},
        {"recipe": replace(RECIPE, patience=9)},
        {"setting": Setting(1.0, 0.5, 5.0, 2, 500)},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_trials_of_other_kinds_are_apart(recall_task, make_trials, fields):
    trials = make_trials(4)
    others = [replace(trial, **fields, replicate=number) for number, trial in enumerate(trials[:2])]
    mixed = [trials[0], others[0], trials[1], others[1], *trials[2:]]
    assert evaluator_of(recall_task, populations=EVERY_WIDTH).group(mixed) == [tuple(trials), tuple(others)]


def test_replicates_are_together(recall_task, make_trials):
    trials = [replace(trial, replicate=number) for number, trial in enumerate(make_trials(4))]
    assert evaluator_of(recall_task, populations=EVERY_WIDTH).group(trials) == [tuple(trials)]


@pytest.mark.parametrize(
    ("padding", "unit_multiple", "expected"),
    [
        (1.0, 1, [{10}, {11}, {14}, {20}]),
        (1.25, 1, [{10, 11}, {14}, {20}]),
        (2.0, 1, [{10, 11, 14, 20}]),
        (1.0, 4, [{10, 11}, {14}, {20}]),
        (1.2, 8, [{10, 11, 14}, {20}]),
    ],
)
def test_widths_near_each_other_are_together(recall_task, make_trial, padding, unit_multiple, expected):
    widths, trials = (10, 11, 14, 20), []
    for width in widths:
        budget = model_parameters(zoo_cell("gru").structure, recall_task.interface, width, 1)
        trials.append(make_trial(recall_task, setting=Setting(1.0, 0.5, 5.0, 1, budget)))
    groups = group_trials(trials, {"recall": recall_task}, Populations(padding=padding), unit_multiple)
    assert [{widths[trials.index(trial)] for trial in group} for group in groups] == expected


def test_a_cell_whose_padding_would_overflow_is_trained_with_its_own_width_only(recall_task, make_trial):
    cell = CellGraph.from_equations("h' = h + h + 1 + linear(x)")
    trials = [
        make_trial(recall_task, graph=cell, cell="c_wild", setting=Setting(1.0, 0.5, 5.0, 1, budget), replicate=number)
        for number, budget in enumerate((300, 400, 300))
    ]
    groups = group_trials(trials, {"recall": recall_task}, EVERY_WIDTH, 32)
    assert groups == [(trials[0], trials[2]), (trials[1],)]


def test_members_are_as_many_as_allowed(recall_task, make_trials):
    trials = make_trials(7)
    few = evaluator_of(recall_task, populations=replace(EVERY_WIDTH, members=3)).group(trials)
    assert [len(group) for group in few] == [3, 3, 1]
    assert list(itertools.chain(*few)) == trials
    little = evaluator_of(recall_task, populations=replace(EVERY_WIDTH, memory_mb=1)).group(make_trials(100))
    assert 1 < len(little[0]) < 100


def test_dropout_and_what_is_too_large_is_trained_alone(recall_task, make_trials):
    trials = make_trials(3, recipe=replace(RECIPE, dropout=0.1))
    trials += make_trials(2)
    trials += [replace(trial, setting=replace(trial.setting, max_parameters=3)) for trial in make_trials(1)]
    groups = evaluator_of(recall_task, populations=EVERY_WIDTH).group(trials)
    assert [len(group) for group in groups] == [1, 1, 1, 2, 1]


# results


@pytest.mark.parametrize("cell", ["gru", "lstm", "mut1"])
def test_results_are_those_of_training_alone(recall_task, make_trials, cell):
    task = replace(recall_task, scored_share=0.6, starts_every=3)
    trials = make_trials(5, task, graph=zoo_cell(cell), max_steps=10)
    trials = [replace(trial, replicate=number % 2) for number, trial in enumerate(trials)]
    together = evaluator_of(task, populations=EVERY_WIDTH).evaluate_together(trials)
    alone = [evaluator_of(task, engine="interpreter").evaluate(trial) for trial in trials]
    assert len({result.hidden_size for result in together}) == 2
    for mine, other in zip(together, alone, strict=True):
        assert_equal_results(mine, other)
        assert mine.environment["engine"] == "vectorized"
        assert mine.seconds > 0
        assert 0 < mine.step_seconds < mine.seconds


def test_a_population_of_one_is_a_trial(recall_task, make_trials):
    [trial] = make_trials(1)
    evaluator = evaluator_of(recall_task)
    assert_equal_results(evaluator.evaluate(trial), evaluator_of(recall_task, engine="interpreter").evaluate(trial))


def test_what_cannot_be_vectorized_is_trained_all_the_same(recall_task, make_trials):
    trials = [
        *make_trials(2, recipe=replace(RECIPE, dropout=0.2)),
        *(replace(trial, setting=replace(trial.setting, max_parameters=3)) for trial in make_trials(1)),
    ]
    together = evaluator_of(recall_task).evaluate_together(trials)
    alone = [evaluator_of(recall_task, engine="interpreter").evaluate(trial) for trial in trials]
    assert [result.status for result in together] == ["ok", "ok", "failed"]
    for mine, other in zip(together, alone, strict=True):
        assert_equal_results(mine, other)


def test_divergence_is_the_members_own(recall_task, make_trials):
    trials = make_trials(4)
    trials[1] = replace(trials[1], setting=replace(trials[1].setting, learning_rate=1e6, max_gradient_norm=1e9))
    together = evaluator_of(recall_task, populations=EVERY_WIDTH).evaluate_together(trials)
    alone = [evaluator_of(recall_task, engine="interpreter").evaluate(trial) for trial in trials]
    assert [result.status for result in together] == ["ok", "diverged", "ok", "ok"]
    for number in (0, 2, 3):
        assert_equal_results(together[number], alone[number])
    assert (together[1].steps, together[1].curve) == (alone[1].steps, alone[1].curve)
    assert together[1].error.rpartition(" ")[0] == alone[1].error.rpartition(" ")[0]


@pytest.mark.parametrize(
    "refusal",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
    ],
    ids=["torch", "python", "torch on a processor", "cublas"],
)
def test_a_population_that_memory_is_refused_to_is_halved(recall_task, make_trials, monkeypatch, refusal):
    trials = make_trials(7)
    sizes = []
    whole = evaluator_of(recall_task, populations=EVERY_WIDTH).evaluate_together(trials)
    run = PopulationTrainer.run

    def refuse_many(trainer, *arguments):
        sizes.append(len(trainer.reports))
        if len(trainer.reports) > 2:
            raise refusal
        run(trainer, *arguments)

    monkeypatch.setattr(PopulationTrainer, "run", refuse_many)
    halved = evaluator_of(recall_task, populations=EVERY_WIDTH).evaluate_together(trials)
    assert sizes == [7, 3, 1, 2, 4, 2, 2]
    for mine, other in zip(halved, whole, strict=True):
        assert_equal_results(mine, other, 1e-9)


def test_a_member_that_memory_is_refused_to_when_it_is_alone_has_that_status(recall_task, make_trials, monkeypatch):
    def refuse(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(PopulationTrainer, "run", refuse)
    results = evaluator_of(recall_task, populations=EVERY_WIDTH).evaluate_together(make_trials(3))
    assert [(result.status, result.value) for result in results] == [("out_of_memory", None)] * 3
    assert results[0].cause == {"exception": "OutOfMemoryError"}


@pytest.mark.parametrize(
    ("failure", "status"), [(IndexError("not good"), "failed"), (MemoryError("none left"), "out_of_memory")]
)
def test_what_fails_alone_has_come_as_far_as_a_single_trial(recall_task, make_trials, monkeypatch, failure, status):
    """Seconds, steps and curve up to the failure; in the seconds, a share of what the failed population took too."""

    def fail_at_the_tenth(take):
        def counted(step, *arguments):
            step.num_taken = getattr(step, "num_taken", 0) + 1
            if step.num_taken == 10:
                raise failure
            return take(step, *arguments)

        return counted

    monkeypatch.setattr(PopulationStep, "take", fail_at_the_tenth(PopulationStep.take))
    monkeypatch.setattr(AutogradStep, "differentiate", fail_at_the_tenth(AutogradStep.differentiate))
    trials = make_trials(2)
    together = evaluator_of(recall_task, populations=EVERY_WIDTH).evaluate_together(trials)
    alone = [evaluator_of(recall_task, engine="interpreter").evaluate(trial) for trial in trials]
    for mine, other in zip(together, alone, strict=True):
        assert (mine.status, mine.value, mine.steps, len(mine.curve)) == (status, None, 10, 2)
        assert (other.status, other.value, other.steps) == (mine.status, mine.value, mine.steps)
        assert_curves_agree(mine, other)
        assert mine.cause == other.cause
        assert mine.environment["population"] == "1"
        assert 10 * mine.step_seconds < mine.seconds
        assert mine.seconds > other.step_seconds


def test_a_failed_populations_time_is_shared_by_its_members(recall_task, make_trials, monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(evaluate_population.time, "perf_counter", lambda: 1000.0 * next(clock))
    run = PopulationTrainer.run

    def fail_together(trainer, *arguments):
        if len(trainer.reports) > 1:
            raise IndexError("not good")
        run(trainer, *arguments)

    monkeypatch.setattr(PopulationTrainer, "run", fail_together)
    trials = make_trials(2)
    [alone] = evaluator_of(recall_task).evaluate_together(trials[:1])
    together = evaluator_of(recall_task, populations=EVERY_WIDTH).evaluate_together(trials)
    assert together[0].seconds >= alone.seconds + 500.0


def test_a_result_tells_how_many_trained_together(recall_task, make_trials):
    results = evaluator_of(recall_task, populations=EVERY_WIDTH).evaluate_together(make_trials(3))
    assert [result.environment["population"] for result in results] == ["3", "3", "3"]
    assert TrialResult.from_record(results[0].to_record()).environment["population"] == "3"
    [alone] = evaluator_of(recall_task, engine="interpreter").evaluate_together(make_trials(1))
    assert "population" not in alone.environment


def test_a_failure_is_sought_member_by_member(recall_task, make_trials, monkeypatch):
    run = PopulationTrainer.run
    trials = make_trials(4)
    bad = trials[2].setting.learning_rate

    def fail_with_one(trainer, *arguments):
        if any(member.setting.learning_rate == bad for member in trainer._members):
            raise IndexError("some 3 is not good")
        run(trainer, *arguments)

    monkeypatch.setattr(PopulationTrainer, "run", fail_with_one)
    results = evaluator_of(recall_task, populations=EVERY_WIDTH).evaluate_together(trials)
    assert [result.status for result in results] == ["ok", "ok", "failed", "ok"]
    assert results[2].error.startswith("IndexError: some 3 is not good (in fail_with_one")


def test_streams_that_cannot_be_read_side_by_side_are_trained_apart(make_trials):
    """Pieces whose states are carried on have other lengths in each stream."""
    task = RaggedTask("recall", max_length=20)
    trials = [replace(trial, replicate=number % 2) for number, trial in enumerate(make_trials(4, task))]
    together = evaluator_of(task, populations=EVERY_WIDTH).evaluate_together(trials)
    alone = [evaluator_of(task, engine="interpreter").evaluate(trial) for trial in trials]
    for mine, other in zip(together, alone, strict=True):
        assert_equal_results(mine, other)


def test_a_time_limit_is_every_members(recall_task, make_trials, monkeypatch):
    def be_late(trainer, *_):
        trainer.reports[0].has_ended = True
        raise TimeLimitError("too late")

    monkeypatch.setattr(PopulationTrainer, "run", be_late)
    results = evaluator_of(recall_task, populations=EVERY_WIDTH, time_limit_seconds=5.0).evaluate_together(
        make_trials(3)
    )
    assert [result.status for result in results] == ["ok", "time_limit", "time_limit"]
    assert results[1].cause == {"limit_seconds": 5.0}
    assert results[1].error == "the trial took longer than its limit of 5 s"


def test_members_share_the_sum_of_their_limits(recall_task, make_trials, monkeypatch):
    limits = []

    class Noted(evaluate_population.Deadline):
        def __init__(self, limit_seconds=None):
            limits.append(limit_seconds)
            super().__init__(limit_seconds)

    monkeypatch.setattr(evaluate_population, "Deadline", Noted)
    evaluator_of(recall_task, populations=EVERY_WIDTH, time_limit_seconds=50.0).evaluate_together(make_trials(3))
    assert limits == [150.0]


def test_a_users_mistake_is_no_result(recall_task, make_trials):
    with pytest.raises(ConfigError, match="is not known here"):
        evaluator_of(recall_task).evaluate_together([replace(trial, task="other") for trial in make_trials(2)])


# models


def test_models_and_their_test_values_are_those_of_training_alone(recall_task, make_trials):
    trials = make_trials(4)
    together = evaluator_of(recall_task, populations=EVERY_WIDTH).evaluate_together_keeping_models(trials)
    for trial, mine in zip(trials, together, strict=True):
        other = evaluator_of(recall_task, engine="interpreter").evaluate_keeping_model(trial)
        assert mine.test_values == pytest.approx(other.test_values, rel=1e-9)
        for (name, weight), expected in zip(mine.model.named_parameters(), other.model.parameters(), strict=True):
            torch.testing.assert_close(weight, expected, rtol=1e-9, atol=1e-12, msg=name)


def test_held_out_trials_are_groups_of_their_own(recall_task, make_trials):
    trials = [replace(trial, replicate=number % 2) for number, trial in enumerate(make_trials(4))]
    held_out = HeldOutEvaluator(evaluator_of(recall_task, populations=EVERY_WIDTH), first_replicate=1)
    groups = held_out.group(trials)
    assert groups == [(trials[0], trials[2]), (trials[1], trials[3])]
    searched, confirmed = (held_out.evaluate_together(group) for group in groups)
    assert [result.test_value for result in searched] == [None, None]
    alone = HeldOutEvaluator(evaluator_of(recall_task, engine="interpreter"), first_replicate=1)
    for trial, mine in zip(groups[1], confirmed, strict=True):
        assert mine.test_value == pytest.approx(alone.evaluate(trial).test_value, rel=1e-9)


def test_progress_is_told(recall_task, make_trials):
    points = []
    [trial] = make_trials(1)
    evaluation = evaluator_of(recall_task).evaluate_keeping_model(trial, points.append)
    assert [(point.step, point.loss, point.value) for point in points] == list(evaluation.result.curve)
