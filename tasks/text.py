"""Text: any file or folder in UTF-8, by characters or by words."""

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ConfigError
from archsearch.trials.metric import METRICS, Metric
from archsearch.trials.ngram import ngram_accuracy, ngram_nll
from archsearch.trials.numbered_text import count_numbers, read_numbered_text, renumber
from archsearch.trials.problems import Split
from archsearch.trials.task import Batch, HeldOut, Task
from archsearch.trials.text_units import UNITS, UNKNOWN
from archsearch.trials.user_files import find_files, stamps
from archsearch.trials.windows import count_whole_batches, in_streams, stream_batches, whole_batches

SPLITS: tuple[Split, ...] = ("training", "validation", "test")
MAX_SYMBOLS = {"characters": 256, "words": 10_000}
NGRAM_ORDER = {"characters": 6, "words": 3}
CHANCE_BATCH_SIZE = 1  # the n-grams read the text in one go
MOST_FOR_NGRAMS = {"training": 2_000_000, "validation": 500_000}  # ten million would take a minute and a gigabyte


@dataclass(frozen=True)
class Text(Task):
    """Predicts the next character, or the next word, of a text of your own.

        file     to be or not to be
        read     t o _ b e _ o r
        predict  o _ b e _ o r _

    The text is cut in time: training comes first, validation after it, the test part last, so that no position of one
    part is in another. Each part is cut into `B` pieces of equal length, which are read in parallel; states are carried
    from batch to batch. Every position is scored. A folder is its files, in the order of their names, one after the
    other.

    Words are runs of letters and digits; each other character that is no blank is a word of its own; the end of a line
    is `<eos>`. The vocabulary is that of the training part: its `max_symbols` commonest; what else occurs is `<unk>`.
    The ceiling is not known.

    Attributes:
        path: The file or folder.
        unit: `characters` or `words`.
        max_symbols: Size of the vocabulary at the most; 256 characters or 10,000 words if not given.
        lower_case: Whether capitals are made small.
        measures: The metric: `bits`, `perplexity`, `nll` or `accuracy`; bits of characters, perplexity of words if not
            given.
        validation_share: Of the whole text.
        test_share: Likewise.
        max_held_out: Symbols of a held-out part at the most, its first ones: they are read after every epoch.
        epoch: Training steps between two validations, 500 if not given; but never more than once through the text.
        max_megabytes: Larger data are refused.
    """

    places: ClassVar[tuple[str, ...]] = ("path", "max_megabytes")

    path: str | None = None
    unit: str = "characters"
    max_symbols: int | None = None
    lower_case: bool = False
    measures: str | None = None
    validation_share: float = 0.05
    test_share: float = 0.05
    max_held_out: int = 200_000
    epoch: int | None = None
    max_megabytes: int = 200

    def __post_init__(self) -> None:
        """Checks the fields, but not yet the files.

        Raises:
            ConfigError: A field has a value that cannot work.
        """
        self.check_choice("unit", UNITS)
        self.check_flag("lower_case")
        if self.measures is not None:
            self.check_choice("measures", ("bits", "perplexity", "nll", "accuracy"))
        for field in ("validation_share", "test_share"):
            self.check_share(field)
        for field, least in (("max_symbols", 2), ("epoch", 1)):
            if getattr(self, field) is not None:
                self.check_integer(field, least)
        self.check_integer("max_megabytes", 1)
        self.check_integer("max_held_out", 2)

    @property
    def separator(self) -> str:  # type: ignore[override]  # it depends on the unit
        """Stands between symbols when data are shown to people."""
        return " " if self.unit == "words" else ""

    @property
    def symbols(self) -> tuple[str, ...]:
        """The characters or words of the training part, the commonest first."""
        return self._corpus.symbols

    @property
    def metric(self) -> Metric:
        """Bits per character, perplexity of words, or what was chosen."""
        return METRICS[self.measures or ("bits" if self.unit == "characters" else "perplexity")]

    @property
    def _corpus(self) -> "Corpus":
        files = tuple(find_files(self.name, self.path))
        limit = self.max_symbols or MAX_SYMBOLS[self.unit]
        shares = (self.validation_share, self.test_share)
        kind = (self.unit, limit, self.lower_case, shares, self.max_held_out)
        return _read(self.name, files, stamps(files), self.max_megabytes, *kind)

    def content_digest(self) -> str:
        """Identifies the text.

        Raises:
            ConfigError: It cannot be read or used.
        """
        return self._corpus.digest

    def identity_fields(self) -> dict[str, Any]:
        """Returns the fields that determine the data; the content says where `max_held_out` has cut a part."""
        return {name: value for name, value in super().identity_fields().items() if name != "max_held_out"}

    def notes(self) -> tuple[str, ...]:
        """Returns what was replaced in the text."""
        return self._corpus.notes

    def epoch_steps(self, batch_size: int, unroll: int) -> int:
        """Returns the number of training steps between two validations.

        Raises:
            ConfigError: A part of the text is too short for the batches.
        """
        for split in ("validation", "test"):
            if len(self._corpus.parts[split]) < 2 * batch_size:
                raise ConfigError(
                    f"task {self.name}: expected at least two {self.unit} of the {split} part for each of "
                    f"{batch_size} streams, got {len(self._corpus.parts[split])} in all. Take a longer text, a larger "
                    f"task.{self.name}.{split}_share or a smaller recipe.batch_size."
                )
        num_batches = count_whole_batches(self.name, len(self._corpus.parts["training"]), batch_size, unroll)
        return min(self.epoch or 500, num_batches)

    def training(self, seed: int, batch_size: int, unroll: int) -> Iterator[Batch]:  # noqa: ARG002 - the text is what it is
        """Yields the training part again and again, in whole batches."""
        self.epoch_steps(batch_size, unroll)  # refuses a text shorter than one batch
        yield from whole_batches(self._corpus.parts["training"], batch_size, unroll)

    def held_out(self, split: HeldOut, batch_size: int, unroll: int) -> Iterator[Batch]:
        """Yields a held-out part once; the last batch may have fewer steps."""
        yield from stream_batches(in_streams(self._corpus.parts[split], batch_size), unroll)

    def chance(self) -> float:
        """Returns the metric on the validation part of the best n-gram, fitted on the training part.

        Of a long text, it has the last 2,000,000 symbols for training and is asked for the first 500,000 after them.
        """
        parts = self._corpus.parts
        kept = (
            parts["training"][-MOST_FOR_NGRAMS["training"] :],
            parts["validation"][: MOST_FOR_NGRAMS["validation"]],
        )
        seen, asked = (in_streams(part, CHANCE_BATCH_SIZE) for part in kept)
        batches = (stream_batches(seen, len(seen)), stream_batches(asked, len(asked)), len(self.symbols))
        order = NGRAM_ORDER[self.unit]
        if self.metric.name == "accuracy":
            return ngram_accuracy(*batches, order)
        nats = ngram_nll(*batches, order)
        return {"nll": nats, "bits": nats / math.log(2), "perplexity": math.exp(nats)}[self.metric.name]

    def baselines(self) -> dict[str, float]:
        """Returns what the best n-gram reaches."""
        most = MOST_FOR_NGRAMS["training"]
        of = f" of {most:,} {self.unit}" if len(self._corpus.parts["training"]) > most else ""
        return {f"best n-gram up to {NGRAM_ORDER[self.unit]}{of}": self.chance()}

    def ceiling(self) -> float | None:
        """Returns None: nobody knows."""
        return None

    def reader(self) -> dict[str, Any]:
        """Returns what continuing a text needs."""
        return {"kind": "text", "unit": self.unit, "lower_case": self.lower_case, "symbols": list(self.symbols)}


