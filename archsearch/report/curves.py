"""Learning curves: the best trial of a cell on a task, beside those of the founders."""

from collections.abc import Sequence

from markupsafe import Markup

from archsearch.report.axes import Axis
from archsearch.report.charts import Chart, Line
from archsearch.run.reading import Run
from archsearch.search.outcome import Examined

MAX_POINTS = 60
MAX_FOUNDERS = 3


class LearningCurves:
    """Draws curves; all charts of a task have the same axes, so that cells can be compared by eye.

    Args:
        run: The run.

    Attributes:
        metrics: What each task measures.
        founders: Whose curves stand beside each cell's.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._examined: dict[tuple[str, str], list[Examined]] = {}
        for outcome in run.outcomes:
            for entry in outcome.examined:
                self._examined.setdefault((entry.cell, entry.task), []).append(entry)
        self.founders = run.knowledge.founders[:MAX_FOUNDERS]
        self.metrics = metric_names(run)
        self._curves = run.curves(self._keys())
        self._axes = {task: self._find_axes(task) for task in run.tasks}

    def best_trial(self, digest: str, task: str) -> Examined | None:
        """Returns the trial that a cell's result on a task comes from."""
        record = self._run.knowledge.cells.get(digest)
        history = record.history(task) if record else None
        if history is None or history.best is None:
            return None
        best, setting = history.ranked()[0]
        outcomes = list(zip(history.settings, history.qualities, strict=True))
        return self._examined[digest, task][outcomes.index((setting, best))]

    def chart(self, digest: str, task: str) -> Markup:
        """Returns the chart of a cell on a task; it is empty where no trial has a curve."""
        x_axis, y_axis = self._axes[task]
        lines = [
            self._line(founder, task, f"founder{number}")
            for number, founder in enumerate(self.founders)
            if founder != digest
        ]
        lines.append(self._line(digest, task, "this"))
        title = f"{self.metrics[task]} on {task}, validation data, while training"
        return Chart(title, x_axis, y_axis, [line for line in lines if line], width=300, height=190).to_svg()

    def _line(self, digest: str, task: str, kind: str) -> Line | None:
        points = self._points(digest, task)
        name = self._run.knowledge.cells[digest].name or digest
        return Line(points, name, kind) if points else None

    def _points(self, digest: str, task: str) -> list[tuple[float, float]]:
        trial = self.best_trial(digest, task)
        curve = self._curves.get(trial.key, ()) if trial else ()
        return thinned([(float(step), score) for step, _, score in curve])

    def _shown(self) -> list[str]:
        listed = (digest for _, digest in self._run.knowledge.listed)
        return list(dict.fromkeys([*self.founders, *listed]))

    def _keys(self) -> list[str]:
        best = [self.best_trial(digest, task) for digest in self._shown() for task in self._run.tasks]
        return [trial.key for trial in best if trial]

    def _find_axes(self, task: str) -> tuple[Axis, Axis]:
        points = [point for digest in self._shown() for point in self._points(digest, task)]
        return (
            Axis.around("training steps", [x for x, _ in points], from_zero=True, num_ticks=4),
            Axis.around(self.metrics[task], [y for _, y in points], num_ticks=4),
        )


def metric_names(run: Run) -> dict[str, str]:
    """Returns what each task measures, as the columns of the leaderboard say: `accuracy_xml` follows `ratio_xml`."""
    columns = list(run.leaderboard().columns)
    following = {task: columns[columns.index(f"ratio_{task}") + 1] for task in run.tasks}
    return {task: column.removesuffix(f"_{task}") for task, column in following.items()}


def thinned(points: Sequence[tuple[float, float]], most: int = MAX_POINTS) -> list[tuple[float, float]]:
    """Returns at most so many of some points, evenly chosen, the first and the last among them."""
    if len(points) <= most:
        return list(points)
    return [points[round(number * (len(points) - 1) / (most - 1))] for number in range(most)]
