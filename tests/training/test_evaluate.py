"""From trial to result."""

import itertools
import pickle
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from shared_populations import RaggedTask

from archsearch.compiler.native.build import CompilerLostError
from archsearch.errors import ConfigError, EngineError
from archsearch.graph.catalog import zoo_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.run.trial_worker import here
from archsearch.run.unit import metric_name
from archsearch.tasks.memorization import Memorization
from archsearch.training import trainer as trainer_module
from archsearch.training.evaluate import Evaluator, HeldOutEvaluator
from archsearch.training.measurement import MAX_NATS, measure, measure_means, metric_value
from archsearch.training.minibatch import Minibatch
from archsearch.training.model import SequenceModel
from archsearch.training.stops import Deadline, DivergedError
from archsearch.training.trainer import Trainer
from archsearch.training.trial_seeds import data_seed, weights_seed
from archsearch.trials.interface import Interface
from archsearch.trials.metric import ACCURACY, MAE, NLL, PERPLEXITY
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Recipe, TrialResult


@pytest.fixture
def evaluator(recall_task) -> Evaluator:
    return Evaluator({"recall": recall_task})


def fail_with(monkeypatch, error: BaseException) -> None:
    def forward(*_):
        raise error

    monkeypatch.setattr(SequenceModel, "forward", forward)


def test_result_of_a_trial(evaluator, recall_task, make_trial):
    """R24: the true number of parameters is in the result."""
    result = evaluator.evaluate(make_trial(recall_task, max_steps=10))
    assert (result.status, result.steps, result.error) == ("ok", 10, "")
    assert [step for step, _, _ in result.curve] == [4, 8, 10]
    assert result.value == max(accuracy for _, _, accuracy in result.curve)
    model = SequenceModel(zoo_cell("gru"), Interface.of_symbols(3), result.hidden_size)
    assert result.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert abs(result.parameters - 500) < 100
    assert set(result.environment) == {"engine", "threads", "cpu", "python", "torch", "archsearch"}
    assert result.seconds > 0
    assert TrialResult.from_record(result.to_record()) == result


def test_test_data_are_scored_for_some_replicates_only(evaluator, recall_task, make_trial):
    held_out = HeldOutEvaluator(evaluator, first_replicate=5)
    searched, confirmed = (held_out.evaluate(make_trial(recall_task, replicate=number)) for number in (4, 5))
    assert searched.test_value is None
    expected = evaluator.evaluate_keeping_model(make_trial(recall_task, replicate=5))
    assert confirmed.test_value == expected.test_value is not None
    assert replace(confirmed, test_value=None, seconds=0) == replace(expected.result, seconds=0)


def test_records_hold_a_test_value_only_where_there_is_one():
    assert {"test_value", "step_seconds"}.isdisjoint(TrialResult("ok", 0.5).to_record())
    assert TrialResult.from_record(TrialResult("ok", 0.5, step_seconds=0.2).to_record()).step_seconds == 0.2
    result = TrialResult("ok", 0.5, test_value=0.4)
    assert TrialResult.from_record(result.to_record()) == result


def test_a_prediction_that_is_not_finite_on_test_data_is_the_cells_failure(
    evaluator, recall_task, make_trial, monkeypatch
):
    splits = []

    def held_out(self, split, *sizes):
        splits.append(split)
        return iter(original(self, split, *sizes))

    def measure_validation_only(*arguments):
        if splits[-1] == "test":
            raise DivergedError("a prediction on held-out data is not finite")
        return measure_means(*arguments)

    original = type(recall_task).held_out
    monkeypatch.setattr(type(recall_task), "held_out", held_out)
    monkeypatch.setattr("archsearch.training.evaluate.measure_means", measure_validation_only)
    evaluation = evaluator.evaluate_keeping_model(make_trial(recall_task))
    assert evaluation.result.status == "ok"
    assert evaluation.test_value is None


