"""Numbers and sentences as the report writes them."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from archsearch.report.confirmed import ConfirmedRow
from archsearch.run.progress import best_found
from archsearch.run.reading import Run
from archsearch.trials.value_texts import ratio_text, value_text

MINUS = "\N{MINUS SIGN}"
NONE = "\N{EN DASH}"


def number(value: float | None, digits: int = 3) -> str:
    """Returns a number, or a dash where there is none."""
    if value is None or not math.isfinite(value):
        return NONE
    return value_text(value, digits).replace("-", MINUS)


def ratio(value: float | None, digits: int = 3) -> str:
    """Returns a ratio or a fitness, told from 1, or a dash where there is none."""
    return NONE if value is None or not math.isfinite(value) else ratio_text(value, digits)


def signed(value: float | None) -> str:
    """Returns a change with its sign, or a dash where there is none."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{value:+.3f}".replace("-", MINUS)


def grouped(value: float, digits: int = 0) -> str:
    """Returns a number with its thousands set apart."""
    return f"{value:,.{digits}f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def percent(value: float) -> str:
    """Returns a share in percent."""
    return f"{100 * value:.0f}\N{NARROW NO-BREAK SPACE}%"


def words(name: str) -> str:
    """Returns the name of a transformation or a status as people say it."""
    return name.replace("_", " ")


def duration(seconds: float) -> str:
    """Returns a time in the unit that suits it."""
    unit, unit_seconds = time_unit(seconds)
    value = seconds / unit_seconds
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"


def time_unit(seconds: float) -> tuple[str, float]:
    """Returns the unit in which such a time is said best, and its length in seconds."""
    if seconds < 120:
        return "seconds", 1.0
    if seconds < 7200:
        return "minutes", 60.0
    return "hours", 3600.0


_WARNING = (
    "Each ratio compares the best of several noisy trainings, on the data that the search looked at: take ratios near "
    "1 as ties until fresh seeds and test data confirm them."
)

FILTERS: Mapping[str, Callable[..., str]] = {
    "number": number,
    "ratio": ratio,
    "signed": signed,
    "grouped": grouped,
    "percent": percent,
    "words": words,
    "duration": duration,
}


def headline(run: Run, confirmed: Sequence[ConfirmedRow]) -> list[str]:
    """Returns what came out, in sentences that claim no more than is known."""
    if not run.outcomes:
        trials = run.journaled_trials
        failed = sum(trial.result.status != "ok" for trial in trials)
        ended = f"{len(trials)} of their trainings have ended" + (f", {failed} of these failed" if failed else "")
        return [f"The founders are not done yet, so nothing is ranked: {ended}."]
    knowledge: Any = run.knowledge
    digest = best_found(knowledge)
    if not digest:
        return ["No found cell has passed every gate yet; the leaderboard holds the founders alone."]
    record, baseline = knowledge.cells[digest], knowledge.cells[knowledge.founders[0]]
    fitness, ratios = knowledge.fitness(record), knowledge.ratios(record)
    worst = min(ratios, key=ratios.__getitem__)
    other = baseline.name or baseline.digest
    relation = "above" if fitness > 1 else "below" if fitness < 1 else "equal to"
    found = (
        f"The best found cell, {digest}, has fitness {ratio_text(fitness)}, {relation} that of the {other}, 1; its "
        f"ratio is least on {worst}."
    )
    sentences = [row.sentence for row in confirmed if row.cell == digest and row.sentence]
    # that a known cell is better is no find
    better = [row for row in confirmed if row.verdict == "better" and not row.name and row.cell != digest]
    return [found, *(sentences or [_WARNING]), *(row.sentence for row in better)]
