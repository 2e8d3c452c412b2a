"""What the list of a run is ranked by, in words."""

from archsearch.search.cost_penalty import CostPenalty


def ranking_sentence(penalty: CostPenalty, baseline: str) -> str:
    """Returns by what cells are ranked, where that is not their fitness alone; empty where it is.

    Args:
        penalty: What a cell's cost takes from its place.
        baseline: Name of the cell whose costs theirs are compared with.
    """
    exponents = {"parameters": penalty.parameters, "multiply-adds": penalty.multiply_adds}
    factors = [f"({baseline}'s {cost} / own)^{exponent:g}" for cost, exponent in exponents.items() if exponent]
    return f"Ranked by fitness * {' * '.join(factors)}; fitness itself is shown as it is." if factors else ""
