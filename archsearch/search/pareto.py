"""Which cells are worth what they cost."""

from collections.abc import Sequence


def pareto_front(fitnesses: Sequence[float | None], costs: Sequence[float | None]) -> tuple[bool, ...]:
    """Tells of each cell whether it lies on the front of fitness against a cost.

    It does unless another cell is at least as fit for at most the cost, and better in one of the two. A cell that wins
    by being bigger stands on the front beside the smaller ones that it beats. One without a fitness or a cost is not on
    it.

    Args:
        fitnesses: Larger is better.
        costs: Smaller is better, in the same order.
    """
    cells = list(zip(fitnesses, costs, strict=True))
    known = [(fitness, cost) for fitness, cost in cells if fitness is not None and cost is not None]

    def is_beaten(fitness: float, cost: float) -> bool:
        return any(
            other_fitness >= fitness and other_cost <= cost and (other_fitness, other_cost) != (fitness, cost)
            for other_fitness, other_cost in known
        )

    return tuple(fitness is not None and cost is not None and not is_beaten(fitness, cost) for fitness, cost in cells)
