"""The estimate of what trials cost."""

import itertools
import time

from archsearch.graph.catalog import zoo_cell
from archsearch.training.measure import TrainingSpeed, measure_training_speed
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Recipe


def test_parts_are_measured_by_the_clock(recall_task, setting, monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    speed = measure_training_speed(recall_task, zoo_cell("gru"), setting, Recipe(batch_size=4, unroll=6))
    assert speed.step_seconds == 1.0
    assert speed.validation_seconds >= 1.0
    assert speed.epoch_steps == 4


def test_a_setting_that_would_diverge_is_measured_all_the_same(recall_task):
    wild = Setting(2.8, 1e30, 20.0, 2, 500)
    assert measure_training_speed(recall_task, zoo_cell("gru"), wild, Recipe(batch_size=4, unroll=6)).step_seconds > 0


def test_time_of_a_trial():
    speed = TrainingSpeed(start_seconds=0.5, step_seconds=0.01, validation_seconds=0.1, epoch_steps=100)
    assert speed.trial_seconds(250) == 0.5 + 2.5 + 3 * 0.1
