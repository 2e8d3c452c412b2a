"""Reading a configuration: every value is checked for its kind, and every key must be known."""

import math
from collections.abc import Mapping
from typing import Any, NoReturn

from archsearch.cli.composition import PLACEHOLDER
from archsearch.cli.configuration_files import did_you_mean
from archsearch.cli.largest import COUNT, LENGTH, SIZE, TEXT, largest
from archsearch.errors import ConfigError
from archsearch.trials.truths import truth_of


class Section:
    """A part of a configuration.

    Args:
        values: What it holds.
        name: Where it stands in the whole, dotted; empty for the root.
    """

    def __init__(self, values: Mapping[str, Any], name: str = "") -> None:
        self.values = values
        self.name = name

    def where(self, key: str) -> str:
        """Returns the key as it would be typed."""
        return f"{self.name}.{key}" if self.name else key

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def section(self, key: str) -> "Section":
        """Returns a part of this part."""
        value = self._get(key)
        if not isinstance(value, Mapping):
            where = self.where(key)
            raise ConfigError(
                f"{where}: expected settings of its own, got {_shown(value)}. Give them as {where}.NAME=…."
            )
        return Section(value, self.where(key))

    def integer(self, key: str, least: int | None = None) -> int:
        """Returns a whole number, at most what `largest` says for its name."""
        value = self._get(key)
        most = int(largest(key, COUNT))
        if isinstance(value, bool) or not isinstance(value, int) or value < (-most if least is None else least):
            self._refuse(key, "a whole number" if least is None else f"a whole number of at least {least}", value)
        if value > most:
            self._refuse(key, f"a whole number of at most {most:,}", value)
        return value

    def number(self, key: str, least: float = -SIZE, most: float | None = None) -> float:
        """Returns a finite number, at most what `largest` says for its name."""
        value = self._get(key)
        most = largest(key, SIZE) if most is None else most
        if isinstance(value, bool) or not isinstance(value, int | float) or not _lies(value, least, most):
            bounds = f" from {least:g} to {most:g}" if least > -SIZE else ""
            self._refuse(key, f"a number{bounds}", value)
        return float(value)

    def text(self, key: str) -> str:
        """Returns a text that is not empty."""
        value = self._get(key)
        if not isinstance(value, str) or not value:
            self._refuse(key, "a text", value)
        if len(value) > TEXT or "\0" in value:
            self._refuse(key, f"a text of at most {TEXT:,} characters, none of them null", value)
        return value

    def choice(self, key: str, options: tuple[str, ...]) -> str:
        """Returns one of some words."""
        value = self._get(key)
        if not isinstance(value, str) or value not in options:
            near = did_you_mean(_shown(value), options)
            raise ConfigError(f"{self.where(key)}: expected one of {', '.join(options)}, got {_shown(value)}.{near}")
        return str(value)

    def flag(self, key: str) -> bool:
        """Returns a truth value; `yes` and `no` will do."""
        value = self._get(key)
        truth = truth_of(value)
        if truth is None:
            self._refuse(key, "yes or no", value)
        return truth

    def texts(self, key: str) -> tuple[str, ...]:
        """Returns a list of texts; one alone will do, and so will several with commas between them."""
        value = self._get(key)
        if isinstance(value, str):
            value = value.split(",")
        if not isinstance(value, list) or not all(isinstance(element, str) and element for element in value):
            self._refuse(key, "a list of texts such as [a,b]", value)
        return tuple(element.strip() for element in value)

    def integers(self, key: str, least: int) -> tuple[int, ...]:
        """Returns a list of different whole numbers."""
        elements = self._elements(key)
        return tuple(Section({key: element}, self.name).integer(key, least) for element in elements)

    def positive_numbers(self, key: str) -> tuple[float, ...]:
        """Returns a list of different numbers above 0."""
        numbers = tuple(Section({key: element}, self.name).number(key) for element in self._elements(key))
        if min(numbers) < 1 / SIZE:
            self._refuse(key, "numbers above 0", min(numbers))
        return numbers

    def refuse_unknown(self, known: tuple[str, ...]) -> None:
        """Checks that there are no other keys.

        Raises:
            ConfigError: There is one.
        """
        for key in self.values:
            if key not in known:
                raise ConfigError(
                    f"there is no setting '{self.where(key)}'.{did_you_mean(key, known, self.where(''))} "
                    f"{self.name or 'The configuration'} has: {', '.join(known)}."
                )

    def _elements(self, key: str) -> list[Any]:
        value = self._get(key)
        elements = value if isinstance(value, list) else [value]
        if not elements or any(isinstance(element, list | Mapping) for element in elements):
            self._refuse(key, "a list such as [1,2]", value)
        if len(elements) > LENGTH:
            self._refuse(key, f"a list of at most {LENGTH:,}", f"one of {len(elements):,}")
        if len(set(elements)) < len(elements):
            self._refuse(key, "each value once", value)
        return elements

    def _get(self, key: str) -> Any:
        value = self.values.get(key)
        if value is None or value == PLACEHOLDER:
            self._refuse(key, "a value", "none")
        return value

    def _refuse(self, key: str, expected: str, got: object) -> NoReturn:
        shown = got if got == "none" else _shown(got)
        raise ConfigError(f"{self.where(key)}: expected {expected}, got {shown}. Give it as {self.where(key)}=….")


def _lies(value: float, least: float, most: float) -> bool:
    return least <= value <= most and math.isfinite(value)


def _shown(value: object) -> str:
    """Returns a value for a message: on one line, and short."""
    if isinstance(value, int) and abs(value) >= 10**80:
        return "a number of more than 80 digits"  # Python refuses to write the longest
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= 200 else text[:200] + "…"
