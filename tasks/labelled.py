"""Labelled sequences: a class for each sequence, or a label for each of its steps."""

import collections
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from archsearch.errors import ConfigError
from archsearch.trials.csv_table import MAX_NUMBER
from archsearch.trials.examples import Example, Numbers
from archsearch.trials.interface import Interface
from archsearch.trials.labelled_rows import LabelledRow, labelled_rows
from archsearch.trials.problems import Split, split_of
from archsearch.trials.scaling import scaled
from archsearch.trials.sequence_sets import SequenceSetTask
from archsearch.trials.text_units import UNITS, UNKNOWN
from archsearch.trials.user_files import find_files, stamps

SPLITS: tuple[Split, ...] = ("training", "validation", "test")


@dataclass(frozen=True)
class Labelled(SequenceSetTask):
    """Reads a sequence and names its class at the end, or labels each step.

    A CSV file has a column of texts and one of labels; a file of JSON lines an object a line with the same two names:

        {"sequence": "ACGTTA", "label": "coding"}            a text: read by characters or words
        {"sequence": ["the", "dog"], "label": ["DET", "N"]}  a label for each step
        {"sequence": [[0.1, 2.5], [0.3, 2.4]], "label": 1}   numbers, equally many at each step

    A CSV file may also have a row for each step, in the order of time, as sensors write it: `sequence_column` is then
    the column that tells the sequences apart, and `sequence` the column of symbols, or the columns of numbers with
    commas between their names. With `per_step=true` each row has its own label, otherwise all rows of a sequence have
    the same.

    A label that is a list is one for each step (in a CSV file, with `per_step=true`, words with blanks between them);
    any other one is asked for at the last step. Sequences are read whole, whatever the recipe's `unroll`. The hash of a
    sequence tells its split, 8 of 10 for training and 1 each held out, so that equal sequences are never in two.
    Numbers are scaled to mean 0 and standard deviation 1 by the training sequences. Chance is the commonest label of
    the training sequences; the ceiling is not known.

    Attributes:
        path: The file, *.csv, *.jsonl or *.json.
        sequence: Name of the column or key of the sequences.
        label: Of the labels.
        sequence_column: Of a CSV file with a row for each step: what tells the sequences apart.
        unit: How a text is read: by `characters` or `words`.
        per_step: Whether the labels of a CSV file are lists of words, one for each step.
        max_length: Longer sequences are left out, and that is said.
        max_megabytes: Larger files are refused.
    """

    places: ClassVar[tuple[str, ...]] = ("path", "max_megabytes")

    path: str | None = None
    sequence: str = "sequence"
    label: str = "label"
    sequence_column: str | None = None
    unit: str = "characters"
    per_step: bool = False
    max_length: int = 2_000
    max_megabytes: int = 200

    def __post_init__(self) -> None:
        """Checks the fields, but not yet the file.

        Raises:
            ConfigError: A field has a value that cannot work.
        """
        self.check_choice("unit", UNITS)
        self.check_flag("per_step")
        for field in ("sequence", "label", *(["sequence_column"] if self.sequence_column is not None else [])):
            self.check_name(field)
        for field in ("max_length", "max_megabytes"):
            self.check_integer(field, 1)
        if self.epoch is not None:
            self.check_integer("epoch", 1)

    @property
    def symbols(self) -> tuple[str, ...]:
        """What the training sequences are made of, the commonest first; empty for numbers."""
        return self._content.symbols

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the training sequences, in their order."""
        return self._content.labels

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels."""
        return self.labels

    @property
    def interface(self) -> Interface:
        """Reads symbols or numbers, predicts a label."""
        content = self._content
        return Interface(len(content.symbols), content.input_size, len(content.labels), "cross_entropy")

    @property
    def _content(self) -> "Content":
        columns = (self.sequence, self.label, self.sequence_column)
        files = tuple(find_files(self.name, self.path, (".csv", ".jsonl", ".json")))
        return _read(
            self.name, files, stamps(files), columns, self.unit, self.per_step, self.max_length, self.max_megabytes
        )

    def content_digest(self) -> str:
        """Identifies the file's content.

        Raises:
            ConfigError: It cannot be read or used.
        """
        return self._content.digest

    def identity_fields(self) -> dict[str, Any]:
        """Returns the fields that determine the data; without a column for sequences, those of earlier versions."""
        fields = super().identity_fields()
        return fields if self.sequence_column else {name: fields[name] for name in fields if name != "sequence_column"}

    def notes(self) -> tuple[str, ...]:
        """Returns what was left out or replaced."""
        return self._content.notes

    def examples(self, split: Split) -> Sequence[Example]:
        """Returns the sequences of a split."""
        return self._content.examples[split]

    def chance(self) -> float:
        """Returns the share of validation labels that are the commonest one of training."""
        counts = collections.Counter(
            int(label) for example in self.examples("training") for label in example.targets[example.scored]
        )
        commonest = min(counts, key=lambda label: (-counts[label], label))
        asked = np.concatenate([example.targets[example.scored] for example in self.examples("validation")])
        return float(np.mean(asked == commonest))

    def baselines(self) -> dict[str, float]:
        """Returns how often the commonest label is right."""
        return {"commonest label": self.chance()}

    def ceiling(self) -> float | None:
        """Returns None: nobody knows."""
        return None


