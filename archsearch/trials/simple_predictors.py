"""Predictors that are no networks, beside which a cell is shown, so that nobody takes one away that loses to them."""

from collections.abc import Mapping
from dataclasses import dataclass

from archsearch.trials.task import Task
from archsearch.trials.value_texts import value_text


@dataclass(frozen=True)
class SimplePredictors:
    """What simple predictors reach on a task's validation data.

    Attributes:
        metric: Name of what is measured.
        higher_is_better: Otherwise less is.
        values: By the predictors' names, such as `persistence`.
    """

    metric: str
    higher_is_better: bool
    values: Mapping[str, float]

    @classmethod
    def of_task(cls, task: Task) -> "SimplePredictors":
        """Measures them; of a long text, this takes a while.

        Raises:
            ConfigError: The task's data cannot be used.
        """
        return cls(task.metric.name, task.metric.higher_is_better, task.baselines())

    def __str__(self) -> str:
        """Returns names and values, as in `persistence 0.4056, seasonal naive 0.1169`."""
        return ", ".join(f"{name} {value_text(value, 4)}" for name, value in self.values.items())

    def better_than(self, value: float) -> list[str]:
        """Returns the names of those that a network with such a value loses to."""
        return [name for name in self.at_least_as_good_as(value) if self.values[name] != value]

    def at_least_as_good_as(self, value: float) -> list[str]:
        """Returns the names of those that a network with such a value does not beat."""
        return [
            name for name, simple in self.values.items() if simple == value or (simple > value) == self.higher_is_better
        ]

    def warning(self, value: float) -> str:
        """Returns a sentence that names those that a network with such a value loses to; empty if there are none."""
        better = self.better_than(value)
        return f"It loses to: {', '.join(better)}. Rather use that." if better else ""
