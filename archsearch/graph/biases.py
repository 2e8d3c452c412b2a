"""Where a bias may stand: the linears that only ever occur in one sum share their biases.

Two linears are companions when, in every polynomial of the cell, the derivatives with respect to them are equal up to
one sign. The cell then knows them only as the sum `s A + t B` (`s` and `t` are signs), and a bias of one may as well be
added to the other. A bias that starts at zero has no sign; one that starts elsewhere changes it with its place. A
constant in the sum is no bias: it is not learned, so it stays apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from archsearch.graph.atoms import LINEAR, Atom
from archsearch.graph.polynomials import Coefficient, Monomial, monomial_without
from archsearch.graph.structure import Structure

# owner, monomial of the derivative, its coefficient
_Entry = tuple[int, Monomial, Coefficient]


@dataclass(frozen=True, slots=True)
class Pool:
    """The companions of one class and the biases they share.

    Attributes:
        signs: For each companion its sign in the common sum.
        biases: The companions that have a bias, with the bias's first value seen from the sum.
    """

    signs: dict[int, int]
    biases: dict[int, float]

    def seen_from(self, atom: int) -> list[tuple[float, int]]:
        """Returns the first value of each bias, were it at this companion, and whose bias it is; sorted."""
        # + 0.0 makes a zero of a minus zero
        return sorted((self.signs[atom] * value + 0.0, owner) for owner, value in self.biases.items())


def pool_biases(atoms: Mapping[int, Atom], structure: Structure) -> dict[int, Pool]:
    """Returns for each linear atom the pool of its class."""
    classes: dict[frozenset[_Entry], Pool] = {}
    pools: dict[int, Pool] = {}
    for atom, entries in _derivatives(atoms).items():
        sign = 1 if min(entries)[2] > 0 else -1
        key = frozenset((owner, monomial, sign * coefficient) for owner, monomial, coefficient in entries)
        pool = classes.setdefault(key, Pool({}, {}))
        pool.signs[atom] = sign
        node = structure.nodes[atoms[atom].name]
        if node.bias:
            pool.biases[atom] = sign * node.bias_init
        pools[atom] = pool
    return pools


def _derivatives(atoms: Mapping[int, Atom]) -> dict[int, list[_Entry]]:
    """Returns for each linear the terms of the derivative, with respect to it, of every polynomial of the cell."""
    derivatives: dict[int, list[_Entry]] = {number: [] for number, atom in atoms.items() if atom.kind == LINEAR}
    for owner, atom in atoms.items():
        for monomial, coefficient in atom.operand.items():
            for factor, power in monomial:
                if factor in derivatives:
                    derivatives[factor].append((owner, monomial_without(monomial, factor), power * coefficient))
    return derivatives
