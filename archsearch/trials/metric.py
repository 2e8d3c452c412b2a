"""How well a cell does on a task, as a number with a unit and a direction."""

from dataclasses import dataclass
from typing import Literal

Loss = Literal["cross_entropy", "binary_cross_entropy", "squared_error"]

# A smaller error counts as this one, so that no ratio divides by zero.
LEAST_ERROR = 1e-12


@dataclass(frozen=True)
class Metric:
    """What a task measures on held-out data. Its values are never negative.

    The search compares *qualities*: the value where more is better, its reciprocal where less is. A quality divided by
    the baseline's is then the cell's value ÷ the GRU's, or the GRU's ÷ the cell's: more is always better, and the GRU
    has 1.

    Attributes:
        name: In tables and columns.
        unit: In words.
        higher_is_better: Otherwise less is.
        losses: Of models that it can be measured on.
    """

    name: str
    unit: str
    higher_is_better: bool
    losses: tuple[Loss, ...]

    def quality(self, value: float) -> float:
        """Returns the number that the search compares. An error below 1e-12 counts as 1e-12."""
        return value if self.higher_is_better else 1 / max(value, LEAST_ERROR)

    def value(self, quality: float) -> float:
        """Returns the value that has a quality, to 15 digits."""
        return quality if self.higher_is_better else float(f"{1 / quality:.15g}")

    def __str__(self) -> str:
        """Returns name, unit and direction."""
        return f"{self.name} ({self.unit}; {'more' if self.higher_is_better else 'less'} is better)"


ACCURACY = Metric("accuracy", "share of the scored positions", True, ("cross_entropy",))
NLL = Metric("nll", "nats per scored position", False, ("cross_entropy", "binary_cross_entropy"))
BITS = Metric("bits", "bits per scored symbol", False, ("cross_entropy",))
PERPLEXITY = Metric("perplexity", "symbols that would be as hard to tell apart", False, ("cross_entropy",))
MSE = Metric("mse", "mean squared error of a number", False, ("squared_error",))
MAE = Metric("mae", "mean absolute error of a number", False, ("squared_error",))

METRICS = {metric.name: metric for metric in (ACCURACY, NLL, BITS, PERPLEXITY, MSE, MAE)}


def metrics_of(loss: Loss) -> tuple[Metric, ...]:
    """Returns the metrics that can be measured on a model trained with a loss."""
    return tuple(metric for metric in METRICS.values() if loss in metric.losses)
