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
from archsearch.training.width import hidden_size_for, model_parameters
from archsearch.trials.interface import Interface
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
    trials: Sequence[Trial], interfaces: Mapping[str, Interface], populations: Populations, unit_multiple: int
) -> list[Group]:
    """Returns the trials in groups, each of which trains together; in the order of their first trials.

    Together are trials of one cell, task, recipe, length, root seed and number of layers, whose widths are near each
    other. A trial that cannot be trained beside others is a group by itself: one with dropout, or too large for its
    budget, or of a task that is not known here.

    Args:
        trials: In any order; a group keeps it.
        interfaces: Of the tasks, by name.
        populations: What a run is told.
        unit_multiple: Widths are filled up to a multiple of it.
    """
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
        interface, multiple = interfaces[first.task], _multiple_for(first.graph, unit_multiple)
        for hidden_size, bucket in _buckets(sized, populations.padding, multiple):
            size = _most_members(first, interface, hidden_size, populations)
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
    return _round_up(max(widths), _multiple_for(cell, unit_multiple))


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
        own = _round_up(width, unit_multiple)
        if not size or (own != size and (not unit_multiple or size > padding * width)):
            size = own
        size_of[width] = size
    buckets: dict[int, list[Trial]] = {}
    for width, trial in sized:
        buckets.setdefault(size_of[width], []).append(trial)
    return list(buckets.items())


def _round_up(width: int, unit_multiple: int) -> int:
    return width if not unit_multiple else -(-width // unit_multiple) * unit_multiple


def _most_members(trial: Trial, interface: Interface, hidden_size: int, populations: Populations) -> int:
    """Returns how many members a population may have, by memory and by number."""
    fitting = max(1, populations.memory_mb * MEGABYTE // member_bytes(trial, interface, hidden_size))
    return fitting if populations.members is None else min(fitting, populations.members)


def member_bytes(trial: Trial, interface: Interface, hidden_size: int) -> int:
    """Returns about how much memory one member of a population takes.

    Counted are the values of all nodes and states of each layer at all time steps with their gradients, as if all had
    to be kept, the predictions with theirs, and the weights four times: with gradients, and what is needed for a step.

    Args:
        trial: One of the population's.
        interface: Of its task.
        hidden_size: Units, with padding.
    """
    recipe, structure, num_layers = trial.recipe, trial.graph.structure, trial.setting.num_layers
    num_positions = recipe.batch_size * recipe.unroll
    numbers = num_layers * 2 * (1 + len(structure.states) + len(structure.nodes)) * num_positions * hidden_size
    numbers += 4 * num_positions * interface.output_size
    numbers += 4 * model_parameters(structure, interface, hidden_size, num_layers)
    return numbers * (8 if recipe.precision == "float64" else 4)
