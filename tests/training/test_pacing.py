"""Limits of time where steps are only begun: a GPU is played, whose clock runs when somebody waits for it."""

import random
from dataclasses import replace

import pytest
from shared_populations import CPU, RECIPE, draw_members
from shared_recall import RecallTask

from archsearch.graph.catalog import zoo_cell
from archsearch.training.pacing import SECONDS_AHEAD, STEPS_BETWEEN_MARKS, Pace
from archsearch.training.population import PopulationTrainer
from archsearch.training.stops import Deadline, TimeLimitError

BEGIN_SECONDS = 5e-5  # what the host needs to ask for a step


class PlayedGpu:
    """Takes steps one after another, from when they are asked for on."""

    def __init__(self, step_seconds):
        self.step_seconds = step_seconds
        self.host = self.free_at = 0.0
        self.num_steps = 0
        self.idle = 0.0

    @property
    def behind(self):
        return max(0.0, self.free_at - self.host)

    def begin_step(self):
        self.host += BEGIN_SECONDS
        if self.num_steps:
            self.idle += max(0.0, self.host - self.free_at)
        self.free_at = max(self.free_at, self.host) + self.step_seconds
        self.num_steps += 1

    def make_mark(self):
        return PlayedMark(self)


class PlayedMark:
    """A place in its work."""

    def __init__(self, gpu):
        self.gpu, self.at = gpu, None

    def record(self):
        self.at = max(self.gpu.free_at, self.gpu.host)

    def synchronize(self):
        self.gpu.host = max(self.gpu.host, self.at)

    def elapsed_time(self, later):
        return 1000 * (later.at - self.at)


class PlayedDeadline(Deadline):
    """Looks at the host's clock."""

    def __init__(self, gpu, limit_seconds):
        self.gpu, self.limit_seconds = gpu, limit_seconds

    def check(self):
        if self.gpu.host > self.limit_seconds:
            raise TimeLimitError("too late")


@pytest.mark.parametrize("step_seconds", [1e-4, 1e-3, 0.03, 0.1])
def test_a_limit_is_noticed_within_a_second_and_the_gpu_is_never_idle(step_seconds):
    gpu = PlayedGpu(step_seconds)
    pace = Pace(PlayedDeadline(gpu, 20.0), gpu.make_mark)

    def train():
        while True:
            pace.before_step()
            gpu.begin_step()

    with pytest.raises(TimeLimitError):
        train()
    assert gpu.host > 20.0
    assert gpu.free_at < 21.0
    assert gpu.idle < 0.01


def test_a_gpu_is_kept_busy_while_the_host_reads_data():
    gpu = PlayedGpu(1e-3)
    pace = Pace(Deadline(), gpu.make_mark)
    for step in range(3000):
        if step % 64 == 0:
            gpu.host += 0.04
        pace.before_step()
        gpu.begin_step()
        if step > 300:
            assert gpu.behind < SECONDS_AHEAD + 2 * STEPS_BETWEEN_MARKS * gpu.step_seconds
    assert gpu.idle < 0.2


class Counted(Deadline):
    """Passes at a look that is told beforehand."""

    def __init__(self, num_looks):
        self.num_looks = num_looks

    def check(self):
        self.num_looks -= 1
        if self.num_looks < 0:
            raise TimeLimitError("too late")


TASK = RecallTask("recall", epoch=5, num_held_out=3)


@pytest.mark.parametrize(
    ("num_looks", "steps", "num_points"), [(0, 0, 0), (3, 3, 0), (5, 5, 0), (7, 5, 0), (8, 5, 1), (10, 7, 1)]
)
def test_the_clock_is_looked_at_before_each_step_and_each_minibatch_of_a_validation(num_looks, steps, num_points):
    members = draw_members(random.Random(1), 3, (5,))
    trainer = PopulationTrainer(zoo_cell("gru"), TASK, replace(RECIPE), members, 5, CPU, Counted(num_looks))
    with pytest.raises(TimeLimitError):
        trainer.run(20)
    trainer.note_divergences()
    assert [(report.steps, len(report.curve)) for report in trainer.reports] == [(steps, num_points)] * 3