@dataclass(frozen=True)
class Corpus:
    """A text in three parts.

    Attributes:
        symbols: The vocabulary.
        parts: For each split, `[N]` numbers of its symbols.
        digest: Identifies the content.
        notes: What was replaced.
    """

    symbols: tuple[str, ...]
    parts: dict[Split, NDArray[np.integer]]
    digest: str
    notes: tuple[str, ...]


@functools.lru_cache(maxsize=2)
def _read(
    task: str,
    files: tuple[Path, ...],
    when: tuple[tuple[str, int, int], ...],  # noqa: ARG001 - part of what the memory is of
    max_megabytes: int,
    unit: str,
    max_symbols: int,
    lower_case: bool,
    shares: tuple[float, float],
    max_held_out: int,
) -> Corpus:
    """Reads the files; kept in memory, as every trial asks for them."""
    text = read_numbered_text(task, files, max_megabytes, unit, lower_case)
    num_units = len(text.numbers)
    num_validation, num_test = (int(num_units * share) for share in shares)
    borders = (0, num_units - num_validation - num_test, num_units - num_test, num_units)
    pieces = {
        split: text.numbers[slice(*ends)] for split, ends in zip(SPLITS, itertools.pairwise(borders), strict=True)
    }
    if min(len(piece) for piece in pieces.values()) < 2:
        raise ConfigError(
            f"task {task}, {files[0]}: expected a text long enough for three parts, got {num_units} {unit}. "
            "Take a longer one."
        )
    digest = text.digest
    if max(len(pieces[split]) for split in SPLITS[1:]) > max_held_out:
        digest += f", {max_held_out} of a held-out part"
    pieces = {split: piece if split == "training" else piece[:max_held_out] for split, piece in pieces.items()}
    counts = {split: count_numbers(piece, len(text.units)) for split, piece in pieces.items()}
    seen = np.flatnonzero(counts["training"]).tolist()
    ordered = sorted(seen, key=lambda number: (-counts["training"][number], text.units[number]))[:max_symbols]
    kept = [text.units[number] for number in ordered]
    if len(kept) < 2:
        raise ConfigError(f"task {task}, {files[0]}: expected at least two different {unit}, got {kept}.")
    notes = []
    if text.has_foreign_line_ends:
        where = files[0] if len(files) == 1 else files[0].parent
        notes.append(f"line ends of other systems in {where} are read as plain ones")
    for split, piece in pieces.items():
        num_unknown = len(piece) - int(counts[split][ordered].sum())
        if num_unknown:
            share = num_unknown / len(piece)
            notes.append(f"{num_unknown:,} {unit} of the {split} part ({share:.2%}) are read as {UNKNOWN}")
    symbols = (*kept, *([UNKNOWN] if any(UNKNOWN in note for note in notes) else []))
    new = np.full(len(text.units), len(kept), np.int64)
    new[ordered] = np.arange(len(kept))
    parts = {split: renumber(piece, new) for split, piece in pieces.items()}
    return Corpus(symbols, parts, digest, tuple(notes))
