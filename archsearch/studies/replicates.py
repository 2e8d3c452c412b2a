"""Which replicates belong to what, so that no study trains on the data of another or of the search.

Training data and their order follow from (root seed, task, replicate) and are the same for all cells; so results of
different cells with equal replicates are pairs.
"""

from archsearch.errors import ConfigError

TUNING_REPLICATE = 1001
"""The first on which `confirm` tries settings. The search has the replicates below."""

CONFIRMING_REPLICATE = 2001
"""The first on which `confirm` trains the chosen settings."""

ABLATING_REPLICATE = 3001
"""The first on which `ablate` trains."""

MAX_SEEDS = 999


def check_seeds(num_seeds: int) -> int:
    """Returns a number of seeds that a study can have.

    Raises:
        ConfigError: They are too few for an interval, or would be another study's.
    """
    if not 2 <= num_seeds <= MAX_SEEDS:
        raise ConfigError(
            f"seeds: expected 2 to {MAX_SEEDS}, got {num_seeds}. A spread takes two; five make intervals useful."
        )
    return num_seeds
