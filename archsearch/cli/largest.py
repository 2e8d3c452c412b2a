"""The largest value that each number of a configuration may have.

They keep a slip of the finger, or a file from somebody else, from filling a machine or running without end. Each lies
far above what a search could use; where a number is still larger, raise it here.
"""

SEED = 2**63 - 1
LENGTH = 1_000
"""Elements of a list."""
TEXT = 10_000
"""Characters of a text, and of one word of the command line."""
SIZE = 1e30
"""Of a number without a bound of its own; what is larger, float32 cannot tell from infinity."""
COUNT = 1_000_000_000
"""Of a whole number without a bound of its own."""

LARGEST: dict[str, float] = {
    # the search
    "seed": SEED,
    "candidates": 10_000_000,  # the paper tried 10,000
    "lookahead": 100_000,  # steps are held in memory
    "list_size": 100_000,
    "max_draws": 1_000_000,
    "num_settings": 1_000_000,
    "num_baseline_settings": 1_000_000,
    "well_explored": 1_000_000,
    "best": 1_000_000,
    "max_nodes": 2_000,  # what any cell may have
    "seeds": 10_000,
    "settings": 1_000_000,
    # a training
    "batch_size": 100_000,
    "unroll": 100_000,
    "num_halvings": 100_000,
    "num_layers": 100,
    "hidden_size": 65_536,
    "input_size": 65_536,
    # this machine
    "workers": 100_000,
    "workers_per_gpu": 1_000,
    "members": 100_000,
    "padding": 1_000.0,
    "memory_mb": 100_000_000,
    "memory_limit_mb": 100_000_000,
    "time_limit_seconds": 31_536_000.0,  # a year
    "grace_seconds": 604_800.0,  # a week
    "seconds": 86_400.0,
}


def largest(key: str, otherwise: float) -> float:
    """Returns the largest value that a setting may have, by the last part of its name."""
    return LARGEST.get(key, otherwise)
