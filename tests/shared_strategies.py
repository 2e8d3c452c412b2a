"""Every strategy, for tests that walk them all: `from shared_strategies import …`."""

from archsearch.search.cost_penalty import CostPenalty
from archsearch.search.jozefowicz2015 import Jozefowicz2015
from archsearch.search.random_mutation import RandomMutation
from archsearch.search.regularized_evolution import RegularizedEvolution
from archsearch.search.strategy import Rung

RUNGS = (Rung(0.1, 1.0), Rung(0.4, 0.5, gate=0.5), Rung(1.0, 0.25))

CHANGES = {
    "jozefowicz2015": {},
    "halving": {"strategy": Jozefowicz2015(rungs=RUNGS)},
    "regularized": {"strategy": RegularizedEvolution(population=8, sample=3)},
    "regularized_halving": {"strategy": RegularizedEvolution(population=8, sample=3, rungs=RUNGS)},
    "random": {"strategy": RandomMutation(depth=4)},
    "penalty": {"penalty": CostPenalty(parameters=0.2, multiply_adds=0.3)},
}
"""What each changes in the plan of `shared_simulation.make_plan`."""
