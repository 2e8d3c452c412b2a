"""What every task of the configuration must keep."""

import dataclasses
import itertools
import pickle
import random
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from shared_slow_ngrams import slow_ngram_accuracy

import archsearch.tasks.memorization as memorization_module
import archsearch.trials.streams as streams_module
from archsearch.errors import ConfigError
from archsearch.seeds import scalar_generator
from archsearch.trials.metric import metrics_of
from archsearch.trials.problems import split_of
from archsearch.trials.streams import StreamTask
from archsearch.trials.task import Batch, Task

NAMES = sorted(path.stem for path in (Path(__file__).parents[2] / "conf" / "task").glob("*.yaml"))
STREAMS = ("arithmetic", "words", "xml")
GENERATED = ("memorization", *STREAMS)
NEXT_SYMBOL = (*GENERATED, "penn_treebank", "text")
PROBLEMS = ("adding", "copy", "counting", "parity")


def build(name: str, *overrides: str) -> Task:
    with initialize_config_module("archsearch.conf", version_base="1.3"):
        node = compose(overrides=[f"+task={name}", *overrides]).task[name]
    return instantiate({key: value for key, value in node.items() if key != "search"})


@pytest.fixture
def overrides(
    treebank_folder: Path, text_file: Path, series_file: Path, labelled_file: Path, music_folder: Path
) -> dict[str, list[str]]:
    """What has to be typed for the tasks whose data are files."""
    places = {
        "penn_treebank": treebank_folder,
        "text": text_file,
        "series": series_file,
        "labelled": labelled_file,
        "music": music_folder,
    }
    typed = {name: [f"task.{name}.path={place}"] for name, place in places.items()}
    typed["series"] += ["task.series.time=time", "task.series.window=12", "task.series.horizon=2"]
    return typed


@pytest.fixture(params=NAMES)
def any_task(request: pytest.FixtureRequest, overrides: dict[str, list[str]]) -> Task:
    """Every task with a yaml, as it is configured."""
    return build(request.param, *overrides.get(request.param, []))


@pytest.fixture(params=NEXT_SYMBOL)
def task(request: pytest.FixtureRequest, overrides: dict[str, list[str]]) -> Task:
    """Every task that asks for the next symbol."""
    return build(request.param, *overrides.get(request.param, []))


def take(batches, count: int) -> list[Batch]:
    return list(itertools.islice(batches, count))


def same(some: list[Batch], others: list[Batch]) -> bool:
    return len(some) == len(others) and all(
        a.starts == b.starts
        and all(np.array_equal(getattr(a, f), getattr(b, f)) for f in ("inputs", "targets", "scored"))
        for a, b in zip(some, others, strict=True)
    )


def test_all_are_configured():
    mine = {"labelled", "music", "series"}
    assert set(NAMES) == {*NEXT_SYMBOL, *PROBLEMS, *mine}


def test_name_is_the_yaml_s(any_task):
    assert any_task.name in NAMES


def test_every_batch_is_what_the_interface_says(any_task):
    """Shapes, types and ranges of what is read and asked for, in training and on held-out data."""
    interface = any_task.interface
    held_out = [batch for split in ("validation", "test") for batch in any_task.held_out(split, 4, 11)]
    for batch in [*take(any_task.training(3, 4, 11), 3), *held_out]:
        shape = batch.scored.shape
        assert batch.scored.dtype == np.bool_
        if interface.num_symbols:
            assert (batch.inputs.shape, batch.inputs.dtype) == (shape, np.int64)
            assert 0 <= batch.inputs.min() <= batch.inputs.max() < interface.num_symbols
        else:
            assert (batch.inputs.shape, batch.inputs.dtype) == ((*shape, interface.input_size), np.float32)
            assert np.isfinite(batch.inputs).all()
        if interface.loss == "cross_entropy":
            assert (batch.targets.shape, batch.targets.dtype) == (shape, np.int64)
            assert 0 <= batch.targets.min() <= batch.targets.max() < interface.output_size
        else:
            assert (batch.targets.shape, batch.targets.dtype) == ((*shape, interface.output_size), np.float32)
            assert np.isfinite(batch.targets[batch.scored]).all()
        if interface.loss == "binary_cross_entropy":
            assert set(np.unique(batch.targets)) <= {0.0, 1.0}
    assert all(any(batch.scored.any() for batch in any_task.held_out(split, 4, 11)) for split in ("validation", "test"))
    assert any_task.metric in metrics_of(interface.loss)
    assert held_out[0].starts
    assert next(any_task.training(3, 4, 11)).starts
    assert any_task.epoch_steps(4, 11) >= 1


def test_every_task_gives_the_same_data_again(any_task):
    copy = pickle.loads(pickle.dumps(any_task))  # noqa: S301 - our own bytes
    assert (copy, copy.digest) == (any_task, any_task.digest)
    assert same(take(copy.training(3, 4, 11), 4), take(any_task.training(3, 4, 11), 4))
    for split in ("validation", "test"):
        assert same(list(copy.held_out(split, 4, 11)), list(any_task.held_out(split, 4, 11)))


