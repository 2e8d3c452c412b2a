"""CUDA graphs: what was launched once, one kernel after the other, is launched again as a whole."""

from collections.abc import Callable

import torch

WARM_UP_CALLS = 2


def capture(work: Callable[[], object], num_warm_up: int = WARM_UP_CALLS) -> Callable[[], object]:
    """Captures work on the current device in a CUDA graph.

    The work is done some times before, so that kernels are compiled and libraries have made their preparations. It must
    read nothing back to the host, and work on memory that stays where it is.

    Args:
        work: What to capture.
        num_warm_up: How often it is done before; the capture itself does not do it.

    Returns:
        What does the work once more.
    """
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(num_warm_up):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay
