"""The errors a user of archsearch can meet.

Each message says where, what was expected, what came, and what to do. A cell that fails in training is no error
here: it is a status in its `TrialResult`.
"""

from collections.abc import Sequence


class ArchSearchError(Exception):
    """The root of every error that archsearch raises on purpose."""


class ConfigError(ArchSearchError, ValueError):
    """A setting, an override or an argument has a value that cannot work."""


class EngineError(ConfigError):
    """An engine cannot run here, or cannot run this cell or these tensors."""


class InvalidGraphError(ArchSearchError, ValueError):
    """A cell graph breaks at least one rule.

    Attributes:
        violations: Every broken rule, one sentence each, in a stable order.
    """

    def __init__(self, violations: Sequence[str]) -> None:
        self.violations = tuple(violations)
        super().__init__("\n".join(self.violations))


class ShapeError(ArchSearchError, ValueError):
    """An array has a shape, type or device that a layer cannot take."""


class SearchStateError(ArchSearchError):
    """A run's folder or journal is not in the state that a command needs."""


class FileFormatError(ArchSearchError):
    """A file exists but its content is not what its reader expects."""
