"""Long texts as numbers of their characters or words, read piece by piece so that they fit in memory.

Shapes: `N` characters or words.
"""

import collections
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ConfigError
from archsearch.trials.text_units import split_units
from archsearch.trials.user_files import check_is_text, check_size, not_utf8, reading_errors

PIECE_SIZE = 2**20  # characters read, or numbers handled, at once
NUM_CODES = 0x110000  # of Unicode
MAX_WORDS = 5_000_000  # different ones; they take up to a gigabyte
FILE_BORDER = "\n"  # stands between the files of a folder

Numbers = NDArray[np.integer]


@dataclass(frozen=True)
class NumberedText:
    """A text of one or several files.

    Attributes:
        units: The characters or words that occur, in the order of their numbers.
        numbers: `[N]` numbers, of the smallest type that holds them.
        digest: Identifies the content, whatever the unit.
        has_foreign_line_ends: Whether line ends of Windows or old Macs were made plain.
    """

    units: tuple[str, ...]
    numbers: Numbers
    digest: str
    has_foreign_line_ends: bool


def read_numbered_text(
    task: str, files: Sequence[Path], max_megabytes: int, unit: str, lower_case: bool
) -> NumberedText:
    """Reads files one after the other; a byte order mark goes.

    Raises:
        ConfigError: They are larger than allowed, cannot be read, are no UTF-8, or hold nothing or too many words.
    """
    check_size(task, files, max_megabytes)
    numbering: _Numbering = _Characters() if unit == "characters" else _Words(task, files[0])
    digest, pieces, is_blank, has_foreign = hashlib.sha256(), [], True, False
    for number, path in enumerate(files):
        if number:
            digest.update(b"\0")
            pieces.append(numbering.number(split_units(FILE_BORDER, unit, lower_case)))
        with reading_errors(task, path), path.open(encoding="utf-8-sig") as file:
            try:
                for piece in _pieces(file):
                    check_is_text(task, path, piece)
                    digest.update(piece.encode())
                    is_blank = is_blank and not piece.strip()
                    pieces.append(numbering.number(split_units(piece, unit, lower_case)))
            except UnicodeDecodeError as error:
                raise not_utf8(task, path) from error
            has_foreign = has_foreign or (file.newlines or "\n") != "\n"
    if is_blank:
        where = files[0] if len(files) == 1 else files[0].parent
        raise ConfigError(f"task {task}, {where}: expected text, found nothing but blanks. Choose another file.")
    return NumberedText(numbering.units, np.concatenate(pieces), digest.hexdigest()[:16], has_foreign)


def count_numbers(numbers: Numbers, num_units: int) -> NDArray[np.int64]:
    """Returns `[U]`: how often each of `U` numbers occurs. In pieces, as numpy would hold eight bytes for each."""
    counts = np.zeros(num_units, np.int64)
    for start in range(0, len(numbers), PIECE_SIZE):
        counts += np.bincount(numbers[start : start + PIECE_SIZE], minlength=num_units)
    return counts


def renumber(numbers: Numbers, new: Numbers) -> Numbers:
    """Returns `[N]` what stands in place of each number, of the smallest type that holds it. In pieces, likewise."""
    found = np.empty(len(numbers), np.min_scalar_type(int(new.max())))
    for start in range(0, len(numbers), PIECE_SIZE):
        piece = slice(start, start + PIECE_SIZE)
        found[piece] = new[numbers[piece]]
    return found


def _pieces(file: TextIO) -> Iterator[str]:
    """Yields a file's text in pieces that end after a blank, so that no word is in two."""
    held: list[str] = []
    while text := file.read(PIECE_SIZE):
        end = 1 + max(text.rfind(blank) for blank in " \n\t")
        if end:
            yield "".join([*held, text[:end]])
            held.clear()
        held.append(text[end:])
    yield "".join(held)


class _Numbering(Protocol):
    """Numbers units in an order of its own."""

    @property
    def units(self) -> tuple[str, ...]:
        """All so far."""

    def number(self, units: Sequence[str]) -> Numbers:
        """Returns the units' numbers."""


class _Characters:
    def __init__(self) -> None:
        self._codes: list[int] = []
        self._numbers = np.full(NUM_CODES, -1, np.int32)

    @property
    def units(self) -> tuple[str, ...]:
        return tuple(map(chr, self._codes))

    def number(self, units: Sequence[str]) -> Numbers:
        starts = range(0, max(1, len(units)), PIECE_SIZE)  # a text of one line comes in one piece
        return np.concatenate([self._number("".join(units[start : start + PIECE_SIZE])) for start in starts])

    def _number(self, text: str) -> Numbers:
        codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        numbers = self._numbers[codes]
        new = np.unique(codes[numbers < 0])
        if new.size:
            self._numbers[new] = np.arange(len(self._codes), len(self._codes) + new.size)
            self._codes += new.tolist()
            numbers = self._numbers[codes]
        return numbers.astype(_smallest(len(self._codes)))


class _Words:
    def __init__(self, task: str, file: Path) -> None:
        self._task, self._file = task, file
        self._numbers: dict[str, int] = collections.defaultdict(lambda: len(self._numbers))

    @property
    def units(self) -> tuple[str, ...]:
        return tuple(self._numbers)

    def number(self, units: Sequence[str]) -> Numbers:
        numbers = np.fromiter(map(self._numbers.__getitem__, units), np.int64, len(units))
        if len(self._numbers) > MAX_WORDS:
            raise ConfigError(
                f"task {self._task}, {self._file}: expected at most {MAX_WORDS:,} different words, got more. Are they "
                f"numbers or random? Leave them out, or set task.{self._task}.unit=characters."
            )
        return numbers.astype(_smallest(len(self._numbers)))


def _smallest(num_units: int) -> np.dtype[np.unsignedinteger]:
    """Returns the smallest type that holds the numbers of so many units."""
    return np.min_scalar_type(max(0, num_units - 1))
