"""Products as factors, gathered through nested products and expanded only while the expansion stays small."""

from collections.abc import Iterable
from dataclasses import dataclass

from archsearch.graph.effort import Effort
from archsearch.graph.polynomials import (
    Monomial,
    Polynomial,
    PolynomialKey,
    key_of,
    monomial_product,
    negated,
    product_of,
)

MAX_TERMS = 256
# of one factor with the product of the others; the square of 64 different terms needs them all
MAX_TERM_PRODUCTS = 4096
MAX_POWER = 32
# (2x)^64 has a coefficient of 65 bits; repeated squaring would otherwise reach millions of bits in twenty nodes
MAX_COEFFICIENT_BITS = 64
# the same for other numbers: the smallest of floating point is 2^-1074
MAX_FRACTION_BITS = 1074


@dataclass(frozen=True, slots=True)
class Factors:
    """A product that has not been expanded: `sign * monomial * sums[0] ** power * …`.

    Attributes:
        sign: 1 or -1.
        monomial: The factors that are atoms; empty for none.
        sums: The factors that are no bare atoms, with their powers.
    """

    sign: int
    monomial: Monomial
    sums: dict[PolynomialKey, int]

    def times(self, other: "Factors") -> "Factors":
        """Returns the product of two products."""
        sums = dict(self.sums)
        for key, power in other.sums.items():
            sums[key] = sums.get(key, 0) + power
        return Factors(self.sign * other.sign, monomial_product(self.monomial, other.monomial), sums)

    def expanded(self, effort: Effort) -> Polynomial | None:
        """Returns the product as one polynomial, or None where it is too large or the effort is used up.

        What counts is the result, which does not depend on the spelling; the bounds on the way there only stop
        products that have next to no chance.
        """
        if not all(self.sums):
            return {}
        result: Polynomial = {self.monomial: self.sign}
        for key, power in sorted(self.sums.items(), key=lambda factor: (len(factor[0]), factor[1])):
            if (power > MAX_POWER and len(key) > 1) or _is_too_large(key, power):
                return None
            for _ in range(power):
                effort.spend((len(result) + sum(map(len, result))) * len(key))
                if len(result) * len(key) > MAX_TERM_PRODUCTS or effort.is_used_up:
                    return None
                result = product_of(result, dict(key))
        return result if len(result) <= MAX_TERMS else None

    def over_atoms(self, atoms: Iterable[tuple[int, int, int]]) -> Polynomial:
        """Returns the product with atoms in the place of its sums.

        Args:
            atoms: `(atom, sign, power)` for every sum.
        """
        sign, monomial = self.sign, self.monomial
        for atom, atom_sign, power in atoms:
            sign *= atom_sign if power % 2 else 1
            monomial = monomial_product(monomial, ((atom, power),))
        return {monomial: sign}


def factors_of(polynomial: Polynomial) -> Factors:
    """Returns a polynomial as a product of one factor, or of its atoms where it is a bare monomial."""
    if len(polynomial) == 1:
        [(monomial, coefficient)] = polynomial.items()
        if coefficient in (1, -1):
            return Factors(1 if coefficient > 0 else -1, monomial, {})
    return Factors(1, (), {key_of(polynomial): 1})


def with_positive_sign(polynomial: Polynomial) -> tuple[Polynomial, int]:
    """Returns one of `p`, `-p` and the sign that leads back, without looking at the atoms' numbers.

    Where the coefficients of `p` and `-p` are the same, `p` itself comes back: its sign stays as it was spelt.
    """
    coefficients = sorted(polynomial.values())
    if coefficients < sorted(-coefficient for coefficient in coefficients):
        return negated(polynomial), -1
    return polynomial, 1


def _is_too_large(factor: PolynomialKey, power: int) -> bool:
    """Tells whether a power of a factor is sure to have coefficients beyond the bounds."""
    for _, coefficient in factor:
        if isinstance(coefficient, int):
            size, bound = abs(coefficient), MAX_COEFFICIENT_BITS
        else:
            size, bound = max(abs(coefficient.numerator), coefficient.denominator), MAX_FRACTION_BITS
        if power * (size.bit_length() - 1) > bound:
            return True
    return False
