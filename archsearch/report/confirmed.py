"""A confirmation, where a run has one, as the report shows it."""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from archsearch.report.axes import Axis
from archsearch.report.figures import interval
from archsearch.run.reading import Run
from archsearch.trials.value_texts import interval_text

_LIMITS = ("fitness_low", "fitness", "fitness_high")


@dataclass(frozen=True)
class ConfirmedRow:
    """One cell of a confirmation.

    Attributes:
        cell: Its digest.
        title: Its name, or its digest.
        verdict: `better`, `worse`, …
        fitness: Estimate and interval in words, 1 for the baseline; empty for a cell without.
        picture: The interval drawn; empty likewise.
        ratios: Likewise in words, by task.
        sentence: What may be said.
        seeds: Trainings per cell and task; None where the table does not say.
        confidence: That the intervals of a task hold for all finalists at once; None likewise, as in older tables.
        parameters: Of one layer of 128 units; None where the table does not say.
        step_milliseconds: Of a training step of such a layer; None likewise, or where it could not be measured.
        limits: Of the fitness, with the estimate between them; None for a cell without.
    """

    cell: str
    title: str
    verdict: str
    fitness: str
    picture: Markup
    ratios: Mapping[str, str]
    sentence: str
    seeds: float | None
    confidence: float | None
    parameters: float | None
    step_milliseconds: float | None
    limits: tuple[float, float, float] | None

    @property
    def name(self) -> str:
        """What it is known by; empty for a found cell."""
        return "" if self.title == self.cell else self.title


def confirmed_rows(run: Run) -> list[ConfirmedRow]:
    """Returns the rows of `confirmation.csv` in its order; none if the run has not been confirmed.

    Raises:
        FileFormatError: The file is no table of a confirmation.
    """
    frame = run.confirmation()
    if frame is None:
        return []
    values = [*frame[list(_LIMITS)].to_numpy().ravel(), 1.0]
    axis = Axis.around("fitness", [float(value) for value in values])
    return [_row(row, run.tasks, axis) for row in frame.to_dict("records")]


def _row(row: Mapping[Hashable, object], tasks: tuple[str, ...], axis: Axis) -> ConfirmedRow:
    low, estimate, high = (float(str(row[name])) for name in _LIMITS)
    is_baseline = row["verdict"] == "baseline"
    has_interval = all(map(math.isfinite, (low, estimate, high)))
    return ConfirmedRow(
        cell=str(row["cell"]),
        title=_text(row.get("name")) or str(row["cell"]),
        verdict=_text(row["verdict"]),
        fitness="1" if is_baseline else _span(row, "fitness"),
        picture=interval(low, estimate, high, axis) if has_interval else Markup(),
        ratios={task: "1" if is_baseline else _span(row, f"ratio_{task}") for task in tasks},
        sentence=_text(row.get("sentence")),
        seeds=_number(row.get("seeds")),
        confidence=_number(row.get("confidence")),
        parameters=_number(row.get("parameters")),
        step_milliseconds=_number(row.get("step_milliseconds")),
        limits=(low, estimate, high) if has_interval else None,
    )


def _span(row: Mapping[Hashable, object], name: str) -> str:
    """Returns `1.012 (0.990 to 1.034)`, or nothing where a number is missing."""
    estimate, low, high = (_number(row.get(f"{name}{end}")) for end in ("", "_low", "_high"))
    if estimate is None or low is None or high is None:
        return ""
    return interval_text(low, estimate, high)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
