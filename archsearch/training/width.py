"""The number of units that a parameter budget pays for.

Source: Jozefowicz 2015, sec. 3.3; R24.
"""

from archsearch.errors import ConfigError
from archsearch.graph.cost import count_parameters
from archsearch.graph.structure import Structure
from archsearch.trials.interface import Interface

# A cell without a matrix has so few weights that its width would run away with the time of a step.
MAX_HIDDEN_SIZE = 4096


def model_parameters(structure: Structure, interface: Interface, hidden_size: int, num_layers: int) -> int:
    """Returns the number of weights of a `SequenceModel`: both ends of the interface, and the layers."""
    return interface.parameters(hidden_size) + num_layers * count_parameters(structure, hidden_size, hidden_size)


def hidden_size_for(
    structure: Structure,
    interface: Interface,
    num_layers: int,
    max_parameters: int,
    max_hidden_size: int = MAX_HIDDEN_SIZE,
) -> int:
    """Finds by binary search the width whose parameters are nearest to the budget, above it or below.

    Args:
        structure: The cell.
        interface: What is read and predicted.
        num_layers: Stacked layers.
        max_parameters: The budget. The smaller of two widths equally near wins.
        max_hidden_size: No wider than this, whatever the budget.

    Raises:
        ConfigError: The budget does not pay for one unit.
    """

    def parameters(hidden_size: int) -> int:
        return model_parameters(structure, interface, hidden_size, num_layers)

    if parameters(1) > max_parameters:
        raise ConfigError(
            f"setting: max_parameters is {max_parameters}, expected at least {parameters(1)}, which one unit in "
            f"{num_layers} layer(s) needs for a task that {interface}. Raise the budget, or use fewer layers or a task "
            "with less to read and predict."
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
