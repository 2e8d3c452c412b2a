"""The same work again and again: called on a processor, on a GPU recorded once and replayed as a whole."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any
from weakref import WeakMethod

import torch
from torch import Tensor

WARM_UP_CALLS = 3


class Replay:
    """Work on memory that stays in place, without a look at what is computed.

    On a GPU the first call records a CUDA graph: to launch the parts of a training step one by one takes longer than
    they run. Before that torch wants the work done a few times; what it changed is put back.

    Args:
        work: What to do; nothing that it works on may move.
        changed: What it changes and reads again.
        device: Where.
        pool: Of memory for what the work needs in between, see `memory_pool`; one of its own if None.

    Source: torch's notes on CUDA graphs; docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
    """

    def __init__(
        self, work: Callable[[], None], changed: Sequence[Tensor], device: torch.device, pool: Any = None
    ) -> None:
        self._work = work
        self._changed = tuple(changed)
        self._is_recorded = device.type == "cuda"
        self._pool = pool
        self._graph: Any = None

    def __call__(self) -> None:
        """Does the work once."""
        if not self._is_recorded:
            self._work()
            return
        if self._graph is None:
            self._warm_up()
            self._graph = self._record()
        self._graph.replay()

    def _record(self) -> Any:
        """Returns the graph only if it is whole: one whose recording was broken off would replay a part."""
        graph = torch.cuda.CUDAGraph()
        back = torch.cuda.stream(torch.cuda.current_stream())  # torch stays on its own stream where a recording fails
        with back, _without_collection(), torch.cuda.graph(graph, pool=self._pool):
            self._work()
        return graph

    def _warm_up(self) -> None:
        before = [tensor.clone() for tensor in self._changed]
        stream = _stream_beside(torch.cuda.current_device())
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_CALLS):
                self._work()
                for tensor, value in zip(self._changed, before, strict=True):
                    tensor.copy_(value)  # at once: a number of the next minibatch must not run beyond the last one
        torch.cuda.current_stream().wait_stream(stream)


def memory_pool(device: torch.device) -> Any:
    """Returns a pool of memory for works that are never at work at once, None where nothing is recorded.

    Its recordings must not all go before the last one is made: torch refuses another one then, if anything is left in
    the pool, and what cuBLAS works in is left in that of the first recording of a process.
    """
    return torch.cuda.graph_pool_handle() if device.type == "cuda" else None


@contextmanager
def _without_collection() -> Iterator[None]:
    """Keeps Python from looking for circles: a graph that went with one would break the recording of another."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Returns what calls a method of an object that holds the call, and does not keep the object alive.

    The memory of such a circle would be taken until Python looks for circles.
    """
    reference = WeakMethod(method)

    def call() -> None:
        bound = reference()
        assert bound is not None  # its object holds this
        bound()

    return call


@cache
def _stream_beside(device: int) -> torch.cuda.Stream:
    """Returns the stream on which work is tried; one per GPU, as libraries keep memory for each stream they meet."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
