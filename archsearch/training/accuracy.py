"""How often a model's best guess is right."""

from collections.abc import Iterable

import torch

from archsearch.training.minibatch import Minibatch
from archsearch.training.model import SequenceModel, State
from archsearch.training.stops import Deadline, DivergedError


@torch.inference_mode()
def measure_accuracy(model: SequenceModel, minibatches: Iterable[Minibatch], deadline: Deadline) -> float:
    """Returns the share of scored positions at which the likeliest symbol is the one asked for.

    Raises:
        DivergedError: The model's predictions are not finite.
        TimeLimitError: The deadline has passed.
    """
    state: State | None = None
    num_right = num_scored = 0
    for minibatch in minibatches:
        deadline.check()
        logits, state = model(minibatch.inputs, None if minibatch.starts else state, minibatch.positions)
        best, symbols = logits.flatten(0, -2).max(dim=-1)
        if not best.isfinite().all():  # the maximum of a row with a NaN is NaN
            raise DivergedError("a prediction on held-out data is not finite")
        num_right += int((symbols == minibatch.targets).sum())
        num_scored += len(minibatch.targets)
    return num_right / max(num_scored, 1)
