"""R25: where settings come from."""

import random
from dataclasses import replace

from archsearch.search.inheritance import best_settings, draw_fresh_settings
from archsearch.search.knowledge import TaskHistory
from archsearch.search.plan import Inheritance, TaskPlan
from archsearch.trials.setting import SettingSpace

SPACE = SettingSpace(
    (0.3, 0.7, 1.0, 1.4, 2.0, 2.8), (0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0), (1.0, 2.5, 5.0, 10.0, 20.0), (1, 2, 3, 4), (9,)
)
TASK = TaskPlan("t", "d", SPACE, max_steps=1, num_settings=20)
ALL = SPACE.all()
DRAWS = 300


def history(settings, accuracy=lambda index: index / 1000):
    return TaskHistory(tuple(settings), tuple(accuracy(index) for index in range(len(settings))))


def shares(parent, founders, pools):
    """Returns, for each pool of settings, the share of first draws that came from it."""
    counts = [0] * len(pools)
    task = replace(TASK, num_settings=1)
    for seed in range(DRAWS):
        setting = draw_fresh_settings(random.Random(seed), task, TaskHistory(), parent, founders, Inheritance())[0]
        for index, pool in enumerate(pools):
            counts[index] += setting in pool
    return [count / DRAWS for count in counts]


def test_the_grid_has_the_papers_size():
    """R20-R24: 840 settings with one parameter budget."""
    assert len(SPACE) == len(ALL) == len(set(ALL)) == 840


def test_a_well_explored_parent_gives_four_fifths_from_its_best_hundred():
    """R25: more than 420 settings on the parent → 80 % from its best 100, 20 % fully random."""
    settings = random.Random(0).sample(ALL, 421)
    parent = history(settings)
    best = set(settings[-100:])
    assert best_settings((parent,), 100) == settings[-100:][::-1]
    (share,) = shares(parent, [history(ALL[:50])], [best])
    assert abs(share - (0.8 + 0.2 * 100 / 840)) < 0.07


def test_at_420_settings_the_parent_is_not_yet_well_explored():
    """R25: exactly 420 is not more than 420."""
    settings = random.Random(0).sample(ALL, 420)
    founders = history([setting for setting in ALL if setting not in settings][:50])
    share_founders, share_parent = shares(history(settings), [founders], [set(founders.tried), set(settings)])
    assert 0.25 < share_founders < 0.45
    assert share_parent < 0.6


def test_otherwise_a_third_each():
    """R25: 33 % random, 33 % from the best 100 of LSTM and GRU, 33 % from those tried on the parent."""
    shuffled = random.Random(1).sample(ALL, 840)
    gru, lstm, parent = history(shuffled[:200]), history(shuffled[200:400]), history(shuffled[400:430])
    best = set(best_settings((gru, lstm), 100))
    assert best == set(shuffled[150:200]) | set(shuffled[350:400])
    share_best, share_parent, share_rest = shares(
        parent, [gru, lstm], [best, set(shuffled[400:430]), set(shuffled[430:])]
    )
    assert abs(share_best - (1 / 3 + 100 / 840 / 3)) < 0.08
    assert abs(share_parent - (1 / 3 + 30 / 840 / 3)) < 0.08
    assert abs(share_rest - 410 / 840 / 3) < 0.06


def test_a_founder_draws_at_random():
    """R4: a founder has no parent to inherit from."""
    founders = history(ALL[:30])
    (share,) = shares(None, [founders], [set(ALL[:30])])
    assert share < 0.1


def test_settings_are_fresh_distinct_and_at_most_as_many_as_allowed():
    """R8; an exhausted pool is filled up with fully random settings."""
    tried = history(ALL[:830])
    rng = random.Random(3)
    drawn = draw_fresh_settings(rng, TASK, tried, tried, [tried], Inheritance())
    assert sorted(drawn) == sorted(ALL[830:])
    capped = TaskPlan("t", "d", SPACE, max_steps=1, num_settings=20, num_baseline_settings=23)
    assert len(draw_fresh_settings(rng, capped, history(ALL[:10]), tried, [tried], Inheritance())) == 13


def test_failed_settings_are_tried_but_never_among_the_best():
    failed = history(ALL[:10], lambda index: None if index % 2 else 0.5)
    assert set(best_settings((failed,), 100)) == set(ALL[:10:2])
    assert failed.tried == set(ALL[:10])
    assert failed.best == 0.5
