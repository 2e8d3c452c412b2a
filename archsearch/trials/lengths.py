"""What a trial tells about the same trial with another maximal number of steps, bit for bit.

Schedules never read the budget, so of two trials that differ in `max_steps` alone the shorter one is the beginning of
the longer one. It ends with a validation of its own, though, and the longer one has that point only if it lies at the
end of an epoch.
"""

from archsearch.trials.metric import METRICS
from archsearch.trials.trial import Status, Trial, TrialResult

_OWN_DOING: frozenset[Status] = frozenset({"ok", "diverged"})
"""Of the cell and its numbers alone; all other ends have to do with the machine or with this code."""


def result_for_length(max_steps: int, recorded_steps: int, recorded: TrialResult) -> TrialResult | None:
    """Returns the result of a trial from that of the same trial with another maximal number of steps.

    Args:
        max_steps: Of the trial asked for.
        recorded_steps: The maximal steps of the trial that is known.
        recorded: Its result.

    Returns:
        What training would give, with no time spent; None where the recorded trial does not tell.
    """
    if recorded.status not in _OWN_DOING:
        return None
    ended_by_itself = 0 < recorded.steps < recorded_steps  # a result without steps was not trained
    if ended_by_itself and max_steps >= recorded.steps:
        status, error, steps, curve = recorded.status, recorded.error, recorded.steps, recorded.curve
        value = recorded.value
    elif max_steps < recorded.steps and any(step == max_steps for step, _, _ in recorded.curve):
        status, error, steps = "ok", "", max_steps
        curve = tuple(point for point in recorded.curve if point[0] <= max_steps)
        value = max((value for _, _, value in curve), key=METRICS[recorded.metric].quality)
    else:
        return None
    return TrialResult(
        status=status,
        value=value,
        curve=curve,
        steps=steps,
        seconds=0.0,
        parameters=recorded.parameters,
        hidden_size=recorded.hidden_size,
        error=error,
        environment=recorded.environment,
        metric=recorded.metric,
    )


def key_around_steps(trial: Trial) -> tuple[str, str]:
    """Returns the parts of a trial's key before and after its number of steps: equal for all its lengths."""
    before, mark, rest = trial.key.rpartition("/steps-")
    return before + mark, rest.removeprefix(str(trial.max_steps))
