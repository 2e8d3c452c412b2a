"""`report.html`: a run as one static page that needs nothing but a browser."""

import base64
import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from archsearch.report.account import environments, failures, funnel, num_duplicates, stages, successes, task_costs
from archsearch.report.cells import CellView, cell_views
from archsearch.report.confirmed import ConfirmedRow, confirmed_rows
from archsearch.report.cost_charts import Priced, cost_chart
from archsearch.report.curves import metric_names
from archsearch.report.figures import progress_chart
from archsearch.report.texts import FILTERS, headline, time_unit
from archsearch.run.folder import write_atomically
from archsearch.run.progress import founder_fitnesses
from archsearch.run.ranking import ranking_sentence
from archsearch.run.reading import Run
from archsearch.run.simple_predictors_file import beside_simple_predictors
from archsearch.search.leaderboard import leaderboard_rows

FILE_NAME = "report.html"


def write_report(run: Run, path: Path | None = None) -> Path:
    """Writes the report and returns where it is.

    Args:
        run: The run.
        path: Where it goes; None for the run's folder, where it replaces an older one.

    Raises:
        FileFormatError: A confirmation, or what simple predictors reach, is damaged in the folder.
        OSError: The file cannot be written.
    """
    path = path or run.path / FILE_NAME
    write_atomically(path, render_report(run))
    return path


def render_report(run: Run) -> str:
    """Returns the page of a run: everything is inside, nothing is loaded, every text is escaped.

    Raises:
        FileFormatError: A confirmation, or what simple predictors reach, is damaged in the folder.
    """
    environment = Environment(
        loader=PackageLoader("archsearch.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    style, script = _part("page.css"), _part("page.js")
    return environment.get_template("page.html").render(
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        # the browser runs this script and no other, whatever may have come into the page
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        **_content(run),
    )


def _part(name: str) -> str:
    return (files("archsearch.report") / "page" / name).read_text(encoding="utf-8")


def _content(run: Run) -> dict[str, Any]:
    """Returns everything that the page shows."""
    knowledge = run.knowledge
    confirmed = confirmed_rows(run)
    cells = cell_views(run, {row.cell: row.verdict for row in confirmed})
    progress, founders = run.progress(), founder_fitnesses(knowledge)
    baseline = next(iter(founders), "baseline")
    unit, seconds = time_unit(float(progress["training_seconds"].max()) if len(progress) else 0.0)
    timed = progress.assign(training_time=progress["training_seconds"] / seconds)
    return {
        "name": run.path.resolve().name,
        "tasks": run.tasks,
        "metrics": metric_names(run),
        "summary": run.summary(),
        "duplicates": num_duplicates(run),
        "headline": [*headline(run, confirmed), *_beside_simple_predictors(run)],
        "best_fitness": progress["best_fitness"].iloc[-1] if len(progress) else None,
        "founders": founders,
        "baseline": baseline,
        "errors": [metric.name for metric in dict.fromkeys(knowledge.metrics.values()) if not metric.higher_is_better],
        "ranking": ranking_sentence(knowledge.penalty, baseline),
        "cells": cells,
        "confirmed": confirmed,
        "by_candidates": progress_chart(progress, founders, "candidates", "candidates proposed"),
        "by_time": progress_chart(timed, founders, "training_time", f"{unit} of training, all workers together"),
        **_cost_charts(cells, confirmed),
        "funnel": funnel(run),
        "stages": stages(run),
        "successes": successes(run),
        "costs": task_costs(run),
        "failures": failures(run),
        "environments": environments(run),
        "commands": run.folder.read_commands(),
        "configuration": run.folder.read_config() if run.folder.config_path.is_file() else "",
        "about": run.about,
        "version": version("archsearch"),
    }


def _beside_simple_predictors(run: Run) -> list[str]:
    rows = leaderboard_rows(run.knowledge) if run.outcomes else []
    return beside_simple_predictors(run.folder, rows[0]) if rows else []


def _cost_charts(cells: Sequence[CellView], confirmed: Sequence[ConfirmedRow]) -> dict[str, Markup]:
    """Returns the charts of fitness against size and against time, of the listed cells and of the confirmed ones."""
    size, time, unit = "parameters of one layer, 128 inputs and units", "milliseconds of a training step", "ms a step"
    rows = [cell.row for cell in cells]
    sizes = [Priced(row.cell, row.name, row.fitness, row.parameters) for row in rows]
    times = [Priced(cell.row.cell, cell.row.name, cell.row.fitness, cell.step_milliseconds) for cell in cells]
    listed = {row.cell for row in rows}
    sure = [(row, row.cell in listed, row.limits) for row in confirmed if row.limits]
    return {
        "by_parameters": cost_chart(sizes, size, "parameters"),
        "by_step_time": cost_chart(times, time, unit, 2),
        "confirmed_by_parameters": cost_chart(
            [
                Priced(row.cell, row.name, at, row.parameters, (low, high), is_listed)
                for row, is_listed, (low, at, high) in sure
            ],
            size,
            "parameters",
        ),
        "confirmed_by_step_time": cost_chart(
            [
                Priced(row.cell, row.name, at, row.step_milliseconds, (low, high), is_listed)
                for row, is_listed, (low, at, high) in sure
            ],
            f"{time}, one layer of 128 units",
            unit,
            2,
        ),
    }
