"""Points of the hyperparameter space, and the space itself."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

LARGEST = 1e31  # of what a file may hold


@dataclass(frozen=True, order=True)
class Setting:
    """One point of the hyperparameter space.

    Source: Jozefowicz 2015, sec. 3.3; R20-R24.

    Attributes:
        init_scale: `s`; weights are drawn from U[-s/sqrt(n), s/sqrt(n)], `n` the units of the layer.
        learning_rate: Per step, for a gradient divided by the minibatch size.
        max_gradient_norm: The gradient's L2 norm is clipped to it.
        num_layers: Stacked recurrent layers.
        max_parameters: The budget that the width is chosen for: embedding, layers and readout.
    """

    init_scale: float
    learning_rate: float
    max_gradient_norm: float
    num_layers: int
    max_parameters: int

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Setting":
        """Reads the fields of a setting out of a file.

        Raises:
            TypeError: A field is missing or unknown, or no number.
            ValueError: A number is not above 0, or larger than a setting can have.
        """
        for name, value in record.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{name} is no number")
            if not 0 < value < LARGEST:
                raise ValueError(f"{name} is {str(value)[:80]}")
        return cls(**record)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.init_scale, self.learning_rate, self.max_gradient_norm, self.num_layers, self.max_parameters))

    @cached_property
    def key(self) -> str:
        """A short text that identifies the setting."""
        return (
            f"s{self.init_scale:.15g}-lr{self.learning_rate:.15g}-g{self.max_gradient_norm:.15g}"
            f"-l{self.num_layers}-p{self.max_parameters}"
        )


@dataclass(frozen=True)
class SettingSpace:
    """The allowed values of each coordinate; a setting is one of each."""

    init_scales: tuple[float, ...]
    learning_rates: tuple[float, ...]
    max_gradient_norms: tuple[float, ...]
    num_layers: tuple[int, ...]
    max_parameters: tuple[int, ...]

    def __len__(self) -> int:
        return (
            len(self.init_scales)
            * len(self.learning_rates)
            * len(self.max_gradient_norms)
            * len(self.num_layers)
            * len(self.max_parameters)
        )

    def all(self) -> tuple[Setting, ...]:
        """Returns every setting, in a fixed order."""
        return self._all

    @cached_property
    def _all(self) -> tuple[Setting, ...]:
        coordinates = (
            self.init_scales,
            self.learning_rates,
            self.max_gradient_norms,
            self.num_layers,
            self.max_parameters,
        )
        return tuple(Setting(*point) for point in itertools.product(*coordinates))
