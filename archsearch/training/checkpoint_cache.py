"""Where trainings stood when their steps were used up, so that longer ones of the same trial go on from there.

A cache: whatever is lost, damaged or made elsewhere is trained anew, with the same result.
"""

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from archsearch.seeds import digest
from archsearch.training.training_state import TrainingState
from archsearch.trials.lengths import key_around_steps
from archsearch.trials.trial import Trial

SUFFIX = ".safetensors"
SHARE_KEPT = 0.8
SECONDS_TO_WRITE = 86_400.0  # one file; what is older was left by a process that was killed


@dataclass(frozen=True)
class CheckpointCache:
    """A folder with one file per trial, whatever its length; any number of processes may use it at once.

    Attributes:
        folder: Made if need be.
        max_bytes: Beyond it, those written longest ago are removed.
    """

    folder: Path
    max_bytes: int = 2**30

    def load(self, trial: Trial, environment: dict[str, str]) -> TrainingState | None:
        """Returns where a shorter training of the trial ended on such a machine, None if that is not known."""
        state = TrainingState.from_file(str(self._path(trial, environment)))
        return state if state is not None and state.steps < trial.max_steps else None

    def save(self, trial: Trial, environment: dict[str, str], state: TrainingState) -> None:
        """Keeps where a training ended, if the folder lets us."""
        path = self._path(trial, environment)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):  # full, read-only, removed by another process: then there is no checkpoint
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(state.to_bytes())
            temporary.replace(path)  # whole or not at all
            self._keep_within_bounds()

    def _path(self, trial: Trial, environment: dict[str, str]) -> Path:
        """Returns the file of a trial; the same bits are promised in equal environments only."""
        made_in = [f"{name}={value}" for name, value in sorted(environment.items())]
        return self.folder / f"{digest('checkpoint', *key_around_steps(trial), *made_in)}{SUFFIX}"

    def _keep_within_bounds(self) -> None:
        for path in self.folder.glob(f".*{SUFFIX}.[0-9]*"):
            if path.stat().st_mtime < time.time() - SECONDS_TO_WRITE:
                path.unlink(missing_ok=True)
        found = [(path.stat(), path) for path in self.folder.glob(f"*{SUFFIX}")]
        total = sum(status.st_size for status, _ in found)
        if total <= self.max_bytes:
            return
        for status, path in sorted(found, key=lambda entry: entry[0].st_mtime_ns):
            path.unlink(missing_ok=True)
            total -= status.st_size
            if total <= SHARE_KEPT * self.max_bytes:  # so that it is not the turn of the next one again
                return


def default_folder() -> Path:
    """Returns `checkpoints` in the folder that ARCHSEARCH_CACHE names, else in `~/.cache/archsearch`."""
    root = os.environ.get("ARCHSEARCH_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "archsearch"
    return Path(root).expanduser() / "checkpoints"
