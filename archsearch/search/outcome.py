"""What a consumed step of a search decided: enough to fold it into the knowledge, and to be read years later."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from archsearch.errors import FileFormatError
from archsearch.graph.cell_graph import CellGraph
from archsearch.trials.setting import Setting
from archsearch.trials.trial import TrialResult

MAX_NAME = 500

_DIGEST = re.compile(r"c_[0-9a-f]{16}")

Kind = Literal["baseline", "propose", "reevaluate"]

NOTHING_NEW = "nothing_new"
COMPLETED = "completed"

IN_FLIGHT = "in flight"
KNOWN = "known"
EXHAUSTED = "known, no fresh settings"
NO_CHILD = "no child"


@dataclass(frozen=True)
class Examined:
    """One result in the order in which a step consumed it.

    Attributes:
        key: Of the trial.
        cell: Digest of its cell.
        task: Name of its task.
        setting: What it was trained with.
        result: What came of it.
        max_steps: Training steps that it had at the most.
    """

    key: str
    cell: str
    task: str
    setting: Setting
    result: TrialResult
    max_steps: int


@dataclass(frozen=True)
class Introduced:
    """A cell that a step brought in.

    Attributes:
        digest: Its identity.
        graph: Its canonical graph.
        name: A founder's name; empty for a found cell.
        parent: Digest of the cell it was mutated from; empty for a founder.
        transformations: What was done to the parent, in order.
    """

    digest: str
    graph: CellGraph
    name: str = ""
    parent: str = ""
    transformations: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepOutcome:
    """A finished step.

    Attributes:
        number: 0 for founders and baseline, then 1, 2, …
        kind: See `Kind`.
        cells: The cells it was about, known before or not.
        stage: Name of the task at which the cell fell, `completed` if at none, `nothing_new` if no cell was found.
        examined: The results consumed, in order.
        dropped: `(digest, reason)` of the children drawn and not taken, in order: one of the reasons above, what was
            proved of it (`archsearch.mutation.rejections`), or the bound that was broken. With `no child` the digest
            is the parent's.
    """

    number: int
    kind: Kind
    cells: tuple[Introduced, ...]
    stage: str
    examined: tuple[Examined, ...]
    dropped: tuple[tuple[str, str], ...] = ()

    def to_record(self) -> dict[str, Any]:
        """Returns the decision as plain values for JSON; of the results only the keys, in order."""
        return {
            "number": self.number,
            "kind": self.kind,
            "cells": [
                {
                    "digest": cell.digest,
                    "graph": cell.graph.to_json(),
                    "name": cell.name,
                    "parent": cell.parent,
                    "transformations": list(cell.transformations),
                }
                for cell in self.cells
            ],
            "stage": self.stage,
            "keys": [examined.key for examined in self.examined],
            "dropped": [list(pair) for pair in self.dropped],
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any], examined: Mapping[str, Examined]) -> "StepOutcome":
        """Reads what `to_record` wrote.

        Args:
            record: The plain values.
            examined: The results by key, at least those that the step consumed.

        Raises:
            FileFormatError: A field is missing, or a result that the step consumed is.
        """
        try:
            _check_kinds(record)
            for cell in record["cells"]:
                _check_names(cell)
            cells = tuple(
                Introduced(
                    cell["digest"],
                    CellGraph.from_json(cell["graph"]),
                    cell["name"],
                    cell["parent"],
                    tuple(cell["transformations"]),
                )
                for cell in record["cells"]
            )
            return cls(
                record["number"],
                record["kind"],
                cells,
                record["stage"],
                tuple(examined[key] for key in record["keys"]),
                tuple((digest, reason) for digest, reason in record["dropped"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(
                f"step {record.get('number')}: expected the fields of a step, got {error!r}"
            ) from error


def _check_kinds(record: Mapping[str, Any]) -> None:
    """Checks what is neither cell nor result.

    Raises:
        ValueError: The number, the kind, the stage, a key or a reason is none.
    """
    number, kind, stage = record["number"], record["kind"], record["stage"]
    if type(number) is not int or not 0 <= number < 2**63 or kind not in get_args(Kind):
        raise ValueError(f"number {str(number)[:80]!a}, kind {str(kind)[:80]!a}")
    texts = [stage, *record["keys"], *(text for pair in record["dropped"] for text in pair)]
    if not all(isinstance(text, str) for text in texts) or not stage.isprintable():
        raise ValueError("a stage, a key or a reason is no text")
    if kind == "baseline" and not record["cells"]:
        raise ValueError("a baseline without a cell")


def _check_names(cell: Mapping[str, Any]) -> None:
    """Checks what becomes the name of a file or is printed: a file from somebody else may hold any text.

    Raises:
        ValueError: A digest or a name is none.
    """
    if not all(isinstance(cell[field], str) for field in ("digest", "parent", "name", "graph")):
        raise ValueError("a field of a cell is no text")
    for digest in (cell["digest"], *([cell["parent"]] if cell["parent"] else [])):
        if not is_digest(digest):
            raise ValueError(f"{str(digest)[:80]!a} is no cell's id")
    if not isinstance(cell["transformations"], list) or not all(isinstance(t, str) for t in cell["transformations"]):
        raise ValueError("transformations are no list of names")
    if len(cell["name"]) > MAX_NAME or not cell["name"].isprintable():
        raise ValueError(f"{cell['name'][:80]!a} is no name of a cell")


def is_digest(text: str) -> bool:
    """Tells whether a text has the form of a cell's id."""
    return _DIGEST.fullmatch(text) is not None
