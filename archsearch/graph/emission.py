"""The writing of polynomials as `add`, `sub`, `mul` and `affine` nodes, few of them and always the same way.

Atoms are numbered in canonical order here, so that what comes out depends on nothing else. Common factors are taken
out of a polynomial where the expansion of the result is again a part of it; so what is written is read back as it was.
Numbers that are not whole stand before a whole sum or else before one term each: nothing is factored across them.
"""

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from math import gcd, lcm

from archsearch.graph.checks import MAX_CONSTANT
from archsearch.graph.factoring import Rectangle, find_alike_atoms, merge_alike_atoms, take_out_rectangles
from archsearch.graph.polynomials import (
    CONSTANT,
    Coefficient,
    Monomial,
    Polynomial,
    PolynomialKey,
    degree_of,
    divided,
    is_constant,
    is_whole,
    key_of,
    negated,
    size_of,
)
from archsearch.graph.products import MAX_COEFFICIENT_BITS, MAX_POWER, MAX_TERMS
from archsearch.graph.structure import OUTPUT_STATE, Node

# a number before a sum of products leaves multiples in it, each of which takes an addition or more
MAX_MULTIPLE = 64
# a whole factor that two additions make; a larger one is a number of its own
MAX_ADDED = 4


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
        self._interned: dict[tuple[object, ...], str] = {}
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
        has_whole_terms = is_whole(polynomial)
        if CONSTANT in polynomial or not has_whole_terms:
            scale = _number_before(polynomial)
            if scale != 1 or CONSTANT in polynomial:
                return self._affine(polynomial, scale)
        elif all(coefficient < 0 for coefficient in polynomial.values()):
            return self._negative(self.value(negated(polynomial)))
        content = gcd(*(coefficient.numerator for coefficient in polynomial.values())) if has_whole_terms else 1
        if content > 1:
            return self._multiple(self.value(divided(polynomial, content)), content)
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
        ordered = sorted({**others, **single}.items(), key=lambda term: (-self._num_uses[term[0]], term[0]))
        terms = [(coefficient, self.value({monomial: size_of(coefficient)})) for monomial, coefficient in ordered]
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
        whole = {monomial: c for monomial, c in polynomial.items() if isinstance(c, int)}
        largest = max(map(abs, whole.values()), default=0)
        if len(polynomial) > MAX_TERMS or largest.bit_length() > MAX_COEFFICIENT_BITS:
            return {}
        return {
            monomial: coefficient
            for monomial, coefficient in whole.items()
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
        if factor > MAX_ADDED:
            return self._scaled(name, factor)
        result = name
        for bit in bin(factor)[3:]:
            result = self._binary("add", result, result)
            if bit == "1":
                result = self._binary("add", result, name)
        return result

    def _scaled(self, name: str, factor: int) -> str:
        """Scales by what a node can have; a larger number is put together digit by digit, as `q * base + r`."""
        base = int(MAX_CONSTANT)
        if factor > base:
            quotient, remainder = divmod(factor, base)
            total = self._scaled(self._multiple(name, quotient), base)
            return self._binary("add", total, self._multiple(name, remainder)) if remainder else total
        node = Node("affine", (name,), scale=float(factor))
        return self._shared(("affine", name, node.scale, node.shift), node)

    def _negative(self, name: str) -> str:
        return self._binary("sub", self._binary("sub", name, name), name)

    def _affine(self, polynomial: Polynomial, scale: Coefficient) -> str:
        """Adds `scale * rest + constant`."""
        terms = {monomial: coefficient for monomial, coefficient in polynomial.items() if monomial}
        operand = self.value(divided(terms, scale))
        node = Node("affine", (operand,), scale=float(scale), shift=float(polynomial.get(CONSTANT, 0)))
        return self._shared(("affine", operand, node.scale, node.shift), node)

    def _binary(self, primitive: str, left: str, right: str) -> str:
        operands = (left, right)
        key = (primitive, operands if primitive == "sub" else tuple(sorted(operands)))
        return self._shared(key, Node(primitive, operands))

    def _shared(self, key: tuple[object, ...], node: Node) -> str:
        if key not in self._interned:
            self._interned[key] = self.add_node(node)
        return self._interned[key]


def _number_before(polynomial: Polynomial) -> Coefficient:
    """Returns what stands before the sum of all terms but the constant: a sign if they have one, and a size.

    The size is the greatest common divisor of whole coefficients; of others, what all have in common, or what leaves
    small multiples where otherwise two products would be cut off from one another.
    """
    sizes = {monomial: size_of(coefficient) for monomial, coefficient in polynomial.items() if monomial}
    if not sizes:
        return 1
    sign = -1 if all(coefficient < 0 for monomial, coefficient in polynomial.items() if monomial) else 1
    content = Fraction(gcd(*(c.numerator for c in sizes.values())), lcm(*(c.denominator for c in sizes.values())))
    num_products = sum(c.denominator > 1 and degree_of(monomial) > 1 for monomial, c in sizes.items())
    largest = max(sizes.values())
    is_common = is_whole(sizes) or largest == min(sizes.values())
    is_small = num_products > 1 and largest <= MAX_MULTIPLE * content
    return sign * content if (is_common or is_small) and is_constant(content) else sign
