"""The number of units that a parameter budget pays for.

Source: Jozefowicz 2015, sec. 3.3; R24.
"""

from archsearch.errors import ConfigError
from archsearch.graph.cost import count_parameters
from archsearch.graph.structure import Structure

# A cell without a matrix has so few weights that its width would run away with the time of a step.
MAX_HIDDEN_SIZE = 4096


def model_parameters(structure: Structure, vocabulary_size: int, hidden_size: int, num_layers: int) -> int:
    """Returns the number of weights of a `SequenceModel`: embedding, layers, readout with its bias."""
    layers = num_layers * count_parameters(structure, hidden_size, hidden_size)
    return 2 * vocabulary_size * hidden_size + vocabulary_size + layers


def hidden_size_for(
    structure: Structure,
    vocabulary_size: int,
    num_layers: int,
    max_parameters: int,
    max_hidden_size: int = MAX_HIDDEN_SIZE,
) -> int:
    """Finds by binary search the width whose parameters are nearest to the budget, above it or below.

    Args:
        structure: The cell.
        vocabulary_size: Symbols that are embedded and read out.
        num_layers: Stacked layers.
        max_parameters: The budget. The smaller of two widths equally near wins.
        max_hidden_size: No wider than this, whatever the budget.

    Raises:
        ConfigError: The budget does not pay for one unit.
    """

    def parameters(hidden_size: int) -> int:
        return model_parameters(structure, vocabulary_size, hidden_size, num_layers)

    if parameters(1) > max_parameters:
        raise ConfigError(
            f"setting: max_parameters is {max_parameters}, expected at least {parameters(1)}, which one unit in "
            f"{num_layers} layer(s) needs with a vocabulary of {vocabulary_size} symbols. Raise the budget, or use "
            "fewer layers or a task with fewer symbols."
        )
    low, high = 1, max_hidden_size + 1  # low is within the budget; high is not, or is not allowed
    while high - low > 1:
        middle = (low + high) // 2
        if parameters(middle) <= max_parameters:
            low = middle
        else:
            high = middle
    is_above_nearer = parameters(high) - max_parameters < max_parameters - parameters(low)
    return high if is_above_nearer and high <= max_hidden_size else low
