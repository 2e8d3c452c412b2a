"""What studies compare: one number per training, larger is better, whose ratios are the ratios of the search.

The only place in this package that knows what a task measures.
"""

from archsearch.trials.trial import TrialResult


def validation_value(result: TrialResult) -> float | None:
    """Returns the best value on validation data, None if there is none to count."""
    return result.accuracy


def held_out_value(result: TrialResult) -> float | None:
    """Returns the value on test data of the weights of the best validation, None if there is none to count."""
    return result.test_value


def rescaled(ratio: float, baseline: float, other: float) -> float:
    """Returns a cell's ratio to another baseline than the one that its ratio is to."""
    return ratio * baseline / other