class Content(NamedTuple):
    """A file ready to be read.

    Attributes:
        symbols: What is read; empty for numbers.
        input_size: Numbers at each step; 0 for symbols.
        labels: What is predicted.
        examples: The sequences of each split.
        digest: Identifies the content.
        notes: What was left out or replaced.
    """

    symbols: tuple[str, ...]
    input_size: int
    labels: tuple[str, ...]
    examples: dict[Split, tuple[Example, ...]]
    digest: str
    notes: tuple[str, ...]


@functools.lru_cache(maxsize=2)
def _read(
    task: str,
    files: tuple[Path, ...],
    when: tuple[tuple[str, int, int], ...],  # noqa: ARG001 - part of what the memory is of
    columns: tuple[str, str, str | None],
    unit: str,
    per_step: bool,
    max_length: int,
    max_megabytes: int,
) -> Content:
    """Reads the file; kept in memory, as every trial asks for it."""
    (file, *others) = files
    if others:
        raise ConfigError(f"task {task}, {file.parent}: expected one file, got {1 + len(others)}. Name one of them.")
    rows, notes = labelled_rows(task, file, columns, unit, per_step, max_megabytes)
    kept = [row for row in rows if 0 < len(row.steps) <= max_length]
    for count, kind in (
        (sum(not row.steps for row in rows), "of length zero"),
        (sum(len(row.steps) > max_length for row in rows), f"longer than {max_length:,} steps"),
    ):
        if count:
            notes.append(f"{count:,} sequences {kind} are left out")
    num_contradicted = _count_contradicted(kept)
    if num_contradicted:
        notes.append(f"{num_contradicted:,} sequences stand there more than once, with different labels")
    of_split = {split: [row for row in kept if split_of(row.identity) == split] for split in SPLITS}
    for split, some in of_split.items():
        if not some:
            raise ConfigError(
                f"task {task}, {file.name}: expected sequences for all three parts, got none of {len(kept)} for "
                f"{split}. Their hashes tell the parts; bring more different sequences, some hundred at least."
                + "".join(f" Note: {note}." for note in notes)
            )
    labels = _labels(task, file, of_split)
    numbers = {label: number for number, label in enumerate(labels)}
    read = _encode_numbers if isinstance(kept[0].steps[0], list) else _encode_symbols
    symbols, input_size, encoded = read(task, file, of_split, notes)
    examples = {
        split: tuple(
            _example(row, inputs, numbers) for row, inputs in zip(of_split[split], encoded[split], strict=True)
        )
        for split in SPLITS
    }
    digest = hashlib.sha256(repr([(row.steps, row.labels) for row in kept]).encode()).hexdigest()[:16]
    return Content(symbols, input_size, labels, examples, digest, tuple(notes))


def _count_contradicted(rows: Sequence[LabelledRow]) -> int:
    labels: dict[bytes, set[tuple[str, ...]]] = collections.defaultdict(set)
    for row in rows:
        labels[row.identity].add(tuple(row.labels))
    return sum(len(some) > 1 for some in labels.values())


