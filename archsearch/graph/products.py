"""Products as factors, gathered through nested products and expanded only while the expansion stays small."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import comb

from archsearch.graph.polynomials import (
    Monomial,
    Polynomial,
    PolynomialKey,
    key_of,
    monomial_product,
    product_of,
)

MAX_TERMS = 256
MAX_POWER = 32
# (2x)^64 has a coefficient of 65 bits; repeated squaring would otherwise reach millions of bits in twenty nodes
MAX_COEFFICIENT_BITS = 64


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

    def is_small(self) -> bool:
        """Tells whether the expansion is zero or keeps to the three bounds above, however terms may coincide."""
        if not all(self.sums):
            return True
        num_terms, bits = 1, 0
        for key, power in self.sums.items():
            if power > MAX_POWER and len(key) > 1:
                return False
            num_terms *= comb(len(key) + power - 1, power) if len(key) > 1 else 1
            bits += power * (max(abs(coefficient) for _, coefficient in key).bit_length() - 1)
        return num_terms <= MAX_TERMS and bits <= MAX_COEFFICIENT_BITS

    def expanded(self) -> Polynomial:
        """Returns the product as one polynomial. Only for products that are small."""
        if not all(self.sums):
            return {}
        factors = [dict(key) for key, power in self.sums.items() for _ in range(power)]
        if self.monomial:
            factors.append({self.monomial: 1})
        result: Polynomial = factors[0]
        for factor in factors[1:]:
            result = product_of(result, factor)
        return {monomial: self.sign * coefficient for monomial, coefficient in result.items()}

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
            return Factors(coefficient, monomial, {})
    return Factors(1, (), {key_of(polynomial): 1})


def with_positive_sign(polynomial: Polynomial) -> tuple[Polynomial, int]:
    """Returns one of `p`, `-p` and the sign that leads back, without looking at the atoms' numbers.

    Where the coefficients of `p` and `-p` are the same, `p` itself comes back: its sign stays as it was spelt.
    """
    coefficients = sorted(polynomial.values())
    if coefficients < sorted(-coefficient for coefficient in coefficients):
        return {monomial: -coefficient for monomial, coefficient in polynomial.items()}, -1
    return polynomial, 1
