"""What a failure in a trial is called in its result."""

import traceback
from pathlib import Path

import torch

from archsearch.compiler.native.build import CompilerLostError
from archsearch.training.stops import DivergedError, TimeLimitError
from archsearch.trials.trial import Status

# A result that one of these left behind says nothing about how well the cell can do.
WITHOUT_VALUE: frozenset[Status] = frozenset({"failed", "out_of_memory", "time_limit", "worker_lost"})

# torch's allocator for CPU memory has no exception type of its own, nor have the libraries that it calls on a GPU
_REFUSALS = (
    "can't allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDA out of memory",
    "CUDA error: out of memory",
    "[CUDA]: out of memory",
)


def classify(error: Exception) -> tuple[Status, str]:
    """Returns the status that an exception stands for, and its cause in one paragraph.

    The paragraph holds no path but file names, so that equal failures read alike on all machines.
    """
    if isinstance(error, DivergedError):
        return "diverged", str(error)
    if isinstance(error, TimeLimitError):
        return "time_limit", str(error)
    message = " ".join(str(error).split())
    frame = traceback.extract_tb(error.__traceback__)[-1]
    text = f"{type(error).__name__}: {message} (in {frame.name}, {Path(frame.filename).name}:{frame.lineno})"
    if isinstance(error, CompilerLostError):  # the worker's helper: no more the cell's fault than the worker's own end
        return "worker_lost", text
    return ("out_of_memory" if _is_out_of_memory(error) else "failed"), text


def cause_of(status: Status, error: str, time_limit_seconds: float | None) -> dict[str, str | float]:
    """Returns what of a cause can be counted: the exception's name, or the limit."""
    if status == "time_limit" and time_limit_seconds is not None:
        return {"limit_seconds": time_limit_seconds}
    return {"exception": error.partition(":")[0]} if status in {"failed", "out_of_memory", "worker_lost"} else {}


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _REFUSALS)
