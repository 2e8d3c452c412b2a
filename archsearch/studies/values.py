"""What studies compare: one number per training, larger is better, whose ratios are the ratios of the search.

Of a metric that is better when it is less, it is the reciprocal; see `Metric.quality`.
"""

from archsearch.trials.metric import METRICS
from archsearch.trials.trial import TrialResult


def validation_value(result: TrialResult) -> float | None:
    """Returns the best quality on validation data, None if there is none to count."""
    return result.quality


def held_out_value(result: TrialResult) -> float | None:
    """Returns the quality on test data of the weights of the best validation, None if there is none to count."""
    return None if result.test_value is None else METRICS[result.metric].quality(result.test_value)


def rescaled(ratio: float, baseline: float, other: float) -> float:
    """Returns a cell's ratio to another baseline than the one that its ratio is to."""
    return ratio * baseline / other
