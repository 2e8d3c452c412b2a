"""The learning rate schedules, as pure functions of what the epochs so far brought."""

from collections.abc import Sequence

from archsearch.trials.trial import Recipe


def next_learning_rate(initial: float, qualities: Sequence[float], recipe: Recipe) -> float | None:
    """Returns the learning rate of the next epoch, or None where training stops.

    Source: Jozefowicz 2015, sec. 3.5 and 3.6; R29-R31.

    Args:
        initial: The learning rate of the first epoch.
        qualities: What validation brought after each whole epoch so far; more is better.
        recipe: The schedule and its numbers.
    """
    if recipe.schedule == "plateau":
        return _plateau(initial, qualities, recipe)
    if recipe.schedule == "decay":
        return _decay(initial, len(qualities), recipe)
    return _halving(initial, qualities, recipe.patience, recipe.num_halvings)


def _halving(initial: float, qualities: Sequence[float], patience: int, num_halvings: int) -> float | None:
    """R29, the search's own schedule.

    The rate is `initial` until `patience` epochs in a row brought nothing above the best one before them. Then it is
    halved at the beginning of each of `num_halvings` more epochs, and training stops. The paper says "then stop": an
    improvement in a halved epoch counts for the result, but neither ends the halving nor begins it anew.
    """
    best = float("-inf")
    num_without = 0
    for epoch, quality in enumerate(qualities, start=1):
        num_without = 0 if quality > best else num_without + 1
        best = max(best, quality)
        if num_without == patience:
            num_halved = len(qualities) - epoch + 1
            return initial * 0.5**num_halved if num_halved <= num_halvings else None
    return initial


def _plateau(initial: float, qualities: Sequence[float], recipe: Recipe) -> float | None:
    """R30, for music: lowered whenever `patience` epochs in a row brought nothing better, counted anew from there."""
    rate, best = initial, float("-inf")
    num_without = 0
    for quality in qualities:
        num_without = 0 if quality > best else num_without + 1
        best = max(best, quality)
        if num_without == recipe.patience:
            rate, num_without = rate * recipe.decay, 0
    return None if rate < recipe.least_rate or len(qualities) >= recipe.max_epochs else rate


def _decay(initial: float, num_epochs: int, recipe: Recipe) -> float | None:
    """R31, for evaluations on Penn Treebank: constant first, then lowered at the beginning of each epoch.

    The first epoch has the initial rate in any case.
    """
    if num_epochs >= recipe.max_epochs:
        return None
    return float(initial * recipe.decay ** max(0, num_epochs - max(1, recipe.constant_epochs) + 1))
