"""Polynomials with integer coefficients over numbered atoms: the arithmetic beneath a cell's identity.

A monomial is a tuple of `(atom, power)` pairs, sorted by atom; it is never empty, since no primitive makes a constant.
A polynomial maps monomials to coefficients other than zero; the empty one is zero. Both are never changed in place.
"""

from collections.abc import Iterable, Mapping

Monomial = tuple[tuple[int, int], ...]
Polynomial = Mapping[Monomial, int]
PolynomialKey = frozenset[tuple[Monomial, int]]


def polynomial_of_atom(atom: int) -> Polynomial:
    """Returns the polynomial that is one atom."""
    return {((atom, 1),): 1}


def key_of(polynomial: Polynomial) -> PolynomialKey:
    """Returns a hashable value that is equal for equal polynomials."""
    return frozenset(polynomial.items())


def sum_of(left: Polynomial, right: Polynomial, sign: int = 1) -> Polynomial:
    """Returns `left + sign * right`."""
    result = dict(left)
    for monomial, coefficient in right.items():
        total = result.get(monomial, 0) + sign * coefficient
        if total:
            result[monomial] = total
        else:
            del result[monomial]
    return result


def negated(polynomial: Polynomial) -> Polynomial:
    """Returns the polynomial with every sign turned."""
    return {monomial: -coefficient for monomial, coefficient in polynomial.items()}


def monomial_product(left: Monomial, right: Monomial) -> Monomial:
    """Returns the product of two monomials; the empty tuple counts as one."""
    if not left or not right or left[-1][0] < right[0][0]:
        return left + right
    powers = dict(left)
    for atom, power in right:
        powers[atom] = powers.get(atom, 0) + power
    return tuple(sorted(powers.items()))


def monomial_without(monomial: Monomial, atom: int) -> Monomial:
    """Returns the monomial divided by one of its atoms, once."""
    return tuple((other, power - (other == atom)) for other, power in monomial if other != atom or power > 1)


def product_of(left: Polynomial, right: Polynomial) -> Polynomial:
    """Returns the product of two polynomials, expanded."""
    result: dict[Monomial, int] = {}
    for left_monomial, left_coefficient in left.items():
        for right_monomial, right_coefficient in right.items():
            monomial = monomial_product(left_monomial, right_monomial)
            result[monomial] = result.get(monomial, 0) + left_coefficient * right_coefficient
    return {monomial: coefficient for monomial, coefficient in result.items() if coefficient}


def degree_of(monomial: Monomial) -> int:
    """Returns the sum of the powers."""
    return sum(power for _, power in monomial)


def renumbered(polynomial: Polynomial, numbers: Mapping[int, int]) -> Polynomial:
    """Returns the polynomial with every atom given another number."""
    return {
        tuple(sorted((numbers[atom], power) for atom, power in monomial)): coefficient
        for monomial, coefficient in polynomial.items()
    }


def atoms_of(polynomial: Polynomial) -> Iterable[int]:
    """Yields the atoms of every monomial, with repetitions."""
    for monomial in polynomial:
        for atom, _ in monomial:
            yield atom
