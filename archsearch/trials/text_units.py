"""Texts as characters or words."""

import re
from collections.abc import Iterable, Mapping, Sequence

UNKNOWN = "<unk>"
END = "<eos>"
UNITS = ("characters", "words")

_WORD = re.compile(r"\n|\w+(?:['’-]\w+)*|[^\w\s]")  # noqa: RUF001 - a typographic apostrophe is part of a word


def split_units(text: str, unit: str, lower_case: bool) -> Sequence[str]:
    """Returns a text's characters, or its words: runs of letters, other single characters, `<eos>` at line ends."""
    if lower_case:
        text = text.lower()
    if unit == "characters":
        return text  # a list would take eight times its memory
    return [END if word == "\n" else word for word in _WORD.findall(text)]


def join_units(units: Iterable[str], unit: str) -> str:
    """Returns characters or words as people read them."""
    if unit == "characters":
        return "".join(units)
    return " ".join(units).replace(f" {END} ", "\n").replace(f" {END}", "\n").replace(f"{END} ", "\n")


def numbers_of(units: Iterable[str], numbers: Mapping[str, int]) -> tuple[list[int], list[str]]:
    """Returns the units' numbers, without those of unknown units where there is none for them, and the unknown."""
    unknown = sorted({unit for unit in units if unit not in numbers})
    known = [numbers.get(unit, numbers.get(UNKNOWN, -1)) for unit in units]
    return [number for number in known if number >= 0], unknown
