"""The search's learning rate schedule, as a pure function of what the epochs so far brought."""

from collections.abc import Sequence


def next_learning_rate(initial: float, accuracies: Sequence[float], patience: int, num_halvings: int) -> float | None:
    """Returns the learning rate of the next epoch, or None where training stops.

    The rate is `initial` until `patience` epochs in a row brought no accuracy above the best one before them. Then it
    is halved at the beginning of each of `num_halvings` more epochs, and training stops. The paper says "then stop":
    an improvement in a halved epoch counts for the result, but neither ends the halving nor begins it anew.

    Source: Jozefowicz 2015, sec. 3.5; R29.

    Args:
        initial: The learning rate of the first epoch.
        accuracies: Validation accuracy after each whole epoch so far.
        patience: Epochs without improvement before the rate is halved.
        num_halvings: Epochs with a halved rate.
    """
    best = float("-inf")
    num_without = 0
    for epoch, accuracy in enumerate(accuracies, start=1):
        num_without = 0 if accuracy > best else num_without + 1
        best = max(best, accuracy)
        if num_without == patience:
            num_halved = len(accuracies) - epoch + 1
            return initial * 0.5**num_halved if num_halved <= num_halvings else None
    return initial
