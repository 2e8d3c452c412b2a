"""A search as curves for TensorBoard, an extra: scalars by step, written from what the journal tells."""

import math
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from archsearch.errors import ConfigError
from archsearch.run.reading import Run

_COUNTED = ("candidates", "trials")
_FITNESSES = {"best_found": "best_fitness", "passed_every_gate": "fitness"}


class TensorBoardLog:
    """Writes each consumed step once. TensorBoard's relative time is that of training, all workers together.

    Args:
        folder: Where the file of events goes; made if need be.

    Raises:
        ConfigError: TensorBoard is not installed, or the folder has something in it.
    """

    def __init__(self, folder: Path) -> None:
        if find_spec("tensorboard") is None:
            raise ConfigError(
                "tensorboard: expected the package tensorboard, found none. It is an extra: "
                "pip install -c constraints.txt -e '.[tensorboard]'. Or leave tensorboard=… out."
            )
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(f"tensorboard: expected a new or empty folder, but {folder} is none. Choose another.")
        from tensorboard.summary.writer.event_file_writer import EventFileWriter  # an extra, and slow to load

        try:
            self._writer = EventFileWriter(str(folder))
        except OSError as error:
            raise ConfigError(f"tensorboard: nothing can be written to {folder} ({error.strerror}).") from error
        self._num_written = 0

    def write(self, run: Run) -> None:
        """Writes the steps that have been consumed since the last time."""
        progress = run.progress()
        failures: Counter[str] = Counter()
        for position, (outcome, row) in enumerate(zip(run.outcomes, progress.to_dict("records"), strict=True)):
            failures.update(entry.result.status for entry in outcome.examined if entry.result.status != "ok")
            if position < self._num_written:
                continue
            scalars = {f"search/{name}": float(row[name]) for name in _COUNTED}
            scalars |= {f"fitness/{name}": row[column] for name, column in _FITNESSES.items()}
            scalars |= {f"failures/{status}": float(count) for status, count in failures.items()}
            known = {name: value for name, value in scalars.items() if not math.isnan(value)}
            self._add(known, outcome.number, float(row["training_seconds"]))
        self._num_written = len(progress)
        self._writer.flush()

    def close(self) -> None:
        """Ends the file."""
        self._writer.close()

    def _add(self, scalars: dict[str, float], step: int, seconds: float) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        self._writer.add_event(Event(wall_time=seconds, step=step, summary=Summary(value=values)))
