"""One long text read as parallel streams.

Shapes: `N` symbols, `T` time steps, `B` parallel streams.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ConfigError
from archsearch.trials.task import Batch


def in_streams(text: NDArray[np.integer], num_streams: int) -> NDArray[np.integer]:
    """Returns `[N // B, B]`: a view of the text in `B` pieces side by side, without the few symbols left over."""
    length = len(text) // num_streams
    return text[: length * num_streams].reshape(num_streams, length).T


def stream_batches(streams: NDArray[np.integer], unroll: int) -> Iterator[Batch]:
    """Yields streams from their beginning to their end; the last batch may have fewer steps."""
    num_positions = len(streams) - 1
    for start in range(0, num_positions, unroll):
        end = min(start + unroll, num_positions)
        # a long text is held in the smallest type there is
        inputs, targets = (
            np.ascontiguousarray(streams[first : first + end - start], np.int64) for first in (start, start + 1)
        )
        yield Batch(inputs, targets, np.ones(inputs.shape, np.bool_), starts=start == 0)


def whole_batches(text: NDArray[np.integer], batch_size: int, unroll: int) -> Iterator[Batch]:
    """Yields a text again and again, in whole batches."""
    streams = in_streams(text, batch_size)
    while True:
        yield from (batch for batch in stream_batches(streams, unroll) if len(batch.inputs) == unroll)


def count_whole_batches(task: str, num_symbols: int, batch_size: int, unroll: int) -> int:
    """Returns the number of whole batches that a text gives.

    Raises:
        ConfigError: None.
    """
    num_batches = (num_symbols // batch_size - 1) // unroll
    if num_batches < 1:
        raise ConfigError(
            f"task {task}: expected batches shorter than the text, got batch size {batch_size} and unroll "
            f"{unroll} for {num_symbols:,} symbols. Make one of them smaller."
        )
    return num_batches
