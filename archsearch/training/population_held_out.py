"""A task's held-out data as a population reads them: in few shapes, none larger than those of training if need be not.

For each shape a population holds memory, and a GPU a recording of its own. So what is independent is read in parts,
and what may be filled up is.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from archsearch.training.minibatch import Minibatch, held_out_minibatches
from archsearch.training.population_data import MAX_SHAPES, NUM_ABREAST, Chunk, Chunks, grown
from archsearch.trials.task import Task
from archsearch.trials.trial import Recipe


def validation_chunks(task: Task, recipe: Recipe, dtype: torch.dtype, multiple: int) -> list[Chunk]:
    """Returns the validation data.

    Args:
        task: Whose.
        recipe: Minibatch and unrolling.
        dtype: Of numbers.
        multiple: Numbers of steps are rounded up to a multiple of it, where steps may be added.
    """
    minibatches = in_parts(held_out_minibatches(task, "validation", recipe), recipe.batch_size)
    multiple = multiple_for(minibatches, multiple)
    most_sequences = max((minibatch.batch_size for minibatch in minibatches), default=0)
    chunks, found = Chunks([minibatches], task.interface, dtype, multiple, most_sequences), []
    while (chunk := chunks.take(NUM_ABREAST)) is not None:
        found.append(chunk)
    return found


def in_parts(minibatches: Sequence[Minibatch], most_sequences: int) -> list[Minibatch]:
    """Returns minibatches of at most so many sequences; those whose states are carried on stay whole."""
    parts: list[Minibatch] = []
    for minibatch, may_change in zip(minibatches, _stand_alone(minibatches), strict=True):
        if not (may_change and (minibatch.starts or not parts)) or minibatch.batch_size <= most_sequences:
            parts.append(minibatch)
            continue
        starts = range(0, minibatch.batch_size, most_sequences)
        parts += [_some_sequences(minibatch, slice(start, start + most_sequences)) for start in starts]
    return parts


def multiple_for(minibatches: Sequence[Minibatch], multiple: int) -> int:
    """Returns by what numbers of steps are to be divisible, so that there are few of them; at least `multiple`."""
    lengths = [len(minibatch.inputs) for minibatch in minibatches]
    may_grow = _stand_alone(minibatches)
    longest = max(lengths, default=0)
    fixed = {length for length, may in zip(lengths, may_grow, strict=True) if not may}

    def num_shapes() -> int:
        return len(fixed | {grown(length, multiple, fixed) for length in lengths})

    while multiple < longest and num_shapes() > MAX_SHAPES:
        multiple *= 2
    return multiple


def _stand_alone(minibatches: Sequence[Minibatch]) -> list[bool]:
    """Tells of each minibatch whether nothing goes on where it ends."""
    return [following.starts for following in minibatches[1:]] + [True] * bool(minibatches)


def _some_sequences(minibatch: Minibatch, sequences: slice) -> Minibatch:
    """Returns some of the sequences of a minibatch, all of which begin with it."""
    num_steps, num_sequences = minibatch.inputs.shape[:2]
    places = torch.arange(num_steps * num_sequences).view(num_steps, num_sequences)
    positions = places.flatten() if minibatch.positions is None else minibatch.positions
    number = torch.full((places.numel(),), -1).index_copy_(0, positions, torch.arange(len(positions)))
    numbers = number.view_as(places)[:, sequences].flatten()
    is_scored = numbers >= 0
    return replace(
        minibatch,
        inputs=minibatch.inputs[:, sequences],
        positions=is_scored.nonzero().flatten(),
        targets=minibatch.targets[numbers[is_scored]],
        starts=True,
    )
