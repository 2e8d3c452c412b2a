"""Where the time of a training step goes."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from torch import Tensor

from archsearch.compiler.native.ends import Embedding, Readout
from archsearch.compiler.native.layer_pass import LayerPass
from archsearch.training.native_step import NativeStep
from archsearch.training.trainer import Trainer

PARTS = ("layer", "readout", "embedding", "update", "data", "rest")


def measure_parts(trainer: Trainer, num_steps: int) -> dict[str, float]:
    """Takes training steps and returns the share of each of `PARTS` in their time.

    layer      the recurrent layers, forward and backward
    readout    what lies between the layers' forward and backward passes: the scored positions, the matrix, softmax and
               cross entropy, forward and backward
    embedding  likewise below the layers
    update     the gradient's norm, clipping, descent
    data       the task's next minibatch, as tensors
    rest       Python between these
    """
    clock = _Clock()
    own = _native_parts if isinstance(trainer._gradient_step, NativeStep) else _autograd_parts
    with clock.calls(trainer._gradient_step, "descend", "update"), _data(clock, trainer), own(clock, trainer):
        start = time.perf_counter()
        for _ in range(num_steps):
            trainer.step()
        total = time.perf_counter() - start
    seconds = clock.seconds
    missing = set(PARTS[:-1]) - seconds.keys()
    if missing:
        raise RuntimeError(f"the trainer no longer calls what is measured as {', '.join(sorted(missing))}")
    return {part: seconds[part] / total for part in PARTS[:-1]} | {"rest": 1 - sum(seconds.values()) / total}


class _Clock:
    """Adds up seconds by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._last = 0.0

    def start(self) -> None:
        """Begins an interval."""
        self._last = time.perf_counter()

    def stop(self, part: str) -> None:
        """Ends an interval, and begins the next one."""
        now = time.perf_counter()
        self.seconds[part] += now - self._last
        self._last = now

    @contextmanager
    def calls(self, owner: Any, name: str, part: str) -> Iterator[None]:
        """Counts the calls of a method, or of a class's, as a part."""
        method = getattr(owner, name)

        def timed(*arguments: Any, **keywords: Any) -> Any:
            start = time.perf_counter()
            result = method(*arguments, **keywords)
            self.seconds[part] += time.perf_counter() - start
            return result

        with patch.object(owner, name, timed):
            yield


@contextmanager
def _data(clock: _Clock, trainer: Trainer) -> Iterator[None]:
    batches = trainer._training

    def timed() -> Iterator[Any]:
        while True:
            start = time.perf_counter()
            batch = next(batches)
            clock.seconds["data"] += time.perf_counter() - start
            yield batch

    with patch.object(trainer, "_training", timed()):
        yield


@contextmanager
def _native_parts(clock: _Clock, trainer: Trainer) -> Iterator[None]:  # noqa: ARG001 - as the other one
    """The step without autograd calls each part."""
    parts = (
        (LayerPass, "forward", "layer"),
        (LayerPass, "backward", "layer"),
        (Readout, "loss", "readout"),
        (Embedding, "look_up", "embedding"),
        (Embedding, "collect", "embedding"),
    )
    with ExitStack() as stack:
        for owner, name, part in parts:
            stack.enter_context(clock.calls(owner, name, part))
        yield


@contextmanager
def _autograd_parts(clock: _Clock, trainer: Trainer) -> Iterator[None]:
    """Autograd's backward pass shows its parts where the gradients of the values between them are known."""
    model = trainer.model
    embedding, layers, differentiate = (
        model.embedding.forward,
        model.layers.forward,
        trainer._gradient_step.differentiate,
    )

    def marks(value: Tensor, part: str) -> None:
        value.register_hook(lambda _gradient: clock.stop(part))

    def timed_embedding(inputs: Tensor) -> Tensor:
        clock.start()
        embedded = embedding(inputs)
        marks(embedded, "layer")
        clock.stop("embedding")
        return embedded

    def timed_layers(*arguments: Any) -> Any:
        clock.start()
        outputs, state = layers(*arguments)
        marks(outputs, "readout")
        clock.stop("layer")
        return outputs, state

    def timed_differentiate(*arguments: Any) -> Any:
        result = differentiate(*arguments)
        clock.stop("embedding")
        return result

    replaced: tuple[tuple[object, str, Callable[..., Any]], ...] = (
        (model.embedding, "forward", timed_embedding),
        (model.layers, "forward", timed_layers),
        (trainer._gradient_step, "differentiate", timed_differentiate),
    )
    with ExitStack() as stack:
        for owner, name, timed in replaced:
            stack.enter_context(patch.object(owner, name, timed))
        yield
