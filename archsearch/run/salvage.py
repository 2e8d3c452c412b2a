"""Tells rows of a journal from whatever else the pages of a damaged file seem to hold."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from archsearch.errors import ArchSearchError
from archsearch.graph.cell_graph import CellGraph
from archsearch.run.journal_schema import TRIAL_COLUMNS, checksum, split_result
from archsearch.run.page_scan import Page, Value, index_rows, table_rows
from archsearch.trials.setting import Setting
from archsearch.trials.trial import TrialResult

_NOT_OF_THE_RUN = frozenset({"schema", "view digests"})


@dataclass(frozen=True)
class Salvaged:
    """Rows that are what was written, as the tables of our version hold them.

    Attributes:
        trials: By number, which is also the first column.
        steps: Texts by number.
        facts: What the journal says of the run.
    """

    trials: Mapping[int, tuple[Any, ...]]
    steps: Mapping[int, str]
    facts: Mapping[str, str]

    def keys_of_step(self, number: int) -> list[str]:
        """Returns the keys of the trials that a step consumed."""
        return list(json.loads(self.steps[number])["keys"])


def salvage(pages: Mapping[int, Page], facts: Mapping[str, str]) -> Salvaged:
    """Finds the rows of a journal of any version; those that are not as they were written are left out.

    Rows of our version prove themselves by their checksum, also where only a page that is no longer in use has them:
    rows are never changed. Those of version 1 must make sense, and count only where there are none of ours.

    Args:
        pages: Of the file, by number.
        facts: What SQLite could read of the run; if nothing, the pages are asked.
    """
    rows = list(table_rows(pages))
    trials: dict[int, tuple[Any, ...]] = {}
    steps: dict[int, str] = {}
    for number, values in rows:
        if len(values) == len(TRIAL_COLUMNS) + 2 and values[-1] == checksum(*values[1:-1]):
            trials[number] = (number, *values[1:])
        elif len(values) == 3 and isinstance(values[1], str) and values[2] == checksum(number, values[1]):
            steps[number] = values[1]
    if not trials and not steps:
        trials, steps = _of_version_1(rows)
    if not facts:
        facts = {str(values[0]): str(values[1]) for values in index_rows(pages) if _is_fact(values)}
    return Salvaged(trials, steps, {name: value for name, value in facts.items() if name not in _NOT_OF_THE_RUN})


def _is_fact(values: tuple[Value, ...]) -> bool:
    is_of_version_1 = len(values) == 2 and all(isinstance(value, str) for value in values)
    return is_of_version_1 or (len(values) == 3 and values[2] == checksum(*values[:2]))


def _of_version_1(rows: Iterable[tuple[int, tuple[Value, ...]]]) -> tuple[dict[int, tuple[Any, ...]], dict[int, str]]:
    trials: dict[int, tuple[Any, ...]] = {}
    steps: dict[int, str] = {}
    for number, values in rows:
        with suppress(ArchSearchError, AttributeError, KeyError, TypeError, ValueError):  # no row of ours, or damaged
            if len(values) == 8:
                row = _trial_of_version_1(values[1:])
                trials[number] = (number, *row, checksum(*row))
            elif len(values) == 2:
                steps[number] = _step_of_version_1(number, values[1])
    return trials, steps


def _trial_of_version_1(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Returns the columns of our version.

    Raises:
        ValueError: The columns do not fit together. Others of the errors above: they are no trial's at all.
    """
    key, cell, task, setting, replicate, max_steps, result = values
    record = json.loads(result)
    TrialResult.from_record(record)
    parts = [cell, Setting(**json.loads(setting)).key, f"replicate-{replicate}", f"steps-{max_steps}"]
    found = key.split("/")
    if [found[0], *found[3:6]] != parts or not found[1].startswith(f"{task}-"):
        raise ValueError(f"trial {key}: the columns do not fit together")
    return (*values[:-1], *split_result(record))


def _step_of_version_1(number: int, text: Any) -> str:
    """Returns the text of a step.

    Raises:
        ValueError: It is not as it was written. Others of the errors above: it is no step at all.
    """
    record = json.loads(text)
    digests = [CellGraph.from_json(cell["graph"]).digest for cell in record["cells"]]
    if record["number"] != number or digests != [cell["digest"] for cell in record["cells"]]:
        raise ValueError(f"step {number}: the record does not fit together")
    list(map(str.strip, record["keys"]))
    return str(text)
