"""The seeds that a trial's key stands for."""

from archsearch import seeds
from archsearch.trials.trial import Trial


def weights_seed(trial: Trial) -> int:
    """Returns the seed of a trial's initial weights."""
    names = (trial.cell, trial.task_digest, trial.setting.key, trial.replicate)
    return seeds.derive(trial.root_seed, "weights", *names)


def data_seed(trial: Trial) -> int:
    """Returns the seed of a trial's training data, the same for all cells and settings."""
    return seeds.derive(trial.root_seed, "training", trial.task_digest, trial.replicate)
