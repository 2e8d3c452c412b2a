"""The picture of a comparison."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from archsearch.studies.comparison import Side, mean_curve
from archsearch.studies.progress import Budget

COLOURS = ("#0072b2", "#d55e00")  # told apart by everybody (Okabe & Ito 2008)


def plot_comparison(first: Side, second: Side, budgets: tuple[Budget, ...], path: Path) -> None:
    """Draws the best fitness against each budget, mean and range over the searches of a side, into a PNG."""
    figure = Figure(figsize=(5.5 * len(budgets), 4), layout="constrained")
    FigureCanvasAgg(figure)  # no display, and none of pyplot's global state
    for place, budget in enumerate(budgets, start=1):
        axes = figure.add_subplot(1, len(budgets), place)
        curves = {side.name: [progress.curve(budget) for progress in side.progresses] for side in (first, second)}
        lowest = 1.0
        for side, colour in zip((first, second), COLOURS, strict=True):
            end = max(curve.total for curve in curves[side.name])
            spent, means, least, greatest = mean_curve(side, budget, end)
            found = [mean if low > 0 else None for mean, low in zip(means, least, strict=True)]
            lowest = min([lowest, *(low for low in least if low > 0)])
            axes.plot(
                spent, [float("nan") if height is None else height for height in found], color=colour, label=side.name
            )
            axes.fill_between(spent, least, greatest, color=colour, alpha=0.2, step=None, linewidth=0)
        axes.axhline(1.0, color="0.6", linewidth=0.8, linestyle="--")
        axes.set_ylim(bottom=lowest - 0.02)
        axes.set_xlabel(budget.replace("_", " "))
        axes.set_ylabel("best fitness of a found cell")
        axes.grid(alpha=0.2)
        if place == 1:
            axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
