"""Polynomials over numbered atoms: the arithmetic beneath a cell's identity.

A monomial is a tuple of `(atom, power)` pairs, sorted by atom; the empty one is that of a constant. A polynomial maps
monomials to coefficients other than zero; the empty one is zero. Both are never changed in place. A coefficient is an
`int` where it is whole, else a `Fraction`: nothing is ever rounded.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction

from archsearch.graph.checks import MAX_CONSTANT

Coefficient = int | Fraction
Monomial = tuple[tuple[int, int], ...]
Polynomial = Mapping[Monomial, Coefficient]
PolynomialKey = frozenset[tuple[Monomial, Coefficient]]

CONSTANT: Monomial = ()


def polynomial_of_atom(atom: int) -> Polynomial:
    """Returns the polynomial that is one atom."""
    return {((atom, 1),): 1}


def scaled_and_shifted(polynomial: Polynomial, scale: float, shift: float) -> Polynomial:
    """Returns `scale * polynomial + shift`, the two numbers taken as exactly what they are."""
    scaled = product_of(polynomial, {CONSTANT: _whole(Fraction(scale))})
    return sum_of(scaled, {CONSTANT: _whole(Fraction(shift))} if shift else {})


def divided(polynomial: Polynomial, number: Coefficient) -> Polynomial:
    """Returns the polynomial with every coefficient divided by a number."""
    return {monomial: _whole(Fraction(coefficient) / number) for monomial, coefficient in polynomial.items()}


def is_whole(polynomial: Polynomial) -> bool:
    """Tells whether all coefficients are integers."""
    return {int}.issuperset(map(type, polynomial.values()))


def can_be_written(polynomial: Polynomial) -> bool:
    """Tells whether nodes can have every coefficient: sums make whole ones, `affine` all others and constants."""
    if is_whole(polynomial):
        return CONSTANT not in polynomial or is_constant(polynomial[CONSTANT])
    return all(
        (type(coefficient) is int and monomial) or is_constant(coefficient)
        for monomial, coefficient in polynomial.items()
    )


def is_constant(coefficient: Coefficient) -> bool:
    """Tells whether a node can have a number, to the last bit."""
    return size_of(coefficient) <= MAX_CONSTANT and Fraction(float(coefficient)) == coefficient


def key_of(polynomial: Polynomial) -> PolynomialKey:
    """Returns a hashable value that is equal for equal polynomials."""
    return frozenset(polynomial.items())


def sum_of(left: Polynomial, right: Polynomial, sign: int = 1) -> Polynomial:
    """Returns `left + sign * right`."""
    result = dict(left)
    for monomial, coefficient in right.items():
        total = result.get(monomial, 0) + sign * coefficient
        if total:
            result[monomial] = _whole(total)
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
    result: dict[Monomial, Coefficient] = {}
    for left_monomial, left_coefficient in left.items():
        for right_monomial, right_coefficient in right.items():
            monomial = monomial_product(left_monomial, right_monomial)
            result[monomial] = result.get(monomial, 0) + left_coefficient * right_coefficient
    return {monomial: _whole(coefficient) for monomial, coefficient in result.items() if coefficient}


def size_of(coefficient: Coefficient) -> Coefficient:
    """Returns the coefficient without its sign."""
    return coefficient if coefficient > 0 else -coefficient


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


def _whole(coefficient: Coefficient) -> Coefficient:
    """Returns a whole number as `int`: that is how it is printed into a digest."""
    # asked first, since nearly all are
    if type(coefficient) is int or coefficient.denominator > 1:
        return coefficient
    return coefficient.numerator
