"""The best n-gram: how well a task can be done by looking at the last few symbols only."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archsearch.trials.task import Batch

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class _Positions:
    """The scored positions of some batches.

    Attributes:
        read: `[N]` symbols read last, then those read before them, and so on; -1 where so many were not read since the
            states were last set to zero.
        targets: `[N]` symbols to predict.
    """

    read: Sequence[Integers]
    targets: Integers


def ngram_accuracy(training: Iterable[Batch], held_out: Iterable[Batch], num_symbols: int, max_order: int = 3) -> float:
    """Returns the accuracy on held-out data of the best n-gram with n from 1 to `max_order`.

    An n-gram predicts what most often followed the last n - 1 symbols read, at scored positions of the training data,
    and asks the (n-1)-gram where it never saw them. Among equally frequent symbols the first wins.
    """
    seen, asked = _positions(training, max_order), _positions(held_out, max_order)
    guesses = np.zeros_like(asked.targets)
    best = 0.0
    for seen_contexts, asked_contexts in _contexts(seen, asked, num_symbols):
        known, favourites = _favourites(seen_contexts, seen.targets, num_symbols)
        if known.size:
            places = np.minimum(np.searchsorted(known, asked_contexts), known.size - 1)
            guesses = np.where(known[places] == asked_contexts, favourites[places], guesses)
        best = max(best, float(np.mean(guesses == asked.targets)))
    return best


def ngram_nll(training: Iterable[Batch], held_out: Iterable[Batch], num_symbols: int, max_order: int = 3) -> float:
    """Returns the negative log likelihood per scored position, in nats, of the best n-gram with n up to `max_order`.

    Each n-gram is mixed with the shorter one as Witten and Bell do, and the shortest with equal chances for all:
    what followed a context `c` times, `d` different symbols, gives its own counts the share c / (c + d).

    Source: Witten & Bell 1991, The zero-frequency problem; doi.org/10.1109/18.87000.
    """
    seen, asked = _positions(training, max_order), _positions(held_out, max_order)
    likely = np.full(len(asked.targets), 1 / num_symbols)
    best = float(-np.log(likely).mean())
    for seen_contexts, asked_contexts in _contexts(seen, asked, num_symbols):
        complete = seen_contexts >= 0
        pairs, counts = np.unique(seen_contexts[complete] * num_symbols + seen.targets[complete], return_counts=True)
        known, firsts, num_different = np.unique(pairs // num_symbols, return_index=True, return_counts=True)
        if not known.size:
            break
        totals = np.add.reduceat(counts, firsts)
        places, is_known = _find(known, asked_contexts)
        pair_places, is_pair = _find(pairs, asked_contexts * num_symbols + asked.targets)
        followed = np.where(is_pair & is_known, counts[pair_places], 0)
        mixed = (followed + num_different[places] * likely) / (totals[places] + num_different[places])
        likely = np.where(is_known, mixed, likely)
        best = min(best, float(-np.log(likely).mean()))
    return best


def _find(known: Integers, asked: Integers) -> tuple[Integers, NDArray[np.bool_]]:
    """Returns where each number stands among ascending ones, and whether it is there."""
    places = np.minimum(np.searchsorted(known, asked), known.size - 1)
    return places, (known[places] == asked) & (asked >= 0)


def _positions(batches: Iterable[Batch], max_order: int) -> _Positions:
    symbols: list[list[Integers]] = [[] for _ in range(max_order - 1)]
    targets = []
    before: Integers | None = None
    for batch in batches:
        if before is None or batch.starts:
            before = np.full((max_order, batch.inputs.shape[1]), -1, np.int64)
        read = np.concatenate([before, batch.inputs])
        before = read[-max_order:]
        for distance, earlier in enumerate(symbols):
            end = len(read) - distance
            earlier.append(read[end - len(batch.inputs) : end][batch.scored])
        targets.append(batch.targets[batch.scored])
    return _Positions([np.concatenate(earlier) for earlier in symbols], np.concatenate(targets))


def _contexts(seen: _Positions, asked: _Positions, num_symbols: int) -> Iterator[tuple[Integers, Integers]]:
    """Yields `[N]` and `[M]` numbers of the contexts of 0, 1, … symbols; -1 where so many were not read.

    Equal contexts have equal numbers, in the order of their symbols. They are numbered anew at each length, lest they
    grow: read as digits, six words of a vocabulary of 1,449 are more than an int64 holds.
    """
    num_seen = len(seen.targets)
    numbers = np.zeros(num_seen + len(asked.targets), np.int64)
    yield numbers[:num_seen], numbers[num_seen:]
    for of_seen, of_asked in zip(seen.read, asked.read, strict=True):
        earlier = np.concatenate([of_seen, of_asked])
        longer = np.where((earlier < 0) | (numbers < 0), -1, numbers * num_symbols + earlier)
        different, numbers = np.unique(longer, return_inverse=True)
        numbers = numbers + different.min(initial=0)  # what was -1 is so again
        yield numbers[:num_seen], numbers[num_seen:]


def _favourites(contexts: Integers, targets: Integers, num_symbols: int) -> tuple[Integers, Integers]:
    """Returns the contexts seen, ascending, and the symbol that followed each most often."""
    complete = contexts >= 0
    pairs, counts = np.unique(contexts[complete] * num_symbols + targets[complete], return_counts=True)
    order = np.lexsort((pairs, -counts, pairs // num_symbols))
    known, first = np.unique(pairs[order] // num_symbols, return_index=True)
    return known, pairs[order][first] % num_symbols
