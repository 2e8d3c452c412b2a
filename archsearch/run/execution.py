"""How trials are computed: by how many, where, and within which limits. None of it is part of a search's identity."""

from dataclasses import dataclass
from pathlib import Path

SHARES = 10_000


@dataclass(frozen=True)
class Limits:
    """What a trial may use before it is ended.

    Attributes:
        seconds: Wall-clock time; None for no limit. Training itself looks at the clock between two steps and stops
            with what it has; a trial that does not is ended by force `OVERRUN_SECONDS` later.
        megabytes: Memory of the process that trains, in units of 2**20 bytes; None for no limit. Watched on Linux.
    """

    seconds: float | None = None
    megabytes: int | None = None

    def __bool__(self) -> bool:
        """Whether there is anything to watch."""
        return self.seconds is not None or self.megabytes is not None


@dataclass(frozen=True)
class Execution:
    """How a sitting computes its trials.

    Attributes:
        workers: Processes that train. 0 for one at a time without Ray: in a process beside this one, or, without
            limits, in this one. None for all processors of the cluster at `address`.
        limits: Of each trial.
        grace_seconds: Time that trials in flight get to end when the run is stopped.
        address: Of an existing Ray cluster, `auto` or `HOST:PORT`; None for a private Ray on this machine.
        max_equal_failures: Trials in a row, of more than one cell, that may fail with the same error; None for any
            number.
        recorded: Folders of other runs whose trials answer equal ones.
        workers_per_gpu: Workers that share a GPU; None where training needs none.
        num_gpus: Of this machine, for a private Ray; None for those that it finds.
    """

    workers: int | None = 0
    limits: Limits = Limits()
    grace_seconds: float = 10.0
    address: str | None = None
    max_equal_failures: int | None = 20
    recorded: tuple[Path, ...] = ()
    workers_per_gpu: int | None = None
    num_gpus: int | None = None

    @property
    def gpu_share(self) -> float:
        """The share of a GPU that a worker asks for, in the ten-thousandths that Ray counts in; 0 for none."""
        return 0.0 if self.workers_per_gpu is None else SHARES // self.workers_per_gpu / SHARES
