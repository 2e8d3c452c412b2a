"""The best n-gram once more: slowly, with dictionaries, one position after the other."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

import numpy as np

from archsearch.trials.task import Batch


def slow_ngram_accuracy(training: Iterable[Batch], held_out: Iterable[Batch], max_order: int = 3) -> float:
    """The best of 1-gram to `max_order`-gram, each backing off."""
    followers = followers_of(training, max_order)
    # the smallest number wins a tie
    favourite = {context: min(found, key=lambda s: (-found[s], s)) for context, found in followers.items()}
    hits, total = [0] * max_order, 0
    for read, target in positions(held_out, max_order):
        total += 1
        for longest in range(max_order):
            contexts = [read[len(read) - n :] for n in range(min(longest, len(read)), -1, -1)]
            hits[longest] += favourite[next(c for c in contexts if c in favourite)] == target
    return max(hits) / total


def slow_ngram_nll(training: Iterable[Batch], held_out: Iterable[Batch], num_symbols: int, max_order: int = 3) -> float:
    """The best of even chances and 1-gram to `max_order`-gram, each mixed with the shorter one."""
    followers = followers_of(training, max_order)
    nats, total = [0.0] * (max_order + 1), 0
    for read, target in positions(held_out, max_order):
        total += 1
        chance = 1 / num_symbols
        nats[0] -= math.log(chance)
        for order in range(1, max_order + 1):
            length = order - 1
            found = followers.get(read[len(read) - length :]) if length <= len(read) else None
            if found:
                chance = (found[target] + len(found) * chance) / (found.total() + len(found))
            nats[order] -= math.log(chance)
    return min(nats) / total


def followers_of(batches: Iterable[Batch], max_order: int) -> dict[tuple[int, ...], Counter[int]]:
    """How often each symbol followed each context of up to `max_order - 1` symbols."""
    followers: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for read, target in positions(batches, max_order):
        for length in range(len(read) + 1):
            followers[read[len(read) - length :]][target] += 1
    return dict(followers)


def positions(batches: Iterable[Batch], max_order: int) -> Iterator[tuple[tuple[int, ...], int]]:
    """The last symbols read, `max_order - 1` at the most, and the one asked for, at each scored position."""
    read: list[tuple[int, ...]] = []
    for batch in batches:
        if batch.starts:
            read = [() for _ in range(batch.inputs.shape[1])]
        for t, b in np.ndindex(*batch.inputs.shape):
            kept = (*read[b], int(batch.inputs[t, b]))
            read[b] = kept[max(0, len(kept) - max_order + 1) :]
            if batch.scored[t, b]:
                yield read[b], int(batch.targets[t, b])
