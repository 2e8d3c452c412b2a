"""What the report says of each listed cell."""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from archsearch.drawing.svg import to_svg
from archsearch.graph.difference import Difference
from archsearch.report.curves import LearningCurves
from archsearch.report.lineage import Ancestry, Generation
from archsearch.run.reading import Run
from archsearch.search.leaderboard import LeaderboardRow, leaderboard_rows
from archsearch.search.outcome import Examined


@dataclass(frozen=True)
class CellView:
    """One cell of the leaderboard.

    Attributes:
        row: Its row.
        title: Its name, or its id.
        parent: The parent's name, or id; empty for a founder.
        equations: In the words of its parent, as in the drawing.
        drawing: What differs from the parent is marked.
        has_marks: Whether anything is.
        curves: A chart by task.
        best_trials: By task; those that have one.
        scores: Best validation value of what each task measures, by task.
        step_milliseconds: Time of a training step; None where it was not measured.
        lineage: The founder first, the cell itself last.
        verdict: What a confirmation says of it; empty without one.
    """

    row: LeaderboardRow
    title: str
    parent: str
    equations: str
    drawing: Markup
    has_marks: bool
    curves: Mapping[str, Markup]
    best_trials: Mapping[str, Examined]
    scores: Mapping[str, float]
    step_milliseconds: float | None
    lineage: tuple[Generation, ...]
    verdict: str


def cell_views(run: Run, verdicts: Mapping[str, str]) -> list[CellView]:
    """Returns the listed cells, best first.

    Args:
        run: The run.
        verdicts: What a confirmation says, by cell.
    """
    ancestry, curves = Ancestry(run), LearningCurves(run)
    times = run.step_milliseconds
    return [_view(run, row, times.get(row.cell), ancestry, curves, verdicts) for row in leaderboard_rows(run.knowledge)]


def _view(
    run: Run,
    row: LeaderboardRow,
    step_milliseconds: float | None,
    ancestry: Ancestry,
    curves: LearningCurves,
    verdicts: Mapping[str, str],
) -> CellView:
    difference = ancestry.difference(row.cell)
    equations, drawing, has_marks = _pictured(run, row, difference)
    trials = {task: curves.best_trial(row.cell, task) for task in run.tasks}
    parent = run.knowledge.cells.get(row.parent)
    return CellView(
        row=row,
        title=row.name or row.cell,
        parent=(parent.name or parent.digest) if parent else "",
        equations=equations,
        drawing=drawing,
        has_marks=has_marks,
        curves={task: curves.chart(row.cell, task) for task in run.tasks},
        best_trials={task: trial for task, trial in trials.items() if trial},
        scores=row.values,
        step_milliseconds=step_milliseconds,
        lineage=tuple(ancestry.lineage(row.cell)),
        verdict=verdicts.get(row.cell, ""),
    )


def _pictured(run: Run, row: LeaderboardRow, difference: Difference | None) -> tuple[str, Markup, bool]:
    """Returns equations and drawing, and whether the drawing has marks."""
    graph = run.cell(row.cell) if difference is None else difference.after
    marks = frozenset() if difference is None else difference.changed_after
    drawing = Markup(to_svg(graph, marks, is_inline=True))  # noqa: S704 - the drawing escapes its texts
    return graph.equations().rstrip(), drawing, bool(marks)