def _labels(task: str, file: Path, of_split: dict[Split, list[LabelledRow]]) -> tuple[str, ...]:
    """Returns the labels of the training sequences, in their order.

    Raises:
        ConfigError: There is but one, or a held-out sequence has another one.
    """
    known = {name for row in of_split["training"] for name in row.labels}
    if len(known) < 2:
        raise ConfigError(f"task {task}, {file.name}: expected at least two different labels, got {sorted(known)}.")
    for split in SPLITS[1:]:
        for row in of_split[split]:
            foreign = [name for name in row.labels if name not in known]
            if foreign:
                raise ConfigError(
                    f"task {task}, {file.name}, {row.place}: expected labels that a training sequence has, got "
                    f"{foreign[0]!r} in the {split} part only. Bring more sequences with it, or leave them out."
                )
    return tuple(sorted(known))


def _encode_symbols(
    task: str, file: Path, of_split: dict[Split, list[LabelledRow]], notes: list[str]
) -> tuple[tuple[str, ...], int, dict[Split, list[Numbers]]]:
    for row in (row for rows in of_split.values() for row in rows):
        if not all(isinstance(step, str) for step in row.steps):
            raise ConfigError(
                f"task {task}, {file.name}, {row.place}: expected symbols in every sequence, got numbers. Whole "
                "numbers are read as symbols: write 1.0 for 1 where numbers are meant."
            )
    counts = collections.Counter(step for row in of_split["training"] for step in row.steps)
    symbols = tuple(sorted((symbol for symbol in counts if symbol != UNKNOWN), key=lambda s: (-counts[s], s)))
    numbers = {symbol: number for number, symbol in enumerate(symbols)}
    num_unknown = sum(step not in numbers for rows in of_split.values() for row in rows for step in row.steps)
    if num_unknown:
        notes.append(f"{num_unknown:,} symbols that no training sequence has are read as {UNKNOWN}")
        symbols = (*symbols, UNKNOWN)
    encoded: dict[Split, list[Numbers]] = {
        split: [np.array([numbers.get(step, len(numbers)) for step in row.steps], np.int64) for row in rows]
        for split, rows in of_split.items()
    }
    return symbols, 0, encoded


def _encode_numbers(
    task: str, file: Path, of_split: dict[Split, list[LabelledRow]], notes: list[str]
) -> tuple[tuple[str, ...], int, dict[Split, list[Numbers]]]:
    size = len(of_split["training"][0].steps[0])
    for row in (row for rows in of_split.values() for row in rows):
        for step in row.steps:
            if not (isinstance(step, list) and len(step) == size and all(isinstance(n, float) for n in step)):
                raise ConfigError(
                    f"task {task}, {file.name}, {row.place}: expected {size} numbers at every step, got {step!r}."
                    + (" Whole numbers are read as symbols: write 1.0 for 1." if isinstance(step, str) else "")
                )
            if not all(abs(number) <= MAX_NUMBER for number in step):  # nor is that so of NaN
                raise ConfigError(
                    f"task {task}, {file.name}, {row.place}: expected numbers up to {MAX_NUMBER:g}, got {step!r}."
                )
    learned = np.array([step for row in of_split["training"] for step in row.steps], np.float64)
    means, scales = learned.mean(axis=0), learned.std(axis=0)
    constant = scales <= 1e-12 * np.maximum(1.0, np.abs(means))
    if constant.any():
        notes.append(f"{int(constant.sum())} of {size} numbers are constant in the training sequences")
        scales[constant] = 1.0
    encoded: dict[Split, list[Numbers]] = {
        split: [
            scaled(np.array(row.steps), means, scales, functools.partial(_place_of_number, task, file, row))
            for row in rows
        ]
        for split, rows in of_split.items()
    }
    return (), size, encoded


def _place_of_number(task: str, file: Path, row: LabelledRow, step: int, number: int) -> str:
    return f"task {task}, {file.name}, {row.place}, step {step + 1}, number {number + 1}"


def _example(row: LabelledRow, inputs: Numbers, numbers: dict[str, int]) -> Example:
    targets = np.zeros(len(inputs), np.int64)
    scored = np.zeros(len(inputs), np.bool_)
    if row.has_label_per_step:
        targets[:], scored[:] = [numbers[name] for name in row.labels], True
    else:
        targets[-1], scored[-1] = numbers[row.labels[0]], True
    return Example(inputs, targets, scored, row.identity)
