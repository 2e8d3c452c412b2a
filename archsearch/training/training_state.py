"""All that a training carries from one step to the next, as a file of tensors and text.

The learning rate follows from the curve, the next minibatch from the number of steps.
Nothing in the file can run code when it is read. What is damaged is not read at all: a checksum stands over everything.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

FORMAT = 2


@dataclass(frozen=True)
class TrainingState:
    """Where a training stands; of the data it has read as many minibatches as it took steps.

    Attributes:
        steps: Training steps taken.
        curve: `(step, loss, validation value)` after each whole epoch.
        loss_sum: Training loss summed since the last of them.
        num_scored: Positions it was summed over.
        blind_loss: Per scored position, of a guess that knows nothing; None as long as it is not known.
        weights: `[P]` all weights.
        carried: The cell's states after the last step, nested as the gradient step nests them; None for zeros.
    """

    steps: int
    curve: tuple[tuple[int, float, float], ...]
    loss_sum: float
    num_scored: int
    blind_loss: float | None
    weights: Tensor
    carried: Any

    def to_bytes(self) -> bytes:
        """Returns the content of its file."""
        tensors = {"weights": self.weights.contiguous()}
        numbers = {
            "format": FORMAT,
            "steps": self.steps,
            "curve": self.curve,
            "loss_sum": self.loss_sum,
            "num_scored": self.num_scored,
            "blind_loss": self.blind_loss,
            "carried": _laid_out(self.carried, tensors),
        }
        text = json.dumps(numbers)
        return save(tensors, {"training": text, "checksum": _checksum(text, tensors)})

    @classmethod
    def from_file(cls, path: str) -> "TrainingState | None":
        """Reads what `to_bytes` gave; None if the file is not there, damaged or of another format."""
        try:
            with safe_open(path, "pt") as file:
                metadata, tensors = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except (SafetensorError, OSError):
            return None
        text = metadata.get("training", "")
        if metadata.get("checksum") != _checksum(text, tensors):
            return None
        numbers = json.loads(text)
        if numbers["format"] != FORMAT:
            return None
        return cls(
            steps=numbers["steps"],
            curve=tuple((step, loss, accuracy) for step, loss, accuracy in numbers["curve"]),
            loss_sum=numbers["loss_sum"],
            num_scored=numbers["num_scored"],
            blind_loss=numbers["blind_loss"],
            weights=tensors["weights"],
            carried=_restored(numbers["carried"], tensors),
        )


def _laid_out(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Puts the tensors of a nest among others and returns its layout: names, lists, and mappings for tuples."""
    if value is None:
        return None
    if isinstance(value, Tensor):
        name = f"carried.{len(tensors)}"
        tensors[name] = value.detach().clone()  # safetensors refuses tensors that share memory
        return name
    parts = [_laid_out(part, tensors) for part in value]
    return {"tuple": parts} if isinstance(value, tuple) else parts


def _restored(layout: Any, tensors: dict[str, Tensor]) -> Any:
    if layout is None:
        return None
    if isinstance(layout, str):
        return tensors[layout]
    if isinstance(layout, dict):
        return tuple(_restored(part, tensors) for part in layout["tuple"])
    return [_restored(part, tensors) for part in layout]


def _checksum(text: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for part in _bytes(tensors):
        digest.update(part)
    return digest.hexdigest()


def _bytes(tensors: dict[str, Tensor]) -> Iterator[bytes]:
    for name in sorted(tensors):
        yield name.encode()
        yield tensors[name].contiguous().view(torch.uint8).numpy().tobytes()
