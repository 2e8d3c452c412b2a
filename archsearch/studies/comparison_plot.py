"""The picture of a comparison."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from archsearch.studies.comparison import Side, mean_curve
from archsearch.studies.progress import Budget

COLOURS = ("#0072b2", "#d55e00")  # told apart by everybody (Okabe & Ito 2008)


def plot_comparison(first: Side, second: Side, budgets: tuple[Budget, ...], path: Path) -> None:
    """Draws the picture into a PNG; see `comparison_figure`."""
    comparison_figure(first, second, budgets).savefig(path, dpi=150)


def comparison_figure(first: Side, second: Side, budgets: tuple[Budget, ...]) -> Figure:
    """Returns the best fitness against each budget: mean and range over the searches of a side.

    Both begin when every search of the side has found a cell, and end when the first of them ends.
    """
    figure = Figure(figsize=(5.5 * len(budgets), 4), layout="constrained")
    FigureCanvasAgg(figure)  # no display, and none of pyplot's global state
    for place, budget in enumerate(budgets, start=1):
        axes = figure.add_subplot(1, len(budgets), place)
        lowest = 1.0
        for side, colour in zip((first, second), COLOURS, strict=True):
            spent, means, least, greatest = mean_curve(side, budget)
            has_found = [low > 0 for low in least]
            lowest = min([lowest, *(low for low in least if low > 0)])
            heights = [mean if has else float("nan") for mean, has in zip(means, has_found, strict=True)]
            label = side.name if any(has_found) else f"{side.name}: {_none_of(side)}"
            axes.plot(spent, heights, color=colour, label=label)
            axes.fill_between(spent, least, greatest, where=has_found, color=colour, alpha=0.2, linewidth=0)
        axes.axhline(1.0, color="0.6", linewidth=0.8, linestyle="--", label="baseline")
        axes.set_ylim(bottom=lowest - 0.02)
        axes.set_xlabel(budget.replace("_", " "))
        axes.set_ylabel("best fitness of a found cell")
        axes.grid(alpha=0.2)
        if place == 1:
            axes.legend(frameon=False)
    return figure


def _none_of(side: Side) -> str:
    """Returns why there is no line of a side."""
    return "found no cell" if len(side.progresses) == 1 else "not every search found a cell"
