"""When trial after trial fails alike, the run is wrong; when one cell does, the cell is."""

import pytest

from archsearch.errors import SearchStateError
from archsearch.run.repeated_failure import RepeatedFailure
from archsearch.trials.trial import Status, TrialResult


def see(failures: RepeatedFailure, *entries: tuple[str, Status, str]) -> None:
    for cell, status, error in entries:
        failures.see(cell, TrialResult(status, None, error=error))


@pytest.mark.parametrize("status", ["failed", "crashed"])
def test_the_same_error_in_several_cells_stops_the_run_with_it(status):
    failures = RepeatedFailure(limit=4)
    see(failures, *[("a", status, "size 3 is wrong")] * 2)
    see(failures, ("b", status, "size 17 is wrong"))
    with pytest.raises(SearchStateError, match=r"the last 4 trials all failed with the same error.*size 5 is wrong"):
        see(failures, ("b", status, "size 5 is wrong"))


def test_one_cell_that_always_fails_is_no_bug():
    failures = RepeatedFailure(limit=4)
    see(failures, *[("a", "failed", "too large")] * 20)
    see(failures, ("b", "ok", ""))
    see(failures, *[("c", "failed", "too large")] * 20)


def test_without_a_limit_nothing_stops_the_run():
    failures = RepeatedFailure(limit=None)
    see(failures, *[(cell, "failed", "same") for cell in "abcdefghijklmnopqrstuvwxyz"])


@pytest.mark.parametrize("status", ["ok", "diverged", "time_limit", "memory_limit", "worker_lost", "quarantined"])
def test_other_ends_never_count_and_begin_the_count_anew(status):
    failures = RepeatedFailure(limit=3)
    see(failures, *[(cell, status, "same") for cell in "abcdef"])
    see(failures, ("a", "failed", "bug"), ("b", "failed", "bug"), ("c", status, ""), ("d", "failed", "bug"))
    see(failures, ("e", "failed", "other"), ("f", "failed", "bug"), ("g", "failed", "bug"))
    with pytest.raises(SearchStateError):
        see(failures, ("h", "failed", "bug"))