def test_a_perplexity_beyond_all_bounds_on_test_data_takes_no_other_metric_with_it(
    evaluator, recall_task, make_trial, monkeypatch
):
    def overflowing(*arguments):
        return tuple(800.0 if metric in (NLL, PERPLEXITY) else 0.5 for metric in arguments[2])

    monkeypatch.setattr("archsearch.training.evaluate.measure_means", overflowing)
    evaluation = evaluator.evaluate_keeping_model(make_trial(recall_task))
    assert evaluation.test_value == 0.5
    assert set(evaluation.test_values) == {"accuracy", "nll", "bits"}


def test_every_metric_that_is_within_its_bounds_can_be_kept():
    value = metric_value(PERPLEXITY, MAX_NATS)
    assert TrialResult.from_record(TrialResult("ok", value).to_record()).value == value


def test_an_evaluator_of_test_data_says_what_the_other_says(evaluator, recall_task):
    held_out = HeldOutEvaluator(evaluator, first_replicate=5)
    errors = Evaluator({"numbers": RaggedTask("numbers", loss="squared_error", measured=MAE)})
    assert metric_name(HeldOutEvaluator(errors, first_replicate=5), "numbers") == MAE.name
    assert here(held_out) == here(evaluator) != {}


def test_an_evaluator_says_what_other_machines_must_have_in_common(evaluator, recall_task, monkeypatch):
    described = evaluator.describe()
    assert set(described) == {"engine", "python", "torch", "archsearch", "task recall"}
    assert described["task recall"] == recall_task.digest
    assert Evaluator({"recall": replace(recall_task, epoch=5)}).describe()["task recall"] != recall_task.digest

    def refuse(_name):
        raise ConfigError("no compiler here")

    monkeypatch.setattr("archsearch.training.evaluate.choose_engine", refuse)
    with pytest.raises(ConfigError, match="no compiler here"):
        evaluator.describe()


def test_same_trial_same_bits(evaluator, recall_task, make_trial):
    trial = make_trial(recall_task)
    random_state = torch.get_rng_state()
    first = evaluator.evaluate(trial)
    torch.rand(3)
    again = pickle.loads(pickle.dumps(evaluator)).evaluate(trial)  # noqa: S301 - our own bytes, as Ray sends them
    assert replace(again, seconds=first.seconds) == first
    torch.set_rng_state(random_state)
    evaluator.evaluate(trial)
    assert torch.equal(torch.get_rng_state(), random_state)


SCRIPT = """
import torch
from archsearch.graph.catalog import zoo_cell
from archsearch.tasks.memorization import Memorization
from archsearch.training.evaluate import Evaluator
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Recipe, Trial

torch.set_num_threads(1)
task = Memorization("memorization", epoch=5, validation_problems=40)
trial = Trial("c_gru", zoo_cell("gru"), task.name, task.digest, Recipe(), Setting(1, 1, 5, 2, 9_000), 0, 10, 1)
evaluation = Evaluator({task.name: task}).evaluate_keeping_model(trial)
weights = torch.cat([parameter.detach().flatten() for parameter in evaluation.model.parameters()])
print(evaluation.result.curve, evaluation.test_value, weights.double().sum().item().hex(), weights[::97].tolist())
"""


