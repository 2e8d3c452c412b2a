"""The writing of polynomials as binary `add`, `sub` and `mul` nodes, few of them and always the same way.

Atoms are numbered in canonical order here, so that what comes out depends on nothing else. Common factors are taken
out of a polynomial where the expansion of the result is again a part of it; so what is written is read back as it was.
"""

from collections import Counter
from collections.abc import Sequence
from math import gcd

from archsearch.graph.factoring import Rectangle, find_alike_atoms, merge_alike_atoms, take_out_rectangles
from archsearch.graph.polynomials import Monomial, Polynomial, PolynomialKey, degree_of, key_of, negated
from archsearch.graph.products import MAX_COEFFICIENT_BITS, MAX_POWER, MAX_TERMS
from archsearch.graph.structure import OUTPUT_STATE, Node


class Emission:
    """A growing list of nodes in which no value is computed twice.

    Args:
        operands: Every polynomial of the cell, each of whose terms comes first in a sum the more of them it stands in.

    Attributes:
        nodes: The nodes so far, operands before users, named by primitive and a number.
        names: For each atom met so far the name that holds its value.
        opaque: The atoms that stand for sums; products with them are written as they are.
    """

    def __init__(self, operands: Sequence[Polynomial]) -> None:
        self.nodes: dict[str, Node] = {}
        self.names: dict[int, str] = {}
        self.opaque: set[int] = set()
        self._num_uses = Counter(monomial for operand in operands for monomial in operand)
        self._num_nodes: Counter[str] = Counter()
        self._interned: dict[tuple[str, tuple[str, ...]], str] = {}
        self._values: dict[PolynomialKey, str] = {}
        # sums that act as atoms while their products are written; numbered after the cell's own
        self._first_sum = len(operands)
        self._sums: dict[PolynomialKey, int] = {}

    def add_node(self, node: Node) -> str:
        """Adds a node and returns its name."""
        self._num_nodes[node.primitive] += 1
        name = f"{node.primitive}_{self._num_nodes[node.primitive]}"
        self.nodes[name] = node
        return name

    def value(self, polynomial: Polynomial) -> str:
        """Returns the name of a polynomial's value, adding the nodes it still needs."""
        key = key_of(polynomial)
        if key not in self._values:
            self._values[key] = self._write(polynomial)
        return self._values[key]

    def _write(self, polynomial: Polynomial) -> str:
        if not polynomial:
            return self._binary("sub", OUTPUT_STATE, OUTPUT_STATE)
        if all(coefficient < 0 for coefficient in polynomial.values()):
            return self._negative(self.value(negated(polynomial)))
        content = gcd(*polynomial.values())
        if content > 1:
            rest = {monomial: coefficient // content for monomial, coefficient in polynomial.items()}
            return self._multiple(self.value(rest), content)
        if len(polynomial) == 1:
            [monomial] = polynomial
            return self._monomial(monomial)
        open_terms = self._open_terms(polynomial)
        if len(open_terms) == len(polynomial):
            shorter = self._merged(polynomial)
            if len(shorter) < len(polynomial):
                return self.value(shorter)
        return self._sum(polynomial, open_terms)

    def _sum(self, polynomial: Polynomial, open_terms: Polynomial) -> str:
        products = {monomial: c for monomial, c in open_terms.items() if degree_of(monomial) > 1}
        rectangles, single = take_out_rectangles(self._merged(products))
        others = {monomial: c for monomial, c in polynomial.items() if monomial not in products}
        ordered = sorted((others | single).items(), key=lambda term: (-self._num_uses[term[0]], term[0]))
        terms = [(coefficient, self.value({monomial: abs(coefficient)})) for monomial, coefficient in ordered]
        terms += [(rectangle.sign, self._rectangle(rectangle)) for rectangle in rectangles]
        positive = [name for sign, name in terms if sign > 0]
        negative = [name for sign, name in terms if sign < 0]
        # - (a - b) * (a - b) - c: a sum may have positive terms only inside its products
        total = (positive or negative)[0]
        for name in (positive or negative)[1:]:
            total = self._binary("add", total, name)
        if not positive:
            return self._negative(total)
        for name in negative:
            total = self._binary("sub", total, name)
        return total

    def _open_terms(self, polynomial: Polynomial) -> Polynomial:
        """Returns the terms whose factors may be taken out: what comes of it is expanded again when it is read."""
        largest = max(abs(coefficient) for coefficient in polynomial.values())
        if len(polynomial) > MAX_TERMS or largest.bit_length() > MAX_COEFFICIENT_BITS:
            return {}
        return {
            monomial: coefficient
            for monomial, coefficient in polynomial.items()
            if degree_of(monomial) <= MAX_POWER and not any(atom in self.opaque for atom, _ in monomial)
        }

    def _merged(self, polynomial: Polynomial) -> Polynomial:
        """Returns the polynomial with one atom for each sum in whose terms it is the same."""
        for signs in find_alike_atoms(polynomial):
            value: Polynomial = {((atom, 1),): sign for atom, sign in signs.items()}
            number = self._sums.setdefault(key_of(value), self._first_sum + len(self._sums))
            self.names[number] = self.value(value)
            polynomial = merge_alike_atoms(polynomial, signs, number)
        return polynomial

    def _rectangle(self, rectangle: Rectangle) -> str:
        return self._binary("mul", self.value(rectangle.left), self.value(rectangle.right))

    def _monomial(self, monomial: Monomial) -> str:
        powers = [self._power(atom, power) for atom, power in monomial]
        product = powers[0]
        for name in powers[1:]:
            product = self._binary("mul", product, name)
        return product

    def _power(self, atom: int, power: int) -> str:
        result = self.names[atom]
        for bit in bin(power)[3:]:
            result = self._binary("mul", result, result)
            if bit == "1":
                result = self._binary("mul", result, self.names[atom])
        return result

    def _multiple(self, name: str, factor: int) -> str:
        result = name
        for bit in bin(factor)[3:]:
            result = self._binary("add", result, result)
            if bit == "1":
                result = self._binary("add", result, name)
        return result

    def _negative(self, name: str) -> str:
        return self._binary("sub", self._binary("sub", name, name), name)

    def _binary(self, primitive: str, left: str, right: str) -> str:
        operands = (left, right)
        key = (primitive, operands if primitive == "sub" else tuple(sorted(operands)))
        if key not in self._interned:
            self._interned[key] = self.add_node(Node(primitive, operands))
        return self._interned[key]
