"""The progress of a search as a figure of matplotlib."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from archsearch.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCALES = {"candidates": "candidates proposed", "trials": "trials", "training_seconds": "hours of training"}


def plot_progress(
    progress: pd.DataFrame, founders: Mapping[str, float], against: str, axes: "Axes | None" = None
) -> "Axes":
    """Draws the best fitness so far, every candidate that passed all gates, and the founders as level lines.

    Args:
        progress: See `progress_frame`.
        founders: Fitness by name.
        against: `candidates`, `trials` or `training_seconds`.
        axes: Where to draw; None for a new figure.

    Raises:
        ConfigError: There is no such scale.
    """
    if against not in SCALES:
        raise ConfigError(f"against: expected one of {', '.join(SCALES)}, got {against!r}.")
    if axes is None:
        from matplotlib import pyplot  # slow to load; notebooks show figures that it knows

        axes = pyplot.subplots(figsize=(7, 4), layout="constrained")[1]
    unit = 3600 if against == "training_seconds" else 1
    x = progress[against] / unit
    passed = progress["fitness"].notna() & (progress["kind"] == "propose")  # examined again, it is no other cell
    axes.plot(x[passed], progress["fitness"][passed], ".", color="#888888", alpha=0.7, label="passed every gate")
    axes.step(x, progress["best_fitness"], where="post", color="#d55e00", label="best found cell")
    for style, (name, fitness) in zip(("-", "--", ":", "-.") * len(founders), founders.items(), strict=False):
        axes.axhline(fitness, color="#0072b2", linestyle=style, linewidth=1, label=name)
    axes.set(xlabel=SCALES[against], ylabel="fitness (least ratio to the baseline)")
    axes.legend(fontsize="small")
    return axes
