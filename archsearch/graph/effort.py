"""How much the canonical form of one cell may cost, in units that do not depend on the machine.

A cell of a few nodes can be huge as polynomials, or so symmetrical that its atoms have millions of orders. Work is
counted while it is done; when a bound is met, what comes next is simpler, and the cell may have a second digest.
"""

from dataclasses import dataclass

from archsearch.graph.polynomials import Polynomial


@dataclass(slots=True)
class Effort:
    """The work spent on one part of a canonical form, and how much of it there may be.

    Attributes:
        limit: Atoms of terms that may be looked at. A million take about a second.
        spent: Those looked at so far.
    """

    limit: int
    spent: int = 0

    def spend(self, amount: int) -> None:
        """Counts work that was done, or is about to be."""
        self.spent += amount

    @property
    def is_used_up(self) -> bool:
        """Whether the bound was met."""
        return self.spent > self.limit


def extent_of(polynomial: Polynomial) -> int:
    """Returns the work that a polynomial makes: each atom of a term is looked at along with the rest of that term."""
    return sum((1 + len(monomial)) ** 2 for monomial in polynomial)
