"""Trials that differ in nothing but their maximal steps: what one tells about the other, and how one goes on."""

import itertools
import os
from dataclasses import replace

import pytest
import torch
from shared_simulation import SilentObserver

from archsearch.compiler.native.compiled import check_native
from archsearch.errors import EngineError
from archsearch.graph.catalog import zoo_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.run.driver import drive, without_curve
from archsearch.run.executor import SerialExecutor
from archsearch.run.journal import Journal
from archsearch.tasks.adding import Adding
from archsearch.training import trainer
from archsearch.training.checkpoint_cache import CheckpointCache
from archsearch.training.evaluate import Evaluator
from archsearch.training.recorded_data import forget_recordings
from archsearch.training.training_state import TrainingState
from archsearch.trials.lengths import key_around_steps, result_for_length
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Recipe, TrialResult

RECIPE = Recipe(batch_size=4, unroll=6, patience=2, num_halvings=1)


def engines() -> list[str]:
    try:
        check_native()
    except EngineError:
        return ["interpreter"]
    return ["interpreter", "native"]


def without_clock(result: TrialResult) -> TrialResult:
    return replace(result, seconds=0.0)


@pytest.fixture
def task(recall_task):
    """Epochs of 4 steps; the states of a minibatch matter in the next one."""
    return replace(recall_task, delay=3, scored_share=0.8)


@pytest.fixture(params=["learns", "ends by its schedule", "diverges"])
def make(request, make_trial, task):
    """Returns a function from maximal steps to a trial that goes as the parameter says, within 30 steps."""
    settings = {
        "learns": Setting(1.0, 0.5, 5.0, 1, 500),
        "ends by its schedule": Setting(0.01, 1e-6, 5.0, 1, 500),
        "diverges": Setting(0.5, 3.0, 1e9, 1, 500),
    }
    recipe = replace(RECIPE, patience=100) if request.param == "learns" else RECIPE
    graph = zoo_cell("gru")
    if request.param == "diverges":
        graph = CellGraph.from_equations("h' = linear(x, h) * linear(h, x)")
    return lambda max_steps: make_trial(
        task, graph=graph, cell=graph.digest, setting=settings[request.param], recipe=recipe, max_steps=max_steps
    )


def test_what_is_told_is_what_training_gives(make, task):
    """Every pair of lengths: bit for bit, and told wherever the validation points coincide."""
    evaluator = Evaluator({task.name: task})
    trained = {steps: evaluator.evaluate(make(steps)) for steps in range(1, 31)}
    told = set()
    for asked, recorded in itertools.permutations(trained, 2):
        result = result_for_length(asked, recorded, trained[recorded])
        if result is not None:
            assert result == without_clock(trained[asked]), (asked, recorded)
            assert result.seconds == 0
            told.add((asked, recorded))
    end = trained[30].steps
    expected = {
        (asked, recorded)
        for asked, recorded in itertools.permutations(trained, 2)
        if (end < recorded and asked >= end) or (asked < min(end, recorded) and asked % task.epoch == 0)
    }
    assert told >= expected
    assert expected
    assert trained[30].curve, "divergence at once would show little"


@pytest.mark.parametrize("status", ["failed", "out_of_memory", "time_limit", "worker_lost"])
def test_what_the_machine_did_tells_nothing(status):
    recorded = TrialResult(status, None, curve=((4, 1.0, 0.5), (8, 1.0, 0.6)), steps=9)
    assert result_for_length(4, 20, recorded) is None
    assert result_for_length(30, 20, recorded) is None


def test_a_result_without_steps_tells_nothing():
    assert result_for_length(4, 20, TrialResult("ok", 0.5)) is None
    assert result_for_length(30, 20, TrialResult("diverged", None)) is None


def test_a_point_that_only_the_end_brought_tells_nothing_of_longer_trials():
    recorded = TrialResult("ok", 0.9, curve=((4, 1.0, 0.5), (6, 1.0, 0.9)), steps=6)
    assert result_for_length(8, 6, recorded) is None
    assert result_for_length(5, 6, recorded) is None
    shorter = result_for_length(4, 6, recorded)
    assert shorter is not None
    assert (shorter.value, shorter.steps, shorter.curve) == (0.5, 4, ((4, 1.0, 0.5),))


