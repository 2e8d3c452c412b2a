"""Which trials train together, as a population: a function of the trials alone, and of what the run is told.

Source: Jozefowicz 2015, sec. 3.3; R20-R24, the settings that a cell is tried with, of several layers and widths.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from archsearch.compiler.lower import lower
from archsearch.errors import ConfigError
from archsearch.graph.cell_graph import CellGraph
from archsearch.training.padding import stays_small_without_weights
from archsearch.training.population_data import round_up
from archsearch.training.population_memory import data_shapes, memory_need, num_streams_of
from archsearch.training.width import hidden_size_for
from archsearch.trials.interface import Interface
from archsearch.trials.task import Task
from archsearch.trials.trial import Trial

Group = tuple[Trial, ...]

MEGABYTE = 2**20


@dataclass(frozen=True)
class Populations:
    """What decides, with the trials, which of them train together; fixed for a run.

    Attributes:
        members: Of a population, at the most; None for as many as the memory holds.
        padding: How many times its own width a member may be as wide as, for the sake of wider ones.
        memory_mb: Of all its numbers, about, in units of 2**20 bytes.
    """

    members: int | None = None
    padding: float = 3.0
    memory_mb: int = 4096


def group_trials(
    trials: Sequence[Trial],
    tasks: Mapping[str, Task],
    populations: Populations,
    unit_multiple: int,
    step_multiple: int = 1,
) -> list[Group]:
    """Returns the trials in groups, each of which trains together; in the order of their first trials.

    Together are trials of one cell, task, recipe, length, root seed and number of layers, whose widths are near each
    other. A trial that cannot be trained beside others is a group by itself: one with dropout, or too large for its
    budget, or of a task that is not known here.

    Args:
        trials: In any order; a group keeps it.
        tasks: By name.
        populations: What a run is told.
        unit_multiple: Widths are filled up to a multiple of it.
        step_multiple: Numbers of time steps likewise.
    """
    interfaces = {name: task.interface for name, task in tasks.items()}
    alike: dict[tuple[object, ...], list[tuple[int, Trial]]] = {}
    for trial in trials:
        width = width_of(trial, interfaces)
        alike.setdefault(_kind(trial) if width else (trial.key,), []).append((width or 0, trial))
    groups: list[Group] = []
    for sized in alike.values():
        first = sized[0][1]
        if sized[0][0] == 0:
            groups.append((first,))
            continue
        task, multiple = tasks[first.task], _multiple_for(first.graph, unit_multiple)
        shapes = data_shapes(first, task, step_multiple)
        for hidden_size, bucket in _buckets(sized, populations.padding, multiple):
            need = memory_need(first, task.interface, hidden_size, shapes)
            size = need.most_members(populations.memory_mb * MEGABYTE, num_streams_of(bucket))
            size = min(size, populations.members or size)
            groups += [tuple(bucket[start : start + size]) for start in range(0, len(bucket), size)]
    order = {trial.key: number for number, trial in enumerate(trials)}
    return sorted(groups, key=lambda group: order[group[0].key])


def width_of(trial: Trial, interfaces: Mapping[str, Interface]) -> int | None:
    """Returns a trial's number of units, None if it must be trained alone."""
    interface, setting = interfaces.get(trial.task), trial.setting
    if interface is None or trial.recipe.dropout:
        return None
    try:
        return hidden_size_for(trial.graph.structure, interface, setting.num_layers, setting.max_parameters)
    except ConfigError:  # too large; the trial's own evaluation says so
        return None


def padded_size(widths: Sequence[int], cell: CellGraph, unit_multiple: int) -> int:
    """Returns the units that members of some widths are filled up to."""
    return round_up(max(widths), _multiple_for(cell, unit_multiple))


@lru_cache(maxsize=256)
def _multiple_for(cell: CellGraph, unit_multiple: int) -> int:
    """Returns 0 for a cell whose units must not be filled up at all: what is added would grow without bound."""
    return unit_multiple if stays_small_without_weights(lower(cell.structure)) else 0


def _kind(trial: Trial) -> tuple[object, ...]:
    return (
        trial.cell,
        trial.graph,
        trial.task,
        trial.task_digest,
        trial.recipe.digest,
        trial.max_steps,
        trial.root_seed,
        trial.setting.num_layers,
    )


def _buckets(sized: Sequence[tuple[int, Trial]], padding: float, unit_multiple: int) -> list[tuple[int, list[Trial]]]:
    """Parts trials by width: each bucket begins with the widest left and takes what may be filled up to that."""
    size_of: dict[int, int] = {}
    size = 0
    for width in sorted({width for width, _ in sized}, reverse=True):
        own = round_up(width, unit_multiple)
        if not size or (own != size and (not unit_multiple or size > padding * width)):
            size = own
        size_of[width] = size
    buckets: dict[int, list[Trial]] = {}
    for width, trial in sized:
        buckets.setdefault(size_of[width], []).append(trial)
    return list(buckets.items())
