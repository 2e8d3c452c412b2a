"""How a run went, and where an interval lies, as pictures."""

from collections.abc import Mapping

import pandas as pd
from markupsafe import Markup

from archsearch.report.axes import Axis
from archsearch.report.charts import Chart, Dot, Line
from archsearch.report.curves import MAX_FOUNDERS
from archsearch.trials.value_texts import interval_text, ratio_text

MAX_DOTS = 1500
_FITNESS = "fitness"


def progress_chart(progress: pd.DataFrame, founders: Mapping[str, float], against: str, label: str) -> Markup:
    """Draws the best found cell's fitness, and that of every candidate that passed all gates.

    Args:
        progress: As `Run.progress` gives it.
        founders: Fitness by name.
        against: The column to go along.
        label: Of the axis.
    """
    # a listed cell that is examined again is no other one
    passed = progress[progress["fitness"].notna() & (progress["kind"] == "propose")]
    best = progress[progress["best_fitness"].notna()]
    shown = {name: founders[name] for name in [*founders][:MAX_FOUNDERS]}
    x_axis = Axis.around(label, progress[against], from_zero=True)
    y_axis = Axis.around(_FITNESS, [*passed["fitness"], *best["best_fitness"], *shown.values()])
    lines = [
        Line([(x_axis.low, fitness), (x_axis.high, fitness)], f"{name} {ratio_text(fitness)}", f"founder{number}")
        for number, (name, fitness) in enumerate(shown.items())
    ]
    steps = best.drop_duplicates(["best_fitness"], keep="first")
    points = [*zip(steps[against], steps["best_fitness"], strict=True)]
    if points:
        points.append((progress[against].iloc[-1], best["best_fitness"].iloc[-1]))
        lines.append(Line(points, "best found cell", "this", is_stepped=True))
    dots = [
        Dot(row[against], row["fitness"], f"step {row['step']}: {row['cell']}, fitness {ratio_text(row['fitness'])}")
        for row in passed.iloc[:: max(1, -(-len(passed) // MAX_DOTS))].to_dict("records")
    ]
    return Chart(f"best fitness against {label}", x_axis, y_axis, lines, dots).to_svg()


def interval(low: float, estimate: float, high: float, axis: Axis) -> Markup:
    """Draws a confidence interval on an axis that all rows of a table share; a line stands at 1."""
    width, height = 160.0, 22.0

    def place(value: float) -> str:
        return f"{min(max(axis.share(value), 0.0), 1.0) * (width - 12) + 6:.1f}"

    return Markup(  # noqa: S704 - numbers alone
        f'<svg class="interval" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'aria-label="{interval_text(low, estimate, high)}">'
        f'<path class="one" d="M{place(1.0)} 1V{height - 1:g}"/>'
        f'<path class="whisker" d="M{place(low)} {height / 2:g}H{place(high)}"/>'
        f'<circle class="estimate" cx="{place(estimate)}" cy="{height / 2:g}" r="4"/></svg>'
    )
