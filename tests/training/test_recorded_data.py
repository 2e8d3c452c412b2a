"""Minibatches that several trainings share."""

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from shared_recall import RecallTask

from archsearch.training import recorded_data
from archsearch.training.minibatch import Minibatch
from archsearch.training.recorded_data import forget_recordings, training_minibatches


@dataclass(frozen=True)
class CountedTask(RecallTask):
    """Counts the batches it generates."""

    def training(self, seed, batch_size, unroll):
        for batch in super().training(seed, batch_size, unroll):
            generated.append(seed)
            yield batch


generated: list[int] = []


@pytest.fixture
def task():
    generated.clear()
    forget_recordings()
    yield CountedTask("counted", scored_share=0.5, starts_every=3)
    forget_recordings()


def first(task, num, seed=1):
    return list(itertools.islice(training_minibatches(task, seed, 4, 6), num))


def assert_equal(one: list[Minibatch], other: list[Minibatch]) -> None:
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        assert left.starts == right.starts
        for name in ("inputs", "targets", "positions"):
            a, b = getattr(left, name), getattr(right, name)
            assert (a is None) == (b is None)
            assert a is None or (a.dtype == b.dtype == torch.int64 and torch.equal(a, b))


def unrecorded(task, num, seed=1):
    return [Minibatch.from_batch(batch) for batch in itertools.islice(task.training(seed, 4, 6), num)]


def test_equal_to_what_the_task_generates(task):
    for num in (3, 7, 2):
        assert_equal(first(task, num), unrecorded(task, num))
    everywhere = replace(task, scored_share=1.0)
    assert_equal(first(everywhere, 4), unrecorded(everywhere, 4))


def test_generated_once(task):
    first(task, 5)
    first(task, 5)
    assert len(generated) == 5
    first(task, 8)
    assert len(generated) == 8
    first(task, 3, seed=2)
    assert len(generated) == 11
    first(replace(task, delay=2), 3)
    assert len(generated) == 14


def test_two_trainings_at_once(task):
    one, other = (training_minibatches(task, 1, 4, 6) for _ in range(2))
    mixed = [[], []]
    for which in (0, 0, 1, 0, 1, 1, 1, 1, 0, 0):
        mixed[which].append(next((one, other)[which]))
    assert_equal(mixed[0], unrecorded(task, 5))
    assert_equal(mixed[1], unrecorded(task, 5))


@pytest.mark.parametrize("max_bytes", [1, 150, 400])
def test_beyond_what_is_kept(task, monkeypatch, max_bytes):
    monkeypatch.setattr(recorded_data, "MAX_BYTES", max_bytes)
    for _ in range(2):
        assert_equal(first(task, 9), unrecorded(task, 9))
    assert len(generated) > 36  # both times from the beginning, beside those without a recording


def test_streams_side_by_side_beyond_what_is_kept(task, monkeypatch):
    """As a population reads those of its seeds: none drives the others out again and again."""
    monkeypatch.setattr(recorded_data, "MAX_BYTES", 2000)
    streams = {seed: training_minibatches(task, seed, 4, 6) for seed in (1, 2, 3)}
    read = {seed: [] for seed in streams}
    for _ in range(40):
        for seed, stream in streams.items():
            read[seed].append(next(stream))
    assert len(generated) <= 3 * 2 * 40  # each stream at most twice: recorded, then from its beginning for itself
    for seed, minibatches in read.items():
        assert_equal(minibatches, unrecorded(task, 40, seed))


def test_the_stream_used_longest_ago_goes(task, monkeypatch):
    first(task, 2, seed=1)
    first(task, 2, seed=2)
    monkeypatch.setattr(recorded_data, "MAX_BYTES", 5 * 4 * 6 * 3)
    generated.clear()
    first(task, 4, seed=2)
    first(task, 2, seed=2)
    assert generated == [2, 2]
    first(task, 2, seed=1)
    assert generated == [2, 2, 1, 1]


def test_a_generator_that_raised_is_begun_anew(task, monkeypatch):
    real = RecallTask.training

    def broken(self, seed, batch_size, unroll):
        yield from itertools.islice(real(self, seed, batch_size, unroll), 2)
        raise MemoryError

    monkeypatch.setattr(RecallTask, "training", broken)
    with pytest.raises(MemoryError):
        first(task, 3)
    monkeypatch.undo()
    assert_equal(first(task, 4), unrecorded(task, 4))


def test_negative_symbols_stay_what_they_are(monkeypatch, task):
    """Where nothing is scored a task may write anything."""
    real = RecallTask.training

    def with_negatives(self, seed, batch_size, unroll):
        for batch in real(self, seed, batch_size, unroll):
            targets = np.where(batch.scored, batch.targets, -100)
            targets[0, 0] = -1
            yield replace(batch, targets=targets)

    monkeypatch.setattr(RecallTask, "training", with_negatives)
    assert_equal(first(task, 3), unrecorded(task, 3))
    assert_equal(first(task, 3), unrecorded(task, 3))
