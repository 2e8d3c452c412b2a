"""Reading a configuration: every value is checked for its kind, and every key must be known."""

import math
from collections.abc import Mapping
from typing import Any, NoReturn

from archsearch.cli.composition import PLACEHOLDER
from archsearch.cli.configuration_files import did_you_mean
from archsearch.errors import ConfigError

_TRUTHS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


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
            raise ConfigError(f"{where}: expected settings of its own, got {value!r}. Give them as {where}.NAME=….")
        return Section(value, self.where(key))

    def integer(self, key: str, least: int | None = None) -> int:
        """Returns a whole number."""
        value = self._get(key)
        if isinstance(value, bool) or not isinstance(value, int) or (least is not None and value < least):
            self._refuse(key, "a whole number" if least is None else f"a whole number of at least {least}", value)
        return value

    def number(self, key: str, least: float = -math.inf, most: float = math.inf) -> float:
        """Returns a finite number."""
        value = self._get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not _lies(value, least, most):
            bounds = f" from {least:g} to {most:g}" if math.isfinite(least + most) else ""
            bounds = bounds or (f" of at least {least:g}" if math.isfinite(least) else "")
            self._refuse(key, f"a number{bounds}", value)
        return float(value)

    def text(self, key: str) -> str:
        """Returns a text that is not empty."""
        value = self._get(key)
        if not isinstance(value, str) or not value:
            self._refuse(key, "a text", value)
        return value

    def choice(self, key: str, options: tuple[str, ...]) -> str:
        """Returns one of some words."""
        value = self._get(key)
        if value not in options:
            near = did_you_mean(str(value), options)
            raise ConfigError(f"{self.where(key)}: expected one of {', '.join(options)}, got {value!r}.{near}")
        return str(value)

    def flag(self, key: str) -> bool:
        """Returns a truth value; `yes` and `no` will do."""
        value = self._get(key)
        if isinstance(value, bool):
            return value
        if value not in _TRUTHS:
            self._refuse(key, "yes or no", value)
        return _TRUTHS[value]

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
        if min(numbers) <= 0:
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
        if len(set(elements)) < len(elements):
            self._refuse(key, "each value once", value)
        return elements

    def _get(self, key: str) -> Any:
        value = self.values.get(key)
        if value is None or value == PLACEHOLDER:
            self._refuse(key, "a value", "none")
        return value

    def _refuse(self, key: str, expected: str, got: object) -> NoReturn:
        shown = got if got == "none" else repr(got)
        raise ConfigError(f"{self.where(key)}: expected {expected}, got {shown}. Give it as {self.where(key)}=….")


def _lies(value: float, least: float, most: float) -> bool:
    return math.isfinite(value) and least <= value <= most
