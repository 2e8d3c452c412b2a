"""Series: forecasts of the columns of any CSV file."""

import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from archsearch.errors import ConfigError
from archsearch.seeds import array_generator
from archsearch.trials.csv_table import check_columns, number_column, read_csv, sort_by_time
from archsearch.trials.interface import Interface
from archsearch.trials.metric import METRICS, Metric
from archsearch.trials.problems import Split
from archsearch.trials.scaling import scaled
from archsearch.trials.task import Batch, HeldOut, Task
from archsearch.trials.user_files import find_files, stamps

HELD_OUT_BATCH = 200  # windows read at once where nothing is trained
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Series(Task):
    """Reads the last `window` rows of a table and forecasts the next `horizon` values of its target columns.

    With a window of 3 and a horizon of 2, standing at row 7:

        read     rows 5, 6, 7 of all targets and inputs
        predict  rows 8, 9 of the targets, less row 7

    A window starts from zero states. In training every step from the window's middle on is scored, each with its own
    `horizon` rows; held-out windows are scored at their last step only, which is what a forecast is.

    The rows are cut in time: training first, then validation, then test, with `window + horizon` rows left out between
    two parts, so that no row read or asked for in one part is in another. Every column is scaled to mean 0 and standard
    deviation 1 by the rows of the training part alone; errors are given in these units.

    A missing cell is read as the last value before it; what is asked for is never filled in: a forecast of a missing
    value is not scored. Rows before the first whole one are left out. A value a million standard deviations away from
    the mean, as are those that some sensors write where they have none, is refused.

    Simple forecasts to compare with: persistence (the last value goes on) and, where `season` is given, the value one
    season before. The ceiling is not known.

    Attributes:
        path: The CSV file; its first line has the columns' names.
        time: Column by which the rows are sorted: times or numbers; the rows as they are if not given.
        targets: Columns to forecast; all but the time's if not given.
        inputs: Further columns to read.
        window: Rows read.
        horizon: Rows forecast.
        season: Rows after which the series repeats, if it does. It only chooses a simple forecast; yet with another one
            it is another task, which knows nothing of the trials of this.
        measures: The metric: `mse` or `mae`.
        validation_share: Of the rows.
        test_share: Likewise.
        held_out_windows: Of a held-out part at the most, evenly spread.
        epoch: Training steps between two validations.
        max_megabytes: Larger files are refused.
    """

    places: ClassVar[tuple[str, ...]] = ("path", "max_megabytes")

    path: str | None = None
    time: str | None = None
    targets: Sequence[str] | str | None = None
    inputs: Sequence[str] | str = ()
    window: int = 48
    horizon: int = 1
    season: int | None = None
    measures: str = "mse"
    validation_share: float = 0.15
    test_share: float = 0.15
    held_out_windows: int = 1_000
    epoch: int = 100
    max_megabytes: int = 200

    def __post_init__(self) -> None:
        """Checks the fields, but not yet the file.

        Raises:
            ConfigError: A field has a value that cannot work.
        """
        self.check_choice("measures", ("mse", "mae"))
        for field in ("window", "horizon", "held_out_windows", "epoch", "max_megabytes"):
            self.check_integer(field, 1)
        if self.season is not None:
            self.check_integer("season", 1, self.window)
        for field in ("validation_share", "test_share"):
            self.check_share(field)
        if self.time is not None:
            self.check_name("time")
        for field, missing in (("targets", None), ("inputs", ())):
            names = getattr(self, field)
            if isinstance(names, str | int | float):  # a name of digits comes as a number
                names = str(names).split(",")
            object.__setattr__(self, field, missing if names is None else tuple(str(name).strip() for name in names))

    @property
    def interface(self) -> Interface:
        """Reads targets and inputs; predicts the targets of each row of the horizon, less their last known values."""
        table = self._table
        return Interface(0, table.values.shape[1], self.horizon * len(table.targets), "squared_error")

    @property
    def metric(self) -> Metric:
        """Squared or absolute error, in standard deviations of the training part."""
        return METRICS[self.measures]

    @property
    def _table(self) -> "Table":
        return _read(
            self.name,
            self.path,
            stamps(find_files(self.name, self.path, (".csv",))),
            self.time,
            None if self.targets is None else tuple(self.targets),
            tuple(self.inputs),
            self.window + self.horizon,
            (self.validation_share, self.test_share),
            self.max_megabytes,
        )

    def content_digest(self) -> str:
        """Identifies the file's content.

        Raises:
            ConfigError: It cannot be read or used.
        """
        for split in ("validation", "test"):
            num_scored, num_windows = self._count_scored(split)
            if not num_scored:
                raise ConfigError(
                    f"task {self.name}, {self.path}: expected forecasts of the {split} part whose rows all have "
                    f"values, got none of {num_windows:,} without a gap. Fill the gaps, name fewer "
                    f"task.{self.name}.targets=…, or take a smaller horizon than {self.horizon}."
                )
        return self._table.digest

    def notes(self) -> tuple[str, ...]:
        """Returns what was repaired, and what does not count."""
        notes = list(self._table.notes)
        for split in ("validation", "test"):
            num_scored, num_windows = self._count_scored(split)
            if num_scored < num_windows:
                notes.append(
                    f"{num_scored:,} of {num_windows:,} {split} forecasts have no missing value and count, the others "
                    "do not"
                )
        return tuple(notes)

    def epoch_steps(self, batch_size: int, unroll: int) -> int:  # noqa: ARG002 - counted in steps, whatever their size
        """Returns the number of training steps between two validations."""
        return self.epoch

    def training(self, seed: int, batch_size: int, unroll: int) -> Iterator[Batch]:  # noqa: ARG002 - a window is whole
        """Yields batches of windows that begin anywhere in the training part."""
        rng = array_generator(seed, "windows")
        first, last = self._starts("training")
        while True:
            yield self._batch(rng.integers(first, last + 1, size=batch_size), scored_from=self.window // 2)

    def held_out(self, split: HeldOut, batch_size: int, unroll: int) -> Iterator[Batch]:  # noqa: ARG002 - likewise
        """Yields windows evenly spread over a held-out part, a forecast at the end of each."""
        starts = self._held_out_starts(split)
        for begin in range(0, len(starts), HELD_OUT_BATCH):
            yield self._batch(starts[begin : begin + HELD_OUT_BATCH], scored_from=self.window - 1)

    def chance(self) -> float:
        """Returns the error of persistence: the last value goes on."""
        return self._error_of_repeating(1)

    def baselines(self) -> dict[str, float]:
        """Returns the errors of persistence, of the training part's mean and, given a season, of one season before."""
        seasonal = {} if self.season is None else {"seasonal naive": self._error_of_repeating(self.season)}
        return {"persistence": self.chance(), "training mean": self._error_of_mean(), **seasonal}

    def ceiling(self) -> float | None:
        """Returns None: nobody knows."""
        return None

    def reader(self) -> dict[str, Any]:
        """Returns what a forecast needs."""
        table = self._table
        return {
            "kind": "series",
            "time": self.time,
            "targets": list(table.targets),
            "inputs": list(self.inputs),
            "window": self.window,
            "horizon": self.horizon,
            "season": self.season,
            "means": table.means.tolist(),
            "scales": table.scales.tolist(),
        }

    def rows_of(self, split: Split) -> range:
        """Returns the rows of a part, in the order of time, counted from the first whole one."""
        return self._table.parts[split]

    def _starts(self, split: Split) -> tuple[int, int]:
        """Returns the first and the last row at which a window with its horizon fits into a part."""
        rows = self._table.parts[split]
        return rows.start, rows.stop - self.window - self.horizon

    def _held_out_starts(self, split: HeldOut) -> NDArray[np.int64]:
        first, last = self._starts(split)
        count = min(self.held_out_windows, last - first + 1)
        return np.linspace(first, last, count).astype(np.int64)

    def _batch(self, starts: NDArray[np.int64], scored_from: int) -> Batch:
        """Returns windows as a batch; a target with a missing value is not scored."""
        table = self._table
        rows = starts[None, :] + np.arange(self.window)[:, None]
        asked = rows[:, :, None] + np.arange(1, self.horizon + 1)
        count = len(table.targets)
        targets = table.values[asked][..., :count] - table.values[rows][:, :, None, :count]
        scored = table.observed[asked].all(axis=-1)
        scored[:scored_from] = False
        return Batch(table.values[rows], targets.reshape(*rows.shape, -1), scored, starts=True)

    def _error_of_repeating(self, season: int) -> float:
        """Returns the metric, on the validation part, of the last values known a whole number of seasons before."""
        asked, steps = self._asked("validation"), np.arange(1, self.horizon + 1)
        return self._error(asked, self._table.values[asked - season * -(-steps // season)])

    def _error_of_mean(self) -> float:
        """Returns the metric, on the validation part, of the targets' means over the training part."""
        return self._error(self._asked("validation"), np.zeros(1, np.float32))

    def _error(self, asked: NDArray[np.int64], forecast: Floats) -> float:
        table = self._table
        errors = (table.values[asked] - forecast)[..., : len(table.targets)][table.observed[asked].all(-1)]
        return float(np.mean(errors**2 if self.measures == "mse" else np.abs(errors)))

    def _asked(self, split: HeldOut) -> NDArray[np.int64]:
        """Returns the rows that the forecasts of a part are of, `[forecasts, horizon]`."""
        return self._held_out_starts(split)[:, None] + self.window - 1 + np.arange(1, self.horizon + 1)

    def _count_scored(self, split: HeldOut) -> tuple[int, int]:
        """Returns how many forecasts of a part count, and how many there are."""
        whole: NDArray[np.bool_] = np.asarray(self._table.observed[self._asked(split)].all(-1))
        return int(whole.sum()), len(whole)


class Table(NamedTuple):
    """A table ready for windows; `N` rows, `F` columns, the `K` targets first.

    Attributes:
        values: `[N, F]` scaled numbers, missing ones filled in.
        observed: `[N]` whether all targets of a row were there.
        targets: Names of the targets.
        means: `[F]`, of the training part.
        scales: `[F]` standard deviations, of the training part.
        parts: The rows of each split.
        digest: Identifies the content.
        notes: What was repaired.
    """

    values: Floats
    observed: NDArray[np.bool_]
    targets: tuple[str, ...]
    means: NDArray[np.float64]
    scales: NDArray[np.float64]
    parts: dict[Split, range]
    digest: str
    notes: tuple[str, ...]


@functools.lru_cache(maxsize=4)
def _read(
    task: str,
    path: str | None,
    when: tuple[tuple[str, int, int], ...],  # noqa: ARG001 - part of what the memory is of
    time: str | None,
    targets: tuple[str, ...] | None,
    inputs: tuple[str, ...],
    gap: int,
    shares: tuple[float, float],
    max_megabytes: int,
) -> Table:
    """Reads and repairs the file; kept in memory, as every trial asks for it."""
    frame, file, notes = read_csv(task, path, max_megabytes)
    if time is not None:
        check_columns(task, file, frame, (time,), "time")
        frame, sorting = sort_by_time(task, file.name, frame, time)
        notes += sorting
    if targets is None:
        targets = tuple(column for column in frame.columns if column != time and column not in inputs)
        notes.append(f"as no targets are given, all other columns of {file.name} are: {', '.join(targets)[:200]}")
    if not targets:
        raise ConfigError(f"task {task}, targets: expected at least one column of {file.name}, got none.")
    check_columns(task, file, frame, (*targets, *inputs), "targets and inputs")
    columns = (*targets, *inputs)
    numbers = np.stack([number_column(task, file, frame, column) for column in columns], axis=1)
    observed: NDArray[np.bool_] = np.asarray(~np.isnan(numbers))
    whole: NDArray[np.bool_] = np.asarray(
        np.maximum.accumulate(observed, axis=0).all(axis=1)
    )  # rows with something to fill each gap
    skipped = int(whole.argmax()) if whole.any() else len(whole)
    if skipped:
        notes.append(f"the first {skipped:,} rows are left out: some column has no value up to there")
    numbers = pd.DataFrame(numbers).ffill().to_numpy()[skipped:]
    observed, lines = observed[skipped:], frame.index[skipped:]
    for number, column in enumerate(columns):
        num_missing = int((~observed[:, number]).sum())
        if num_missing:
            notes.append(
                f"{num_missing:,} missing values of {column!r} are read as the last ones before; none is scored"
            )
    parts = _parts(task, file.name, len(numbers), gap, shares)
    learned = numbers[parts["training"].start : parts["training"].stop]
    means, scales = learned.mean(axis=0), learned.std(axis=0)
    for number, column in enumerate(columns):
        if scales[number] <= 1e-12 * max(1.0, abs(means[number])):
            if column in targets:
                raise ConfigError(
                    f"task {task}, {file.name}: expected a target that changes, got {column!r}, which is "
                    f"{means[number]:g} throughout the training part. Leave it out with task.{task}.targets=[…]."
                )
            notes.append(f"input {column!r} is constant in the training part")
            scales[number] = 1.0
    content = (repr(columns), numbers.tobytes(), observed.tobytes())
    digest = hashlib.sha256(b"\0".join(p if isinstance(p, bytes) else p.encode() for p in content)).hexdigest()[:16]
    values = scaled(
        numbers,
        means,
        scales,
        lambda row, column: f"task {task}, {file.name}, line {lines[row]}, column {columns[column]!r}",
    )
    of_targets: NDArray[np.bool_] = np.asarray(observed[:, : len(targets)].all(axis=1))
    return Table(values, of_targets, targets, means, scales, parts, digest, tuple(notes))


def _parts(task: str, file: str, num_rows: int, gap: int, shares: tuple[float, float]) -> dict[Split, range]:
    """Returns the rows of the three parts, with a gap before the second and the third.

    Raises:
        ConfigError: A part cannot hold a window with its horizon.
    """
    num_validation, num_test = (int(num_rows * share) for share in shares)
    ends = (num_rows - num_test - num_validation - 2 * gap, num_rows - num_test - gap, num_rows)
    names: tuple[Literal["training", "validation", "test"], ...] = ("training", "validation", "test")
    begins = (0, ends[0] + gap, ends[1] + gap)
    for name, begin, end in zip(names, begins, ends, strict=True):
        if end - begin < gap:
            raise ConfigError(
                f"task {task}, {file}: expected at least {gap} rows, window and horizon together, for the {name} part, "
                f"got {max(0, end - begin)} of {num_rows}. Make task.{task}.window or horizon smaller, the share of "
                "the part larger, or take more rows."
            )
    return {name: range(begin, end) for name, begin, end in zip(names, begins, ends, strict=True)}
