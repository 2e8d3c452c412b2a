"""The picture of a search at work: how far it is, the best cells, what became of the candidates, what failed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rich import box
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from archsearch.search.knowledge import Knowledge
from archsearch.search.outcome import COMPLETED, NOTHING_NEW

CELLS_SHOWN = 8


@dataclass(frozen=True)
class BestCell:
    """One of the best cells: its name or id, its fitness, its ratio on each task."""

    title: str
    fitness: float
    ratios: Mapping[str, float]


@dataclass(frozen=True)
class LiveState:
    """A search at one moment.

    Attributes:
        tasks: Names of the tasks.
        num_candidates: Candidates proposed and done with.
        max_candidates: Of the whole search; None where it is not known.
        stages: Candidates by where they ended: a task's name, `completed`, `nothing_new`.
        num_duplicates: Children drawn that the search knew.
        num_out_of_bounds: Children drawn that were too large or otherwise unfit.
        num_trials: Trials that have finished.
        num_recorded: Of them, those that an earlier sitting left in the journal.
        num_copied: Of them, those that were recorded in other runs.
        trials_per_hour: None where there is no saying.
        num_busy: Trials in flight; None where it cannot be seen.
        num_workers: Trials that can be in flight at once; None where it is not known.
        seconds_left: A guess; None before there is one.
        failures: Trials by the way in which they failed.
        best: The best cells, best first; empty until the founders are done.
        founder_trials: Finished and planned trials of the founders, until these are done.
    """

    tasks: tuple[str, ...]
    num_candidates: int = 0
    max_candidates: int | None = None
    stages: Mapping[str, int] = field(default_factory=dict)
    num_duplicates: int = 0
    num_out_of_bounds: int = 0
    num_trials: int = 0
    num_recorded: int = 0
    num_copied: int = 0
    trials_per_hour: float | None = None
    num_busy: int | None = None
    num_workers: int | None = None
    seconds_left: float | None = None
    failures: Mapping[str, int] = field(default_factory=dict)
    best: tuple[BestCell, ...] = ()
    founder_trials: tuple[int, int] | None = None


def best_cells(knowledge: Knowledge, count: int = CELLS_SHOWN) -> tuple[BestCell, ...]:
    """Returns the first cells of the list."""
    records = [knowledge.cells[digest] for _, digest in knowledge.listed[:count]]
    return tuple(
        BestCell(record.name or record.digest, knowledge.fitness(record) or 0.0, knowledge.ratios(record))
        for record in records
    )


def live_picture(state: LiveState) -> Group:
    """Returns the picture: progress, best cells, stages, pace, failures."""
    parts: list[RenderableType] = [_progress(state)]
    if state.best:
        parts.append(_best(state))
    elif state.num_candidates == 0:
        parts.append(Text("The founders are being trained first; every other cell is compared with them."))
    parts += [Text(stages_line(state)), Text(pace_line(state))]
    if state.failures:
        parts.append(Text(failures_line(state), style="yellow"))
    return Group(*parts)


def live_lines(state: LiveState) -> str:
    """Returns the numbers alone in one line, for where nothing can be drawn over."""
    parts = [progress_line(state), *([] if state.founder_trials else [stages_line(state)]), pace_line(state)]
    return " | ".join([*parts, *([failures_line(state)] if state.failures else [])])


def progress_line(state: LiveState) -> str:
    """Returns how far the search is."""
    if state.founder_trials is not None:
        done, planned = state.founder_trials
        said = f"founders {done}/{planned} trials" if planned else f"founders {done} trials"
    elif state.max_candidates is None:
        said = f"candidates {state.num_candidates}"
    else:
        said = f"candidates {state.num_candidates}/{state.max_candidates}"
    return said + (f", {time_left(state.seconds_left)}" if state.seconds_left else "")


def stages_line(state: LiveState) -> str:
    """Returns what became of the candidates, in the order of the stages."""
    parts = [f"proposed {state.num_candidates}", f"duplicates {state.num_duplicates}"]
    parts += [f"out of bounds {state.num_out_of_bounds}"] if state.num_out_of_bounds else []
    parts += [f"nothing new {state.stages[NOTHING_NEW]}"] if state.stages.get(NOTHING_NEW) else []
    parts += [f"fell at {stage} {count}" for stage, count in _fallen(state)]
    return ", ".join([*parts, f"admitted {state.stages.get(COMPLETED, 0)}"])


def pace_line(state: LiveState) -> str:
    """Returns how fast the search is and how busy its workers are."""
    origins = {"from the journal": state.num_recorded, "recorded in other runs": state.num_copied}
    known = ", ".join(f"{count} {origin}" for origin, count in origins.items() if count)
    parts = [f"trials {state.num_trials}" + (f" ({known})" if known else "")]
    parts += [] if state.trials_per_hour is None else [f"about {state.trials_per_hour:,.0f} an hour"]
    if state.num_workers is not None:
        of_all = f"{state.num_workers} worker{'s' if state.num_workers != 1 else ''}"
        parts.append(of_all if state.num_busy is None else f"{state.num_busy} of {of_all} busy")
    elif state.num_busy is not None:
        parts.append(f"{state.num_busy} at work")
    return ", ".join(parts)


def failures_line(state: LiveState) -> str:
    """Returns the failures by kind."""
    return "failed: " + ", ".join(f"{status} {count}" for status, count in sorted(state.failures.items()))


def time_left(seconds: float) -> str:
    """Returns a guess as people say it."""
    if seconds < 90:
        return f"about {seconds:.0f} s left"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} min left"
    return f"about {seconds / 3600:.1f} h left"


def _fallen(state: LiveState) -> Iterator[tuple[str, int]]:
    """Yields the stages at which candidates fell: the screen first, then the tasks in their order."""
    stages = [stage for stage in state.stages if stage not in {COMPLETED, NOTHING_NEW, *state.tasks}]
    for stage in (*stages, *state.tasks):
        if state.stages.get(stage):
            yield stage, state.stages[stage]


def _progress(state: LiveState) -> RenderableType:
    line = Text(progress_line(state), style="bold")
    total = state.founder_trials[1] if state.founder_trials else state.max_candidates
    done = state.founder_trials[0] if state.founder_trials else state.num_candidates
    if not total:
        return line
    grid = Table.grid(padding=(0, 2))
    grid.add_row(line, ProgressBar(total=total, completed=min(done, total), width=30))
    return grid


def _best(state: LiveState) -> Table:
    table = Table(title="best cells so far", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("rank", "cell", "fitness", *state.tasks):
        table.add_column(column, justify="left" if column == "cell" else "right", no_wrap=True)
    for rank, cell in enumerate(state.best, start=1):
        ratios = (f"{cell.ratios[task]:.3f}" if task in cell.ratios else "" for task in state.tasks)
        table.add_row(str(rank), cell.title, f"{cell.fitness:.3f}", *ratios)
    return table
