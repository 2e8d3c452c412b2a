"""What a task must offer: batches of sequences, which positions count, and how well a cell could do.

Shapes: `T` time steps, `B` parallel sequences, `F` numbers read and `K` predicted at each step.
"""

import abc
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ConfigError
from archsearch.trials.interface import Interface
from archsearch.trials.metric import ACCURACY, Metric
from archsearch.trials.truths import truth_of

TASK_NAME_RULE = "the name of a task has at most 64 letters, digits and underscores, and begins with no digit"
_TASK_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

HeldOut = Literal["validation", "test"]


@dataclass(frozen=True)
class Batch:
    """One minibatch.

    `scored` is the mask that makes every kind of problem one: the next symbol (all positions count), a class at the end
    (the last position of each sequence counts), a label for each step, and sequences of different lengths, which are
    filled up with anything at their ends.

    Attributes:
        inputs: `[T, B]` symbols read, int64, or `[T, B, F]` numbers, float32.
        targets: `[T, B]` classes to predict at each position, int64, or `[T, B, K]` numbers, float32.
        scored: `[T, B]` bool; loss and metric count these positions only.
        starts: Whether the states are set to zero before the first step; otherwise they are carried over.
    """

    inputs: NDArray[np.int64] | NDArray[np.float32]
    targets: NDArray[np.int64] | NDArray[np.float32]
    scored: NDArray[np.bool_]
    starts: bool


