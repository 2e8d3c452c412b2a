"""Trials that need no training because the same trial with another number of steps is in the journal."""

from archsearch.run.journal import Journal
from archsearch.trials.lengths import result_for_length
from archsearch.trials.trial import Trial, TrialResult


def from_other_lengths(journal: Journal, trial: Trial) -> TrialResult | None:
    """Returns the result that a shorter or longer training of the same trial gives, bit for bit.

    Args:
        journal: It does not hold the trial.
        trial: What is asked for.

    Returns:
        None if it has to be trained.
    """
    for max_steps, recorded in journal.of_other_lengths(trial):
        result = result_for_length(trial.max_steps, max_steps, recorded)
        if result is not None:
            return result
    return None