def test_a_flag_is_what_is_typed_and_the_same_task_however_it_is_typed(any_task):
    """Hydra hands `no` on as text, and a text is true."""
    for field in (field.name for field in dataclasses.fields(any_task) if field.type in (bool, "bool")):
        for is_set, words in ((False, ("no", "off", "false")), (True, ("yes", "on", "true"))):
            plain = dataclasses.replace(any_task, **{field: is_set})
            for word in words:
                typed = dataclasses.replace(any_task, **{field: word})
                assert getattr(typed, field) is is_set
                assert typed.digest == plain.digest
        for wrong in ("maybe", 1, None):
            with pytest.raises(ConfigError, match=rf"task {any_task.name}, {field}: expected yes or no, got "):
                dataclasses.replace(any_task, **{field: wrong})


@pytest.mark.parametrize("name", PROBLEMS)
def test_problems_belong_to_one_split(name):
    task = build(name)
    identities = {
        split: {example.identity for example in itertools.islice(task.problems(split, scalar_generator(1)), 200)}
        for split in ("training", "validation", "test")
    }
    for split, some in identities.items():
        assert {split_of(identity) for identity in some} == {split}
    assert sum(map(len, identities.values())) == len(set.union(*identities.values()))


TOO_LARGE = {
    "adding": {"length": 100_001},
    "copy": {"num_symbols": 100_001, "delay": 100_001},
    "counting": {"num_spikes": 50_001, "longest": 20_001},
    "parity": {"min_length": 100_001, "max_length": 100_001},
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_sizes_that_would_fill_the_memory_are_refused_before_anything_is_drawn(name, monkeypatch):
    task = build(name)
    monkeypatch.delattr(type(task), "draw")
    sizes = {"epoch": 1_000_000_001, "validation_problems": 10_000_001, "test_problems": 10_000_001}
    for field, value in {**sizes, **TOO_LARGE[name]}.items():
        with pytest.raises(
            ConfigError, match=rf"^task {name}, {field}: expected an integer from \d+ to \d+, got {value}"
        ):
            dataclasses.replace(task, **{field: value})


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_blind_guess_scores_at_the_stated_chance(name):
    """The mean where numbers are asked for, one class where classes are."""
    task = build(name, f"task.{name}.validation_problems=4000")
    asked = np.concatenate([batch.targets[batch.scored] for batch in task.held_out("validation", 20, 35)])
    if task.interface.loss == "cross_entropy":
        assert float(np.mean(asked == 0)) == pytest.approx(task.chance(), abs=0.02)
        assert task.ceiling() == 1
    else:
        assert float(asked.var()) == pytest.approx(task.chance(), rel=0.06)
        assert task.ceiling() == 0


def test_targets_of_the_small_problems_follow_from_what_is_read():
    rng = random.Random(5)
    for _ in range(20):
        letters = build("copy").draw(rng)
        assert letters.targets[letters.scored].tolist() == letters.inputs[:8].tolist()
        bits = build("parity").draw(rng)
        assert [int(sum(bits.inputs[: t + 1]) % 2) for t in range(len(bits))] == bits.targets.tolist()
        numbers = build("adding").draw(rng)
        assert numbers.targets[-1, 0] == pytest.approx(float((numbers.inputs[:, 0] * numbers.inputs[:, 1]).sum()))
        spikes = build("counting").draw(rng)
        places = np.flatnonzero(spikes.inputs[:, 0])
        assert spikes.targets[spikes.scored, 0] == pytest.approx(np.diff(places) / 10)


def test_several_tasks_with_options_under_their_names():
    with initialize_config_module("archsearch.conf", version_base="1.3"):
        config = compose(overrides=["+task=[arithmetic,xml]", "task.xml.num_letters=4"])
    assert set(config.task) == {"arithmetic", "xml"}
    assert len(instantiate({k: v for k, v in config.task.xml.items() if k != "search"}).symbols) == 7


def test_batches_have_the_promised_shapes_and_types(task):
    batch = next(task.training(3, 6, 7))
    steps = 9 if task.name == "memorization" else 7
    for array, kind in ((batch.inputs, np.int64), (batch.targets, np.int64), (batch.scored, np.bool_)):
        assert array.shape == (steps, 6)
        assert array.dtype == kind
        assert array.flags.c_contiguous
    assert batch.inputs.min() >= 0
    assert max(batch.inputs.max(), batch.targets.max()) < len(task.symbols)
    assert len(set(task.symbols)) == len(task.symbols)


def test_targets_are_the_next_inputs(task):
    """R27: a stream goes on from batch to batch; each position asks for the symbol after it."""
    batches = take(task.training(3, 4, 11), 5)
    for batch in batches:
        assert np.array_equal(batch.targets[:-1], batch.inputs[1:])
    for before, after in itertools.pairwise(batches):
        if not after.starts:
            assert np.array_equal(before.targets[-1], after.inputs[0])


def test_states_are_carried_except_at_the_start(task):
    """R27, R33: only memorization sets the states to zero for each minibatch."""
    starts = [batch.starts for batch in take(task.training(3, 4, 11), 5)]
    assert starts == [True] * 5 if task.name == "memorization" else [True, False, False, False, False]
    held_out = [batch.starts for batch in take(task.held_out("test", 4, 11), 3)]
    assert held_out == starts[:3]


def test_unrolling_cuts_the_same_stream(task):
    if task.name == "memorization":
        pytest.skip("a problem is never cut")
    short, long = ([b.inputs for b in take(task.training(3, 4, unroll), 30 // unroll)] for unroll in (5, 15))
    assert np.array_equal(np.concatenate(short), np.concatenate(long))
    short, long = ([b.targets for b in task.held_out("validation", 4, unroll)] for unroll in (5, 16))
    assert np.array_equal(np.concatenate(short), np.concatenate(long))


@pytest.mark.parametrize("name", STREAMS)
def test_stream_does_not_depend_on_how_many_there_are(name):
    few, many = (next(build(name).training(3, batch_size, 11)).inputs for batch_size in (2, 5))
    assert np.array_equal(few, many[:, :2])


@pytest.mark.parametrize("name", GENERATED)
def test_seed_decides_the_training_data(name):
    task = build(name)
    assert same(take(task.training(3, 4, 11), 5), take(build(name).training(3, 4, 11), 5))
    assert not same(take(task.training(3, 4, 11), 5), take(task.training(4, 4, 11), 5))


def test_held_out_data_are_fixed_and_differ(task):
    """Training first, with whatever seed, changes nothing; nor does the memory of an earlier call."""
    validation = list(task.held_out("validation", 4, 11))
    streams_module._held_out_windows.cache_clear()
    list(itertools.islice(task.training(9, 4, 11), 3))
    assert same(validation, list(task.held_out("validation", 4, 11)))
    assert not same(validation, list(task.held_out("test", 4, 11)))


@pytest.mark.parametrize("name", STREAMS)
def test_held_out_size_counts_positions(name):
    task = dataclasses.replace(build(name), validation_size=300, test_size=130)
    assert sum(batch.inputs.size for batch in task.held_out("validation", 4, 11)) == 300
    assert sum(batch.inputs.size for batch in task.held_out("test", 4, 11)) == 128


@pytest.mark.parametrize("name", STREAMS)
def test_splits_have_no_problem_in_common(name):
    task = build(name)
    assert isinstance(task, StreamTask)
    seen = {
        split: {
            p.identity for seed in (1, 2) for p in itertools.islice(task.problems(split, scalar_generator(seed)), 150)
        }
        for split in ("training", "validation", "test")
    }
    for split, identities in seen.items():
        assert len(identities) > 50
        assert all(split_of(identity) == split for identity in identities)
    assert not seen["training"] & (seen["validation"] | seen["test"])
    assert not seen["validation"] & seen["test"]


def test_trivial_predictor_scores_at_the_stated_chance(task, monkeypatch):
    monkeypatch.setattr(streams_module, "CHANCE_BATCHES", 60)
    monkeypatch.setattr(memorization_module, "CHANCE_BATCHES", 60)
    if isinstance(task, StreamTask):
        seed = streams_module.derive("chance", task.data_name)
        training = take(task.training(seed, 20, 35), 60)
    elif task.name == "memorization":
        training = take(task.training(memorization_module.derive("chance", task.digest), 20, 35), 60)
    elif task.name == "penn_treebank":
        training = take(task.training(0, 20, 1), task.epoch_steps(20, 1))
    else:
        pytest.skip("measures bits; see test_chance.py")
    held_out = list(task.held_out("validation", 20, 35))
    assert task.chance() == pytest.approx(slow_ngram_accuracy(training, held_out), abs=1e-12)


@pytest.mark.parametrize("name", GENERATED)
def test_ceiling_lies_well_above_chance(name, monkeypatch):
    monkeypatch.setattr(streams_module, "CHANCE_BATCHES", 200)
    task = build(name)
    chance, ceiling = task.chance(), task.ceiling()
    assert ceiling is not None
    assert chance + 0.05 < ceiling <= 1


@pytest.mark.parametrize("name", GENERATED)
def test_digest_changes_with_every_field(name):
    task = build(name)
    digests = {task.digest}
    numbers = [field.name for field in dataclasses.fields(task) if field.name != "name"]
    for field in numbers:
        # one less is allowed for all of them but those that are already as small as can be
        change = -1 if getattr(task, field) > 1 else 1
        digests.add(dataclasses.replace(task, **{field: getattr(task, field) + change}).digest)
    assert len(digests) == len(numbers) + 1
    assert build(name).digest == task.digest


def test_survives_the_way_to_a_worker(task):
    copy = pickle.loads(pickle.dumps(task))  # noqa: S301 - our own bytes
    assert copy == task
    assert copy.digest == task.digest
    assert same(take(copy.training(3, 4, 11), 2), take(task.training(3, 4, 11), 2))
