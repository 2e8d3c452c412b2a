"""What may differ between searches: which cell a step is about, and how far its settings are trained."""

import abc
import math
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

from archsearch.errors import ConfigError
from archsearch.graph.cell_graph import CellGraph
from archsearch.mutation.mutate import Child
from archsearch.search.knowledge import Knowledge

Mutation = Callable[[CellGraph, random.Random], Child]
"""Draws a child of a cell, or raises `NoChildError`."""


@dataclass(frozen=True)
class Rung:
    """One length of training, and how many settings get so far.

    Attributes:
        steps: Share of the task's maximal training steps, above 0 and at most 1.
        settings: Share of the settings at hand that are trained so long, above 0 and at most 1; at least one is.
        gate: A candidate whose best accuracy on the task after this rung does not exceed this share of the baseline's
            best at the same rung falls at once.

    Raises:
        ConfigError: A share is out of range.
    """

    steps: float
    settings: float
    gate: float = 0.0

    def __post_init__(self) -> None:
        for field, least in (("steps", 0.0), ("settings", 0.0), ("gate", -1.0)):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int | float) or not least < value <= 1 or value < 0:
                bounds = "a share from 0 to 1" if field == "gate" else "a share above 0 and at most 1"
                raise ConfigError(f"strategy.rungs, {field}: expected {bounds}, got {value!r}.")

    def max_steps(self, whole: int) -> int:
        """Returns the training steps of a trial at this rung, where a whole trial has at most so many."""
        return max(1, round(self.steps * whole))

    def num_settings(self, whole: int) -> int:
        """Returns how many of so many settings are trained at this rung."""
        return min(whole, max(1, math.ceil(self.settings * whole - 1e-9)))


WHOLE = (Rung(1.0, 1.0),)
"""Every setting is trained to the end."""


@dataclass(frozen=True, kw_only=True)
class Strategy(abc.ABC):
    """How a search chooses its cells, and how it spends training steps on their settings.

    A subclass is final and a frozen dataclass; what it does follows from the knowledge and the generator it is given,
    and from nothing else. Journal, lookahead, screen and gates are the same for all.

    Attributes:
        rungs: Successive halving over settings: all settings of a stage are trained for the first rung's steps, the
            best of them for the next rung's, and so on. Empty for none: each is trained to the end.
        reevaluates: Whether `draw_reevaluated` ever returns a cell.

    Raises:
        ConfigError: The rungs do not grow, or do not end with whole trials.
    """

    reevaluates: ClassVar[bool] = False
    rungs: tuple[Rung, ...] = ()

    def __post_init__(self) -> None:
        # a configuration file holds lists of mappings
        rungs = tuple(rung if isinstance(rung, Rung) else _rung(rung) for rung in self.rungs or ())
        object.__setattr__(self, "rungs", rungs)
        steps, settings = [rung.steps for rung in rungs], [rung.settings for rung in rungs]
        if rungs and (steps != sorted(set(steps)) or settings != sorted(settings, reverse=True)):
            raise ConfigError(
                f"strategy.rungs: expected more steps and no more settings from rung to rung, got steps {steps} and "
                f"settings {settings}."
            )
        if rungs and (steps[-1] != 1 or settings[0] != 1):
            raise ConfigError(
                f"strategy.rungs: expected all settings (1.0) at the first rung and whole trials (steps 1.0) at the "
                f"last, got settings {settings[0]} and steps {steps[-1]}."
            )

    @property
    def population_size(self) -> int:
        """How many of the cells completed last the knowledge keeps as a population; 0 for none."""
        return 0

    def draw_reevaluated(
        self,
        listed: Callable[[], Sequence[str]],  # noqa: ARG002 - for strategies that re-evaluate, and so are the others
        probability: float,  # noqa: ARG002
        rng: random.Random,  # noqa: ARG002
    ) -> str | None:
        """Returns the cell that a step gives fresh settings to; None, as by default, for one that proposes a new cell.

        Args:
            listed: Returns the listed cells that have fresh settings and are not in flight.
            probability: The plan's chance of a re-evaluation against a proposal.
            rng: The step's generator.
        """
        return None

    @abc.abstractmethod
    def draw_parent(
        self, knowledge: Knowledge, childless: Collection[str], rng: random.Random
    ) -> tuple[str, CellGraph] | None:
        """Returns the digest and graph of the next parent, None if there is none left.

        Args:
            knowledge: What the step sees.
            childless: Digests of cells that turned out to have no child; they are not drawn.
            rng: The step's generator.
        """

    def draw_child(self, parent: CellGraph, mutation: Mutation, rng: random.Random) -> Child:
        """Returns a child of a parent; by default one mutation away.

        Raises:
            NoChildError: It has none.
        """
        return mutation(parent, rng)


def _rung(value: object) -> Rung:
    known = [field.name for field in fields(Rung)]
    if not isinstance(value, Mapping) or not {"steps", "settings"} <= set(value) <= set(known):
        raise ConfigError(f"strategy.rungs: expected for each rung {', '.join(known)}, got {value!r}.")
    return Rung(**value)
