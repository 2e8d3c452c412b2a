"""Sequences in a table with one row for each time step."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from archsearch.errors import ConfigError
from archsearch.trials.csv_table import check_columns, number_column

OTHERWISE = "leave such rows out, or, if all cells are symbols, write a letter before those that read as numbers"


def sequences_of_rows(
    task: str, file: Path, frame: pd.DataFrame, sequence_column: str, values: Sequence[str], label: str
) -> Iterator[tuple[str, list[Any], list[str]]]:
    """Yields place, steps and the labels of all steps of each sequence, in the order of their first rows.

    A step is a list of numbers, or the text of the one column where most cells are no numbers.

    Args:
        task: The task's name, for messages.
        file: Likewise.
        frame: Every cell as text, each row under the number of its line; the rows of a sequence in the order of time,
            not necessarily together.
        sequence_column: Rows with the same cell there are one sequence.
        values: The columns that are read at each step.
        label: The column of labels.

    Raises:
        ConfigError: A column is not there, a cell is missing, or a column of numbers holds something else, too.
    """
    check_columns(task, file, frame, (sequence_column, *values, label), "sequence_column, sequence and label")
    for column in (sequence_column, *values, label):
        missing = frame[column].isna().to_numpy()
        if missing.any():
            raise ConfigError(
                f"task {task}, {file.name}, line {frame.index[int(missing.argmax())]}: expected a value in column "
                f"{column!r}, got none, and so in {int(missing.sum()) - 1} more rows. Fill such cells, or leave their "
                "rows out."
            )
    is_text = len(values) == 1 and pd.to_numeric(frame[values[0]], errors="coerce").isna().mean() >= 0.5
    columns = [
        frame[column].tolist() if is_text else number_column(task, file, frame, column, OTHERWISE).tolist()
        for column in values
    ]
    steps = columns[0] if is_text else [list(row) for row in zip(*columns, strict=True)]
    labels = frame[label].tolist()
    for name, rows in frame.groupby(sequence_column, sort=False).indices.items():
        yield f"sequence {name!r}", [steps[row] for row in rows], [labels[row] for row in rows]
