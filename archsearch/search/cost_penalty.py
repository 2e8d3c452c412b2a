"""What a cell's size and time cost it in the ranking: the cost model, never the clock."""

import math
from dataclasses import dataclass, fields

from archsearch.errors import ConfigError
from archsearch.graph.cost import count_multiply_adds, count_parameters
from archsearch.graph.structure import Structure
from archsearch.mutation.bounds import REFERENCE_SIZE


@dataclass(frozen=True)
class CostPenalty:
    """Ranks cells by fitness × (baseline's parameters ÷ own)^a × (baseline's multiply-adds ÷ own)^b.

    With an exponent of 0.07, twice the cost weighs as much as 5 % of fitness. Fitness, gates and what is shown stay as
    they are; only places in the list and tournaments follow the product.

    Source: Tan et al. 2019, MnasNet, sec. 3.1, whose w is −0.07; arxiv.org/abs/1807.11626.

    Attributes:
        parameters: The exponent a, at least 0; 0 for no weight.
        multiply_adds: The exponent b, likewise; of one time step of one sequence.

    Raises:
        ConfigError: An exponent is negative or not finite.
    """

    parameters: float = 0.0
    multiply_adds: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"penalty.{field.name}: expected a finite number of at least 0, got {value!r}.")

    def factor(self, structure: Structure, baseline: Structure) -> float:
        """Returns what a cell's fitness is multiplied with; 1 for the baseline, and for all without exponents."""
        factor = 1.0
        for count, exponent in ((count_parameters, self.parameters), (count_multiply_adds, self.multiply_adds)):
            if exponent:
                own, other = (count(cell, REFERENCE_SIZE, REFERENCE_SIZE) for cell in (structure, baseline))
                factor *= (max(other, 1) / max(own, 1)) ** exponent
        return factor


NO_PENALTY = CostPenalty()
