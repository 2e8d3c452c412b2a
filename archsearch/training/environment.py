"""Where a trial ran, for the record: bits are promised to be equal on equal machines and versions only."""

import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch


def describe_environment(engine: str) -> dict[str, str]:
    """Returns engine, threads, CPU and versions, and the GPU if the engine uses one."""
    gpu = {"gpu": torch.cuda.get_device_name()} if engine == "cuda" else {}
    return {"engine": engine, "threads": str(torch.get_num_threads()), "cpu": cpu_model(), **gpu, **versions()}


def num_gpus() -> int:
    """Returns the number of GPUs that this process may use, by torch."""
    return torch.cuda.device_count()


def versions() -> dict[str, str]:
    """Returns the versions that decide about bits."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python, "torch": str(torch.__version__), "archsearch": version("archsearch")}


@cache
def cpu_model() -> str:
    """Returns the processor's name as its maker gives it, or as much of it as Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
