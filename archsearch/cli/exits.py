"""Exit codes, and the error that decides between two of them."""

from archsearch.errors import ArchSearchError

DONE = 0
FAILED = 1
WRONG = 2
INTERRUPTED = 130


class LateError(ArchSearchError):
    """Something failed after the first trial, when it could no longer be seen beforehand."""