def test_the_key_falls_apart_around_the_steps(make_trial, task):
    trial = make_trial(replace(task, name="odd/steps-12"), max_steps=12)
    before, after = key_around_steps(trial)
    assert f"{before}12{after}" == trial.key
    assert key_around_steps(replace(trial, max_steps=7)) == (before, after)
    assert key_around_steps(replace(trial, replicate=1)) != (before, after)


class Answered:
    """A search that asks for one trial after another."""

    def __init__(self, trials):
        self._left = list(trials)
        self.results = {}

    @property
    def finished(self):
        return not self._left

    def ask(self):
        if not self._left or self._left[0].key in self.results:
            return ()
        asked, self._asked = self._left[0], getattr(self, "_asked", None)
        if asked is self._asked:
            return ()
        self._asked = asked
        return ((0, asked),)

    def tell(self, key, result):
        self.results[key] = result
        self._left.pop(0)

    def take_consumed(self):
        return ()


class Counting:
    """Trains, and remembers the lengths."""

    def __init__(self, evaluator):
        self.trained = []
        self._evaluator = evaluator

    def evaluate(self, trial):
        self.trained.append(trial.max_steps)
        return self._evaluator.evaluate(trial)


def test_the_driver_trains_only_what_no_other_length_tells(tmp_path, make_trial, task):
    recipe, setting = replace(RECIPE, patience=100), Setting(1.0, 0.5, 5.0, 1, 500)
    trials = [make_trial(task, recipe=recipe, setting=setting, max_steps=steps) for steps in (20, 8, 6, 12, 22)]
    others = [replace(trials[1], replicate=1), replace(trials[1], root_seed=2)]
    counting = Counting(Evaluator({task.name: task}))
    search = Answered([*trials, *others])
    journal = Journal.create(tmp_path / "archsearch.db")
    drive(search, journal, SerialExecutor(counting), SilentObserver(), lambda: None)
    assert counting.trained == [20, 6, 22, 8, 8]
    for trial in trials:
        kept = journal.result(trial.key)
        assert kept is not None
        assert without_clock(kept) == without_clock(Evaluator({task.name: task}).evaluate(trial))
        assert search.results[trial.key] == without_curve(kept)
    journal.close()


# Going on from a checkpoint


@pytest.mark.parametrize("engine", engines())
@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_training_that_goes_on_ends_as_one_that_was_never_ended(tmp_path, make_trial, task, engine, cell, precision):
    """Bit for bit, from ends on and off the epochs' grid, over several rungs, in a process that has the data or not."""
    recipe = replace(RECIPE, patience=3, num_halvings=2, precision=precision)
    graph = zoo_cell(cell)
    trial = make_trial(task, graph=graph, cell=cell, recipe=recipe, setting=Setting(1.4, 0.7, 1.0, 2, 2_000))
    plain = Evaluator({task.name: task}, engine)
    for number, lengths in enumerate([(8, 24), (6, 24), (7, 9, 30), (4, 5, 6, 41)]):
        evaluator = replace(plain, checkpoints=CheckpointCache(tmp_path / str(number)))
        for steps in lengths:
            forget_recordings()
            longer = replace(trial, max_steps=steps)
            result, trainer = evaluator._run(longer)
            expected, uninterrupted = plain._run(longer)
            assert without_clock(result) == without_clock(expected)
            pairs = zip(trainer.model.parameters(), uninterrupted.model.parameters(), strict=True)
            assert all(torch.equal(*pair) for pair in pairs)


def test_going_on_saves_the_steps_that_were_taken(tmp_path, make_trial, task, monkeypatch):
    taken = []
    from archsearch.training.trainer import Trainer

    step = Trainer.step
    monkeypatch.setattr(Trainer, "step", lambda trainer: (taken.append(1), step(trainer))[1])
    evaluator = Evaluator({task.name: task}, checkpoints=CheckpointCache(tmp_path))
    trial = make_trial(task, recipe=replace(RECIPE, patience=100))
    evaluator.evaluate(replace(trial, max_steps=8))
    evaluator.evaluate(replace(trial, max_steps=20))
    assert len(taken) == 20


def test_a_training_that_its_schedule_ended_at_the_last_step_does_not_go_on(tmp_path, make, task):
    evaluator = Evaluator({task.name: task}, checkpoints=CheckpointCache(tmp_path))
    end = Evaluator({task.name: task}).evaluate(make(200)).steps
    evaluator.evaluate(make(end))
    assert without_clock(evaluator.evaluate(make(200))) == without_clock(
        Evaluator({task.name: task}).evaluate(make(200))
    )