@dataclass(frozen=True)
class Task(abc.ABC):
    """A sequence problem with training, validation and test data.

    A concrete task is a frozen dataclass whose fields are its difficulty and its sizes. Held-out data depend on those
    fields alone; training data on the fields and a seed. The three splits have no problem in common.

    Attributes:
        name: Under which it is known in a run; the yaml's name.
        version: Of the task's code; raised whenever its data would differ.
        separator: Stands between symbols when data are shown to people.
        places: Fields that only tell where data are and how much may be read: the content counts.
    """

    version: ClassVar[int] = 1
    separator: ClassVar[str] = ""
    places: ClassVar[tuple[str, ...]] = ()

    name: str

    @property
    def symbols(self) -> tuple[str, ...]:
        """The vocabulary that is read, in the order of the symbols' numbers; empty where numbers are read."""
        return ()

    @property
    def classes(self) -> tuple[str, ...]:
        """What is predicted, in the order of the classes' numbers; empty where there are no names for it."""
        return self.symbols if self.interface == Interface.of_symbols(len(self.symbols)) else ()

    @property
    def interface(self) -> Interface:
        """What a model reads and predicts: symbols and the next of them, unless a task says otherwise."""
        return Interface.of_symbols(len(self.symbols))

    @property
    def metric(self) -> Metric:
        """What is measured on held-out data and compared with the GRU."""
        return ACCURACY

    @abc.abstractmethod
    def epoch_steps(self, batch_size: int, unroll: int) -> int:
        """Returns the number of training steps between two validations."""

    @abc.abstractmethod
    def training(self, seed: int, batch_size: int, unroll: int) -> Iterator[Batch]:
        """Yields training batches without end; equal seeds give equal batches."""

    @abc.abstractmethod
    def held_out(self, split: HeldOut, batch_size: int, unroll: int) -> Iterator[Batch]:
        """Yields all batches of a held-out split, the same at every call."""

    @abc.abstractmethod
    def chance(self) -> float:
        """Returns the metric on the validation data of a simple predictor, such as the best n-gram of order up to 3."""

    @abc.abstractmethod
    def ceiling(self) -> float | None:
        """Returns the metric on the validation data of the best predictor there can be, None where it is not known."""

    def notes(self) -> tuple[str, ...]:
        """Returns a sentence for each thing that was repaired in the data, or left out of them."""
        return ()

    def decode(self, numbers: Iterable[int]) -> str:
        """Returns symbols as people read them."""
        return self.separator.join(self.symbols[number] for number in numbers)

    def check_integer(self, field: str, least: int, most: int | None = None) -> None:
        """Checks a field in `__post_init__`.

        Raises:
            ConfigError: The field is no integer or lies outside the bounds.
        """
        value = getattr(self, field)
        if (
            isinstance(value, int)
            and not isinstance(value, bool)
            and least <= value
            and (most is None or value <= most)
        ):
            return
        expected = f"an integer of at least {least}" if most is None else f"an integer from {least} to {most}"
        raise ConfigError(
            f"task {self.name}, {field}: expected {expected}, got {_shown(value)}. "
            f"Set task.{self.name}.{field} to such a number."
        )

    def check_choice(self, field: str, options: tuple[str, ...]) -> None:
        """Checks a field in `__post_init__`.

        Raises:
            ConfigError: It is none of the options.
        """
        if getattr(self, field) not in options:
            raise ConfigError(
                f"task {self.name}, {field}: expected one of {', '.join(options)}, got {getattr(self, field)!r}."
            )

    def check_flag(self, field: str) -> None:
        """Checks a field in `__post_init__`; words such as `no`, which are true as texts, become what they say.

        Raises:
            ConfigError: It is neither a boolean nor such a word.
        """
        value = getattr(self, field)
        truth = truth_of(value)
        if truth is None:
            raise ConfigError(
                f"task {self.name}, {field}: expected yes or no, got {_shown(value)}. "
                f"Set task.{self.name}.{field} to one of them."
            )
        object.__setattr__(self, field, truth)

    def check_name(self, field: str) -> None:
        """Checks a field in `__post_init__`; a name of digits, which comes as a number, becomes text again.

        Raises:
            ConfigError: It is no name, such as a column of a table has.
        """
        value = getattr(self, field)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not value:
            raise ConfigError(
                f"task {self.name}, {field}: expected a name, got {_shown(value)}. "
                f"Give it as text, task.{self.name}.{field}='\"…\"'."
            )
        object.__setattr__(self, field, value)

    def check_folder(self, field: str) -> None:
        """Checks a field in `__post_init__`, but not yet whether there is such a folder.

        Raises:
            ConfigError: It is given, and is no text.
        """
        value = getattr(self, field)
        if value is not None and not isinstance(value, str):
            raise ConfigError(
                f"task {self.name}, {field}: expected the text of a folder's path, got {_shown(value)}. "
                f"Set task.{self.name}.{field} to the folder of the task's files."
            )

    def check_share(self, field: str) -> None:
        """Checks a field in `__post_init__`.

        Raises:
            ConfigError: It is no share of a whole that leaves something to train on.
        """
        value = getattr(self, field)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 0.4:
            raise ConfigError(f"task {self.name}, {field}: expected a share above 0 and at most 0.4, got {value!r}.")

    def baselines(self) -> dict[str, float]:
        """Returns the metric on the validation data of simple predictors that are no networks, by their names."""
        return {"chance": self.chance()}

    def reader(self) -> dict[str, Any]:
        """Returns, as plain values, what a trained model needs besides its weights to be used on other data.

        Empty where there is no use but evaluation.
        """
        return {}

    def content_digest(self) -> str:
        """Identifies data that the fields do not determine, such as a folder's files. Empty where there are none."""
        return ""

    def identity_fields(self) -> dict[str, Any]:
        """Returns the fields that determine the data, which `places` do not."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in self.places}

    @property
    def digest(self) -> str:
        """Identifies configuration, content and code version in 16 hexadecimal digits."""
        parts = [type(self).__qualname__, str(self.version), self.content_digest()]
        parts += [f"{name}={value!r}" for name, value in sorted(self.identity_fields().items())]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def is_task_name(text: str) -> bool:
    """Tells whether a task may be called so: its name becomes part of columns, file names and pages."""
    return _TASK_NAME.fullmatch(text) is not None


def _shown(value: object) -> str:
    """Returns a value for a message; Python refuses to write the longest numbers."""
    return "a number of more than 80 digits" if isinstance(value, int) and abs(value) >= 10**80 else repr(value)[:200]
