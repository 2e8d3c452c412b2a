"""The estimate of what trials cost."""

import itertools
import time

import pytest
import torch

from archsearch.errors import EngineError
from archsearch.graph.catalog import zoo_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.training.population import PopulationTrainer
from archsearch.training.trainer import Trainer
from archsearch.training.training_speed import TrainingSpeed, measure_step_milliseconds, measure_training_speed
from archsearch.trials.setting import Setting
from archsearch.trials.trial import Recipe


def note_divergences_into(diverged):
    real = PopulationTrainer.note_divergences

    def note(self):
        real(self)
        diverged.extend(report.has_ended for report in self.reports)

    return note


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


@pytest.mark.parametrize("engine", ["auto", "vectorized"])
def test_a_cell_whose_states_would_grow_is_measured_to_the_end(recall_task, setting, monkeypatch, engine):
    points = []
    for trainer in (Trainer, PopulationTrainer):
        real = trainer.validate
        monkeypatch.setattr(trainer, "validate", lambda self, real=real: points.append(real(self)))
    diverged = []
    monkeypatch.setattr(PopulationTrainer, "note_divergences", note_divergences_into(diverged))
    cell = CellGraph.from_equations("h' = h + h + linear(x)")
    speed = measure_training_speed(recall_task, cell, setting, Recipe(batch_size=2, unroll=200), engine)
    assert speed.step_seconds > 0
    assert points
    assert not any(diverged)


def test_a_cell_that_diverges_by_itself_is_measured_all_the_same(recall_task, setting):
    cell = CellGraph.from_equations("h' = h * h + h + linear(x, bias_init=3)")
    assert measure_training_speed(recall_task, cell, setting, Recipe(batch_size=2, unroll=20)).step_seconds > 0


def test_steps_of_cells_are_timed_in_turns_and_the_least_counts(monkeypatch):
    ticks = iter([0, 5, 0, 7, 0, 4, 0, 9])  # gru and tanh, twice each
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) / 1000)
    cells = [zoo_cell("gru"), zoo_cell("tanh")]
    found = measure_step_milliseconds(cells, Recipe(batch_size=2, unroll=3), 4, "interpreter", num_rounds=2)
    assert found == (4.0, 7.0)


def test_timing_steps_leaves_torchs_generator_alone():
    before = torch.get_rng_state()
    (milliseconds,) = measure_step_milliseconds([zoo_cell("gru")], Recipe(batch_size=2, unroll=3), 4, num_rounds=1)
    assert milliseconds is not None
    assert milliseconds > 0
    assert torch.equal(before, torch.get_rng_state())


def test_a_cell_that_the_engine_cannot_run_has_no_time(monkeypatch):
    def refuse(*_, **__):
        raise EngineError("not this one")

    monkeypatch.setattr("archsearch.training.training_speed.RecurrentLayer", refuse)
    assert measure_step_milliseconds([zoo_cell("gru")], Recipe(), 4) == (None,)


def test_time_of_a_trial():
    speed = TrainingSpeed(start_seconds=0.5, step_seconds=0.01, validation_seconds=0.1, epoch_steps=100)
    assert speed.trial_seconds(250) == 0.5 + 2.5 + 3 * 0.1


def test_members_of_a_population_share_its_times(recall_task, setting, monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    speed = measure_training_speed(
        recall_task, zoo_cell("gru"), setting, Recipe(batch_size=4, unroll=6), "vectorized", num_steps=2, num_members=4
    )
    assert (speed.step_seconds, speed.validation_seconds, speed.epoch_steps) == (0.125, 0.25, 4)