def test_the_first_step_after_a_break_is_not_taken_for_the_first_of_all(tmp_path, make_trial, monkeypatch):
    """Where a loss has no natural bound, that of the first step sets it."""
    monkeypatch.setattr(trainer, "MAX_LOSS_FACTOR", 1.3)
    task = Adding("adding", epoch=4, length=10)
    recipe = replace(RECIPE, batch_size=20, patience=100)
    short, long = (
        make_trial(task, setting=Setting(1.0, 0.05, 1.0, 1, 500), recipe=recipe, max_steps=steps) for steps in (30, 80)
    )
    expected = without_clock(Evaluator({task.name: task}).evaluate(long))
    evaluator = Evaluator({task.name: task}, checkpoints=CheckpointCache(tmp_path))
    evaluator.evaluate(short)
    assert without_clock(evaluator.evaluate(long)) == expected
    assert (expected.status, expected.steps) == ("ok", 80), "divergence at once would show little"


def test_a_checkpoint_that_is_lost_damaged_or_of_elsewhere_does_no_harm(tmp_path, make_trial, task, monkeypatch):
    cache = CheckpointCache(tmp_path / "cache")
    evaluator = Evaluator({task.name: task}, checkpoints=cache)
    short, long = (make_trial(task, recipe=replace(RECIPE, patience=100), max_steps=steps) for steps in (8, 20))
    expected = without_clock(Evaluator({task.name: task}).evaluate(long))

    def file():
        (path,) = cache.folder.iterdir()
        return path

    evaluator.evaluate(short)
    content = file().read_bytes()
    middle = len(content) // 2
    for damaged in (b"", content[:middle], content[:-4] + b"\0\1\2\3", content[:middle] + b"!" + content[middle + 1 :]):
        file().write_bytes(damaged)
        assert TrainingState.from_file(str(file())) is None
        assert without_clock(evaluator.evaluate(long)) == expected
    evaluator.evaluate(short)
    assert cache.load(long, {"engine": "another"}) is None
    assert cache.load(replace(long, replicate=1), Evaluator({task.name: task}).evaluate(short).environment) is None
    file().unlink()
    assert without_clock(evaluator.evaluate(long)) == expected
    (tmp_path / "taken").write_text("a file where the folder should be")
    unwritable = replace(evaluator, checkpoints=CheckpointCache(tmp_path / "taken"))
    assert without_clock(unwritable.evaluate(long)) == expected


def test_the_folder_stays_within_its_bounds(tmp_path, make_trial, task):
    cache = CheckpointCache(tmp_path, max_bytes=12_000)
    evaluator = Evaluator({task.name: task}, checkpoints=cache)
    for replicate in range(12):
        evaluator.evaluate(make_trial(task, replicate=replicate, max_steps=4))
        for age, path in enumerate(sorted(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns)):
            os.utime(path, ns=(age, age))  # clocks of file systems are coarse
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 12_000
    environment = evaluator.evaluate(make_trial(task, max_steps=4)).environment
    assert cache.load(make_trial(task, replicate=11, max_steps=8), dict(environment)) is not None
    assert cache.load(make_trial(task, replicate=1, max_steps=8), dict(environment)) is None


def test_what_killed_processes_began_to_write_goes(tmp_path, make_trial, task):
    cache, state = CheckpointCache(tmp_path), TrainingState(4, (), 0.0, 0, None, torch.zeros(3), None)
    cache.save(make_trial(task), {}, state)
    (whole,) = tmp_path.iterdir()
    old, young = (tmp_path / f".{whole.name}.{number}" for number in (1, 22))
    for path in (old, young):
        path.write_bytes(b"part of one")
    os.utime(old, (0, 0))
    cache.save(make_trial(task), {}, state)
    assert sorted(tmp_path.iterdir()) == sorted([whole, young])


def test_weights_that_are_wanted_are_trained_from_the_beginning(tmp_path, make_trial, task):
    """Best weights may lie before a checkpoint, which has only the last."""
    evaluator = Evaluator({task.name: task}, checkpoints=CheckpointCache(tmp_path))
    short, long = (make_trial(task, recipe=replace(RECIPE, patience=100), max_steps=steps) for steps in (8, 20))
    evaluator.evaluate(short)
    expected = Evaluator({task.name: task}).evaluate_keeping_model(long)
    kept = evaluator.evaluate_keeping_model(long)
    assert kept.test_value == expected.test_value
    assert without_clock(kept.result) == without_clock(expected.result)
