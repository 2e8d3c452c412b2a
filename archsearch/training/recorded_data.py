"""Training data, generated once per process: all cells of a search train on the same minibatches.

Generating problems in Python takes as long as training a small cell on them. Kept are the first minibatches of the few
streams used last, as small integers; what goes beyond is generated anew for each training.
"""

from collections import OrderedDict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from archsearch.training.minibatch import Minibatch
from archsearch.trials.task import Batch, Task

MAX_BYTES = 2**27

_Symbols = NDArray[np.integer] | NDArray[np.float32]
_Kept = tuple[_Symbols, _Symbols, NDArray[np.bool_] | None, bool]


class _Recording:
    """The beginning of one stream, and the generator that stands at its end."""

    def __init__(self, source: Iterator[Batch]) -> None:
        self.source = source
        self.batches: list[_Kept] = []
        self.num_bytes = 0

    def extend(self) -> None:
        """Generates and keeps one more batch."""
        batch = next(self.source)
        kept = _compress(batch)
        self.batches.append(kept)
        self.num_bytes += sum(array.nbytes for array in kept[:3] if array is not None)


_recordings: OrderedDict[tuple[str, int, int, int], _Recording] = OrderedDict()


def training_minibatches(task: Task, seed: int, batch_size: int, unroll: int, start: int = 0) -> Iterator[Minibatch]:
    """Yields what `task.training` yields from minibatch number `start` on, recorded or generated."""
    key = (task.digest, seed, batch_size, unroll)
    index = start
    while True:
        recording = _recordings.get(key)
        if recording is None and index > start:
            break  # gone for want of room: recorded anew, streams read side by side would drive each other out for ever
        if recording is None:
            recording = _recordings[key] = _Recording(task.training(seed, batch_size, unroll))
        _recordings.move_to_end(key)
        while index >= len(recording.batches) and not _is_full(key):
            try:
                recording.extend()
            except BaseException:
                _recordings.pop(key, None)  # a generator that raised, or was stopped on its way, gives nothing any more
                raise
        if index >= len(recording.batches):
            break
        yield Minibatch.from_batch(_restore(recording.batches[index]))
        index += 1
    # beyond what is kept: a generator of this training's own, put forward to where it stands
    source = task.training(seed, batch_size, unroll)
    for _ in range(index):
        next(source)
    for batch in source:
        yield Minibatch.from_batch(batch)


def forget_recordings() -> None:
    """Gives the memory back."""
    _recordings.clear()


def _is_full(key: tuple[str, int, int, int]) -> bool:
    """Says whether a stream alone takes all the memory; other streams go, those used longest ago first."""
    while sum(recording.num_bytes for recording in _recordings.values()) >= MAX_BYTES:
        oldest = next(iter(_recordings))
        if oldest == key:
            return True
        del _recordings[oldest]
    return False


def _compress(batch: Batch) -> _Kept:
    scored = None if batch.scored.all() else batch.scored.copy()
    return _smallest(batch.inputs), _smallest(batch.targets), scored, batch.starts


def _smallest(symbols: NDArray[np.int64] | NDArray[np.float32]) -> _Symbols:
    if np.issubdtype(symbols.dtype, np.floating):
        return np.array(symbols, np.float32)  # may be a window onto the task's own data
    least, most = (np.min_scalar_type(int(bound)) for bound in (symbols.min(initial=0), symbols.max(initial=0)))
    return symbols.astype(np.promote_types(least, most))


def _restore(kept: _Kept) -> Batch:
    inputs, targets, scored, starts = kept
    everywhere = np.ones(inputs.shape[:2], dtype=np.bool_) if scored is None else scored
    return Batch(_widest(inputs), _widest(targets), everywhere, starts)


def _widest(kept: _Symbols) -> NDArray[np.int64] | NDArray[np.float32]:
    return kept.astype(np.float32) if kept.dtype == np.float32 else kept.astype(np.int64)
