"""R29 to R31: when the learning rate falls, and when training stops."""

import pytest

from archsearch.training.schedule import next_learning_rate
from archsearch.trials.trial import Recipe


def rates(accuracies: list[float], patience: int = 3, num_halvings: int = 4) -> list[float | None]:
    """Returns the rate before the first epoch and after each epoch."""
    recipe = Recipe(patience=patience, num_halvings=num_halvings)
    return [next_learning_rate(0.8, accuracies[:count], recipe) for count in range(len(accuracies) + 1)]


def test_halves_four_times_after_three_epochs_without_improvement_then_stops():
    """R29."""
    expected = [0.8] * 5 + [0.4, 0.2, 0.1, 0.05, None]
    assert rates([0.1, 0.3, 0.3, 0.2, 0.3, 0.1, 0.1, 0.1, 0.1]) == pytest.approx(expected)


def test_an_improvement_before_the_halving_starts_the_count_anew():
    """R29: only epochs in a row count."""
    expected = [0.8] * 7 + [0.4]
    assert rates([0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.2]) == pytest.approx(expected)


def test_an_equal_accuracy_is_no_improvement():
    """R29."""
    assert rates([0.5, 0.5, 0.5, 0.5])[-1] == pytest.approx(0.4)


def test_an_improvement_while_halving_does_not_stop_the_halving():
    """R29: our reading of "then stop"."""
    expected = [0.8] * 4 + [0.4, 0.2, 0.1, 0.05, None]
    assert rates([0.1, 0.1, 0.1, 0.1, 0.9, 0.95, 0.97, 0.99]) == pytest.approx(expected)


def test_a_stopped_training_stays_stopped():
    assert next_learning_rate(1.0, [0.5] + [0.1] * 3 + [0.6] * 9, Recipe()) is None


def test_patience_and_halvings_are_settings():
    assert rates([0.5, 0.5, 0.5], patience=1, num_halvings=1) == pytest.approx([0.8, 0.8, 0.4, None])


def rates_of(recipe: Recipe, qualities: list[float]) -> list[float | None]:
    """Returns the rate before the first epoch and after each epoch."""
    return [next_learning_rate(0.8, qualities[:count], recipe) for count in range(len(qualities) + 1)]


def test_on_a_plateau_the_rate_falls_each_time_that_nothing_better_came_for_a_while():
    """R30: counted anew from there, until the rate is too low."""
    recipe = Recipe(schedule="plateau", patience=2, decay=0.5, least_rate=0.15, max_epochs=50)
    qualities = [0.1, 0.3, 0.2, 0.3, 0.2, 0.4, 0.4, 0.4, 0.1, 0.1]
    assert rates_of(recipe, qualities) == pytest.approx([0.8, 0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.4, 0.2, 0.2, None])
    assert rates_of(Recipe(schedule="plateau", max_epochs=2), [0.1, 0.2]) == [0.8, 0.8, None]


@pytest.mark.parametrize(
    ("constant_epochs", "expected"),
    [
        (3, [0.8, 0.8, 0.8, 0.4, 0.2, 0.1, None]),
        (1, [0.8, 0.4, 0.2, 0.1, 0.05, 0.025, None]),
        (0, [0.8, 0.4, 0.2, 0.1, 0.05, 0.025, None]),
    ],
)
def test_a_decay_begins_after_the_constant_epochs_whatever_validation_brings(constant_epochs, expected):
    """R31: the first epoch always has the initial rate."""
    recipe = Recipe(schedule="decay", decay=0.5, constant_epochs=constant_epochs, max_epochs=6)
    for qualities in ([0.1] * 6, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]):
        assert rates_of(recipe, qualities) == pytest.approx(expected)
