"""Training steps of a search whose longer trainings of a setting go on from the shorter ones."""

from archsearch.search.outcome import Examined


class ContinuedSteps:
    """Counts them, trial by trial: of each cell, task and setting the longest training counts once.

    That is what a search with rungs trains where it keeps checkpoints (docs/strategies.md).
    """

    def __init__(self) -> None:
        self._longest: dict[tuple[str, str, str], int] = {}

    def add(self, entry: Examined) -> int:
        """Returns the steps that a result adds to those before it."""
        family = (entry.cell, entry.task, entry.setting.key)
        before = self._longest.get(family, 0)
        self._longest[family] = max(before, entry.result.steps)
        return self._longest[family] - before
