"""Notices results that come from another environment than those before: they may differ in the last bits."""

from collections.abc import Mapping

from archsearch.trials.trial import OF_A_TRIAL, TrialResult


class Environments:
    """The environments of a run's results so far."""

    def __init__(self) -> None:
        self._seen: set[tuple[tuple[str, str], ...]] = set()

    def see(self, result: TrialResult) -> str:
        """Takes note of a result; returns a warning if its environment is a new one, else an empty text.

        What one side does not tell is no difference: older versions told less.
        """
        if not result.environment:  # a trial that never came to train
            return ""
        environment = tuple(sorted(pair for pair in result.environment.items() if pair[0] not in OF_A_TRIAL))
        if environment in self._seen:
            return ""
        before = [dict(seen) for seen in self._seen]
        self._seen.add(environment)
        changes = [_changes(dict(environment), other) for other in before]
        if not changes or "" in changes:
            return ""
        return (
            f"trials of this run are now computed in another environment than before: {min(changes, key=len)}. They "
            f"may differ from the earlier ones in the last digits, as on another machine."
        )


def _changes(now: Mapping[str, str], before: Mapping[str, str]) -> str:
    names = [name for name in now if name in before and now[name] != before[name]]
    return ", ".join(f"{name} {now[name]} instead of {before[name]}" for name in names)
