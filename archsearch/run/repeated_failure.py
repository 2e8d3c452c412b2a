"""What tells a bug, or a machine that no longer works, from cells that fail."""

import re

from archsearch.errors import SearchStateError
from archsearch.trials.trial import TrialResult

_NUMBERS = re.compile(r"\d+")  # the same error in cells of different sizes has other numbers in it


class RepeatedFailure:
    """Stops work in which trial after trial fails with the same error: that is a bug, no property of cells.

    A cell that fails alike with all its settings is none: the trials must be of more than one cell. Divergence, limits
    and lost workers never count.

    Args:
        limit: Trials in a row; None for no limit.
    """

    def __init__(self, limit: int | None = 20) -> None:
        self._limit = limit
        self._error = ""
        self._count = 0
        self._cells: set[str] = set()

    def see(self, cell: str, result: TrialResult) -> None:
        """Counts a trial that was computed.

        Args:
            cell: Digest of its cell.
            result: What came of it.

        Raises:
            SearchStateError: The last `limit` trials all failed with the same error, as did those of another cell.
        """
        failed = result.status in {"failed", "crashed"}
        error = _NUMBERS.sub("#", result.error) if failed else ""
        if not failed or error != self._error:
            self._error, self._count, self._cells = error, 0, set()
        self._count += failed
        self._cells.add(cell)
        if self._limit is not None and self._count >= self._limit and len(self._cells) > 1:
            raise SearchStateError(
                f"the last {self._limit} trials all failed with the same error, so this is a bug rather than a "
                f"property of the cells: {result.error}"
            )
