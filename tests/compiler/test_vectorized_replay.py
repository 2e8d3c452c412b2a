"""What is done before work is recorded on a GPU, with torch's streams and graphs replaced."""

import gc
from contextlib import contextmanager

import pytest
import torch

from archsearch.compiler.vectorized import replay as replay_module
from archsearch.compiler.vectorized.replay import WARM_UP_CALLS, Replay


class FakeStream:
    """Orders nothing."""

    def __init__(self, device=0):
        pass

    def wait_stream(self, other):
        pass


class FakeGraph:
    """Replays by doing the work."""

    work = staticmethod(lambda: None)

    def replay(self):
        self.work()


@pytest.fixture
def _gpu(monkeypatch):
    @contextmanager
    def recorded(graph, pool=None):  # what is recorded is not done, which a processor cannot imitate
        yield

    @contextmanager
    def on_stream(stream):
        yield

    monkeypatch.setattr(replay_module, "_stream_beside", FakeStream)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "current_stream", FakeStream)
    monkeypatch.setattr(torch.cuda, "stream", on_stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
    monkeypatch.setattr(torch.cuda, "graph", recorded)


@pytest.mark.usefixtures("_gpu")
def test_the_calls_before_recording_leave_no_trace_and_never_go_on():
    """A number of the next minibatch that went on during them ran beyond the last one: an assertion on the device."""
    number, total, seen = torch.zeros((), dtype=torch.int64), torch.zeros(()), []

    def work():
        seen.append(int(number))
        number.add_(1)
        total.add_(number)

    replay = Replay(work, (number, total), torch.device("cuda"))
    replay()
    assert seen == [0] * (WARM_UP_CALLS + 1)  # and once while it is recorded


def test_a_processor_does_the_work_once():
    number = torch.zeros(())
    Replay(lambda: number.add_(1), (number,), torch.device("cpu"))()
    assert float(number) == 1


@pytest.mark.usefixtures("_gpu")
def test_a_recording_that_was_broken_off_is_not_replayed():
    calls = []

    def work():
        calls.append("done")
        if len(calls) == WARM_UP_CALLS + 1:
            raise MemoryError("while it was recorded")

    replay = Replay(work, (), torch.device("cuda"))
    with pytest.raises(MemoryError):
        replay()
    replay()  # tries and records anew
    assert len(calls) == 2 * (WARM_UP_CALLS + 1)


@pytest.mark.usefixtures("_gpu")
@pytest.mark.parametrize("breaks_off", [False, True])
def test_python_does_not_look_for_circles_while_work_is_recorded(breaks_off):
    """Another graph that went with a circle then would break the recording off, and CUDA's state with it."""
    collects = []

    def work():
        collects.append(gc.isenabled())
        if breaks_off and len(collects) > WARM_UP_CALLS:
            raise MemoryError("while it was recorded")

    replay = Replay(work, (), torch.device("cuda"))
    if breaks_off:
        with pytest.raises(MemoryError):
            replay()
    else:
        replay()
    assert collects == [True] * WARM_UP_CALLS + [False]
    assert gc.isenabled()
