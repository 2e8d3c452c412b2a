"""The axes of charts: which range is shown, and where the ticks stand."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        label: What it measures, with its unit.
        low: Value at its beginning.
        high: Value at its end, above `low`.
        num_ticks: Ticks at the most, about.
    """

    label: str
    low: float
    high: float
    num_ticks: int = 5

    @classmethod
    def around(cls, label: str, values: Iterable[float], *, from_zero: bool = False, num_ticks: int = 5) -> "Axis":
        """Returns an axis on which all values have their place, with some room around them."""
        known = [value for value in values if math.isfinite(value)]
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        low = min(0.0, low) if from_zero else low
        room = 0.04 * (high - low) or abs(high) * 0.05 or 0.5
        return cls(label, low if from_zero else low - room, high + room, num_ticks)

    def share(self, value: float) -> float:
        """Returns where a value lies, 0 at the beginning of the axis and 1 at its end."""
        return (value - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> tuple[float, ...]:
        """Round values within the range."""
        step = self._step
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return tuple(min(max(number * step, self.low), self.high) for number in range(first, last + 1))

    def text(self, value: float) -> str:
        """Returns a tick's value, with as many digits as tell it from its neighbours."""
        if abs(self.high) >= 1_000_000:
            return f"{value / 1_000_000:g}M"
        if abs(self.high) >= 10_000:
            return f"{value / 1000:g}k"
        digits = max(0, -math.floor(math.log10(self._step) + 1e-9))
        if round(self._step, digits) != round(self._step, digits + 1):
            digits += 1  # steps of 0.25
        return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")

    @property
    def _step(self) -> float:
        least = (self.high - self.low) / self.num_ticks
        power = 10.0 ** math.floor(math.log10(least))
        return next(step * power for step in _STEPS if step * power >= least * (1 - 1e-9))
