"""Fitness against what a cell costs, with the front of those that are worth it."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from archsearch.report.axes import Axis
from archsearch.report.charts import Chart, Dot, Line
from archsearch.report.texts import grouped
from archsearch.search.pareto import pareto_front
from archsearch.trials.value_texts import ratio_text


@dataclass(frozen=True)
class Priced:
    """A cell with its fitness and one of its costs.

    Attributes:
        cell: Its digest.
        name: A name that it is known by; empty for a found cell.
        fitness: Larger is better.
        cost: Smaller is better; None where it is not known.
        limits: Between which the fitness lies, where that is known.
        is_listed: Whether the page has a part about it.
    """

    cell: str
    name: str
    fitness: float
    cost: float | None
    limits: tuple[float, float] | None = None
    is_listed: bool = True


def cost_chart(cells: Sequence[Priced], label: str, unit: str, digits: int = 0) -> Markup:
    """Draws each cell's fitness against its cost, and the front; empty if no cost is known.

    Args:
        cells: What is drawn; a listed cell leads to its part of the page.
        label: What the cost is.
        unit: Of the cost, behind a number.
        digits: Of the cost behind its decimal point.
    """
    known = [(cell, cell.cost) for cell in cells if cell.cost is not None]
    if not known:
        return Markup()
    fitnesses, costs = [cell.fitness for cell, _ in known], [cost for _, cost in known]
    is_on_front = pareto_front(fitnesses, costs)
    front = sorted((cost, cell.fitness) for (cell, cost), is_on in zip(known, is_on_front, strict=True) if is_on)
    lines = [Line(front, "no cell shown is both fitter and cheaper", "front", is_stepped=True)]
    limits = [limit for cell, _ in known for limit in cell.limits or ()]
    for cell, cost in known:
        if cell.limits:
            title = f"{cell.name or cell.cell}: {' to '.join(map(ratio_text, cell.limits))}"
            lines.append(Line([(cost, limit) for limit in cell.limits], title, "whisker"))
    dots = [
        Dot(
            cost,
            cell.fitness,
            f"{cell.name or cell.cell}: {grouped(cost, digits)} {unit}, fitness {ratio_text(cell.fitness)}",
            "dot founder" if cell.name else "dot on-front" if is_on else "dot",
            cell.cell if cell.is_listed else "",
            cell.name,
        )
        for (cell, cost), is_on in zip(known, is_on_front, strict=True)
    ]
    x_axis = Axis.around(label, costs, num_ticks=4)
    return Chart(
        f"fitness against {label}", x_axis, Axis.around("fitness", [*fitnesses, *limits]), lines, dots
    ).to_svg()
