"""Accuracy over scored positions, states carried over."""

from dataclasses import replace

import pytest
import torch

from archsearch.errors import ConfigError
from archsearch.graph.catalog import zoo_cell
from archsearch.training.measurement import measure
from archsearch.training.minibatch import Minibatch
from archsearch.training.model import SequenceModel
from archsearch.training.stops import Deadline
from archsearch.trials.interface import Interface
from archsearch.trials.metric import ACCURACY


@pytest.mark.parametrize("scored_share", [1.0, 0.4])
@pytest.mark.parametrize("starts_every", [0, 2])
def test_counts_scored_positions_of_one_long_sequence(recall_task, scored_share, starts_every):
    """R27 for held-out data: equals reading everything between two starts in one go."""
    task = replace(recall_task, scored_share=scored_share, starts_every=starts_every, num_held_out=4)
    torch.manual_seed(0)
    model = SequenceModel(zoo_cell("gru"), Interface.of_symbols(3), 8)
    batches = list(task.held_out("validation", 4, 6))
    (got,) = measure(model, [Minibatch.from_batch(batch) for batch in batches], (ACCURACY,), Deadline())

    right = scored = 0
    piece = len(batches) if starts_every == 0 else starts_every
    for start in range(0, len(batches), piece):
        inputs, targets, counts = (
            torch.cat([torch.tensor(getattr(batch, name)) for batch in batches[start : start + piece]])
            for name in ("inputs", "targets", "scored")
        )
        guesses = model(inputs)[0].argmax(-1)
        right += int(((guesses == targets) & counts).sum())
        scored += int(counts.sum())
    assert scored > 0
    assert got == right / scored


def test_where_nothing_is_scored_there_is_nothing_to_measure(recall_task):
    """An error of 0 would be the best of all."""
    task = replace(recall_task, scored_share=0.0)
    model = SequenceModel(zoo_cell("gru"), Interface.of_symbols(3), 8)
    minibatches = [Minibatch.from_batch(batch) for batch in task.held_out("validation", 4, 6)]
    with pytest.raises(ConfigError, match="held-out data with scored positions, got none"):
        measure(model, minibatches, (ACCURACY,), Deadline())