def test_same_trial_same_bits_in_fresh_processes():
    runs = [
        subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    (first, errors), (again, _) = (run.communicate() for run in runs)
    assert "0x" in first, errors
    assert first == again


def test_data_are_shared_by_cells_and_settings_and_weights_by_nobody(recall_task, make_trial):
    trial = make_trial(recall_task)
    others = [
        replace(trial, cell="c_other"),
        replace(trial, setting=replace(trial.setting, learning_rate=1.0)),
        replace(trial, replicate=1),
        replace(trial, root_seed=2),
        replace(trial, task_digest="other"),
    ]
    assert len({weights_seed(other) for other in [trial, *others]}) == 6
    shares_data = [data_seed(other) == data_seed(trial) for other in others]
    assert shares_data == [True, True, False, False, False]
    longer = replace(trial, max_steps=99, graph=zoo_cell("lstm"))
    assert (weights_seed(longer), data_seed(longer)) == (weights_seed(trial), data_seed(trial))


def test_a_longer_trial_begins_like_a_shorter_one(evaluator, recall_task, make_trial):
    short, long = (evaluator.evaluate(make_trial(recall_task, max_steps=steps)) for steps in (8, 16))
    assert long.curve[:2] == short.curve


def test_divergence_is_a_status_and_noticed_at_the_next_step(evaluator, recall_task, make_trial):
    trial = make_trial(recall_task)
    result = evaluator.evaluate(replace(trial, setting=replace(trial.setting, learning_rate=1e30)))
    assert (result.status, result.steps, result.value, result.curve) == ("diverged", 2, None, ())
    assert result.error.startswith("step 2: the loss")


def test_divergence_keeps_the_best_accuracy_before(evaluator, recall_task, make_trial, monkeypatch):
    monkeypatch.setattr(trainer_module, "next_learning_rate", lambda *_: 1e30)
    result = evaluator.evaluate(make_trial(recall_task))
    assert (result.status, result.steps, len(result.curve)) == ("diverged", 6, 1)
    assert result.value == result.curve[0][2]


def test_a_cell_that_grows_without_bound_diverges(evaluator, recall_task, make_trial):
    """R27: its carried state is 3^6 times as large after each minibatch."""
    cell = CellGraph.from_equations("h' = linear(x) + linear(h, diagonal=3)")
    trial = make_trial(recall_task, graph=cell, cell="c_explosive", max_steps=1_000)
    result = evaluator.evaluate(trial)
    assert result.status == "diverged"
    assert result.steps < 20


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (ValueError("boom\n  twice"), "failed", "ValueError: boom twice (in forward, test_evaluate.py:"),
        (RuntimeError("boom"), "failed", "RuntimeError: boom (in forward, "),
        (MemoryError("boom"), "out_of_memory", "MemoryError: boom"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out_of_memory", "OutOfMemoryError: CUDA"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out_of_memory", "RuntimeError: Default"),
        (EngineError("cc failed"), "failed", "EngineError: cc failed"),
        (CompilerLostError("cc was killed"), "worker_lost", "CompilerLostError: cc was killed"),  # not the cell's fault
    ],
)
def test_a_cell_that_raises_is_a_status(evaluator, recall_task, make_trial, monkeypatch, error, status, text):
    fail_with(monkeypatch, error)
    result = evaluator.evaluate(make_trial(recall_task))
    assert (result.status, result.value) == (status, None)
    assert result.error.startswith(text)
    assert result.cause == {"exception": text.partition(":")[0]}
    assert "\n" not in result.error
    assert result.hidden_size > 0


def test_torch_out_of_memory_is_recognized(evaluator, recall_task, make_trial, monkeypatch):
    monkeypatch.setattr(SequenceModel, "forward", lambda *_: torch.empty(2**58))
    assert evaluator.evaluate(make_trial(recall_task)).status == "out_of_memory"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ConfigError("the user's")])
def test_what_is_not_the_cells_failure_passes(evaluator, recall_task, make_trial, monkeypatch, error):
    fail_with(monkeypatch, error)
    with pytest.raises(type(error)):
        evaluator.evaluate(make_trial(recall_task))


def test_a_failure_after_some_epochs_has_no_accuracy(evaluator, recall_task, make_trial, monkeypatch):
    step = Trainer.step

    def break_at_the_seventh(self):
        step(self)
        if self.steps == 7:
            raise ValueError("late")

    monkeypatch.setattr(Trainer, "step", break_at_the_seventh)
    result = evaluator.evaluate(make_trial(recall_task))
    assert (result.status, result.value, len(result.curve), result.steps) == ("failed", None, 1, 7)


