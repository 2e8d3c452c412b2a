"""What was measured, as text and as CSV."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

Row = Mapping[str, object]


class CsvFile:
    """A CSV that holds every row as soon as it was measured, so that a benchmark can be stopped.

    Args:
        path: Written anew.
        columns: Their names, in order; a row may lack some.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.DictWriter(self._file, columns, restval="")
        self._writer.writeheader()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, row: Row) -> None:
        """Writes a row, numbers with six digits."""
        self._writer.writerow({name: _digits(value) for name, value in row.items()})
        self._file.flush()


def _digits(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Returns lines with aligned columns, numbers on the right; None and missing values are empty."""
    cells = [[_text(value) for value in row] for row in rows]
    widths = [max(len(line[index]) for line in [list(header), *cells]) for index in range(len(header))]
    is_text = [all(isinstance(row[index], str) for row in rows) for index in range(len(header))]

    def line(texts: Sequence[str]) -> str:
        columns = zip(texts, widths, is_text, strict=True)
        return "  ".join(text.ljust(width) if left else text.rjust(width) for text, width, left in columns).rstrip()

    return "\n".join([line(header), *map(line, cells)])


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 1 else f"{value:.3f}"
