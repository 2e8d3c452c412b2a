"""Tasks whose data are a set of sequences, each of its own length."""

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from archsearch.seeds import array_generator
from archsearch.trials.examples import Example, cut, padded
from archsearch.trials.problems import Split
from archsearch.trials.task import Batch, HeldOut, Task


@dataclass(frozen=True)
class SequenceSetTask(Task):
    """A task of whole sequences, each from zero states.

    A batch holds sequences of about the same length, the shorter ones filled up with steps that are not scored. An
    epoch, if not given, goes once through the training sequences, whose batches come in random order.

    Attributes:
        epoch: Training steps between two validations.
    """

    epoch: int | None = None

    @property
    def is_cut(self) -> bool:
        """Whether long sequences are read in pieces of the recipe's `unroll`, states being carried; else whole."""
        return False

    @abc.abstractmethod
    def examples(self, split: Split) -> Sequence[Example]:
        """Returns the sequences of a split, always the same."""

    def epoch_steps(self, batch_size: int, unroll: int) -> int:
        """Returns the number of training steps between two validations."""
        if self.epoch is not None:
            return self.epoch
        lengths = sorted(len(example) for example in self.examples("training"))
        longest = [max(lengths[start : start + batch_size]) for start in range(0, len(lengths), batch_size)]
        return sum(-(-length // unroll) for length in longest) if self.is_cut else len(longest)

    def training(self, seed: int, batch_size: int, unroll: int) -> Iterator[Batch]:
        """Yields training batches without end; equal seeds give equal batches."""
        rng = array_generator(seed, "order")
        examples = self.examples("training")
        lengths = np.array([len(example) for example in examples])
        while True:
            order = np.lexsort((rng.random(len(examples)), lengths))  # by length, equal ones at random
            groups = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
            for number in rng.permutation(len(groups)):
                yield from self._pieces([examples[index] for index in groups[number]], unroll)

    def held_out(self, split: HeldOut, batch_size: int, unroll: int) -> Iterator[Batch]:
        """Yields each sequence of a held-out split once, the shortest first."""
        ordered = sorted(self.examples(split), key=len)
        for start in range(0, len(ordered), batch_size):
            yield from self._pieces(ordered[start : start + batch_size], unroll)

    def _pieces(self, examples: Sequence[Example], unroll: int) -> list[Batch]:
        batch = padded(examples)
        return cut(batch, unroll) if self.is_cut else [batch]