def test_a_trial_beyond_its_time_is_a_status_without_accuracy(recall_task, make_trial, monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    result = Evaluator({"recall": recall_task}, time_limit_seconds=12).evaluate(make_trial(recall_task))
    assert (result.status, result.value) == ("time_limit", None)
    assert result.steps > 4
    assert "limit of 12 s" in result.error
    assert result.cause == {"limit_seconds": 12}


def test_unknown_and_altered_tasks_and_engines_are_the_users_mistake(evaluator, recall_task, make_trial):
    with pytest.raises(ConfigError, match=r"task 'other' is not known here\. Expected one of: recall"):
        evaluator.evaluate(replace(make_trial(recall_task), task="other"))
    with pytest.raises(ConfigError, match=r"task 'recall' has digest .* restore them or start a new run"):
        evaluator.evaluate(make_trial(replace(recall_task, epoch=5)))
    with pytest.raises(ConfigError, match="engine 'warp'"):
        Evaluator({"recall": recall_task}, engine="warp")


def test_a_cell_too_large_for_the_budget_fails_and_does_not_end_a_search(evaluator, recall_task, make_trial, setting):
    result = evaluator.evaluate(make_trial(recall_task, setting=replace(setting, max_parameters=3)))
    assert (result.status, result.value) == ("failed", None)
    assert "max_parameters is 3" in result.error


def test_denormals_are_flushed_in_a_trial_only(evaluator, recall_task, make_trial, monkeypatch):
    tiny, seen = torch.tensor(1e-30), []
    forward = SequenceModel.forward

    def spy(self, inputs, state=None, positions=None):
        seen.append(float(tiny * 1e-10))
        return forward(self, inputs, state, positions)

    monkeypatch.setattr(SequenceModel, "forward", spy)
    evaluator.evaluate(make_trial(recall_task, max_steps=1))
    assert set(seen) == {0.0}
    assert float(tiny * 1e-10) > 0


def test_kept_model_is_the_one_of_the_best_validation(evaluator, recall_task, make_trial):
    trial = make_trial(recall_task, max_steps=40)
    points = []
    evaluation = evaluator.evaluate_keeping_model(trial, points.append)
    result = evaluator.evaluate(trial)
    assert replace(evaluation.result, seconds=result.seconds) == result
    assert [(point.step, point.loss, point.value) for point in points] == list(result.curve)

    def accuracy(split: str) -> float:
        batches = recall_task.held_out(split, 4, 6)
        return measure(evaluation.model, map(Minibatch.from_batch, batches), (ACCURACY,), Deadline())[0]

    assert accuracy("validation") == result.value
    assert accuracy("test") == evaluation.test_value


def test_a_failed_trial_keeps_no_model(evaluator, recall_task, make_trial, monkeypatch):
    fail_with(monkeypatch, ValueError("boom"))
    evaluation = evaluator.evaluate_keeping_model(make_trial(recall_task))
    assert (evaluation.result.status, evaluation.model, evaluation.test_value) == ("failed", None, None)


def test_gru_learns_to_memorize(make_trial):
    """R6, R33: three symbols of six, above 95 % on problems it has not seen."""
    task = Memorization("memorization", num_symbols=3, num_letters=6, validation_problems=200)
    trial = make_trial(task, recipe=Recipe(), setting=Setting(1.0, 1.0, 5.0, 1, 5_000), max_steps=300)
    assert Evaluator({task.name: task}).evaluate(trial).value > 0.95


def test_recall_over_the_border_of_minibatches_needs_the_carried_state(evaluator, recall_task, make_trial):
    """R27: with one step per minibatch, the symbol before is known from the state alone."""
    task = replace(recall_task, epoch=100, num_held_out=50)
    trial = make_trial(
        task,
        graph=CellGraph.from_equations("m' = x\nh' = tanh(linear(x) + linear(m))"),
        recipe=Recipe(batch_size=20, unroll=1),
        max_steps=300,
    )
    assert Evaluator({"recall": task}).evaluate(trial).value > 0.95
