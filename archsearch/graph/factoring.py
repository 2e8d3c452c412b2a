"""Common factors of a polynomial whose atoms are numbered in canonical order.

Two ways to find them. Atoms are alike in a polynomial when the derivatives with respect to them are equal up to a
sign: it then only knows their sum, as `a*c - b*c` and `a*a - 2*a*b + b*b` only know `a - b`. A rectangle is a set of
atoms with one cofactor: `a*c + b*c + a*d + b*d + a*e` holds `(a + b) * (c + d)`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from archsearch.graph.polynomials import (
    Coefficient,
    Monomial,
    Polynomial,
    PolynomialKey,
    monomial_product,
    monomial_without,
    negated,
)


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A product `sign * left * right` that is expanded in a polynomial."""

    sign: int
    left: Polynomial
    right: Polynomial


def find_alike_atoms(polynomial: Polynomial) -> list[dict[int, int]]:
    """Returns the classes of two or more alike atoms that products know, with each atom's sign in their sum.

    Where the signs differ, they are such that the first term with the sum is positive. Atoms that only stand alone
    are left out: `a + b` is no shorter for a name for it.
    """
    if all(len(monomial) == 1 and monomial[0][1] == 1 for monomial in polynomial):
        return []
    derivatives: dict[int, list[tuple[Monomial, Coefficient]]] = {}
    for monomial, coefficient in polynomial.items():
        for atom, power in monomial:
            derivatives.setdefault(atom, []).append((monomial_without(monomial, atom), power * coefficient))
    classes: dict[PolynomialKey, dict[int, int]] = {}
    for atom in sorted(derivatives):
        sign = 1 if min(derivatives[atom])[1] > 0 else -1
        key = frozenset((monomial, sign * coefficient) for monomial, coefficient in derivatives[atom])
        classes.setdefault(key, {})[atom] = sign
    return [
        _signs_in_sum(signs)
        for key, signs in classes.items()
        if len(signs) > 1 and any(monomial for monomial, _ in key)
    ]


def _signs_in_sum(signs: Mapping[int, int]) -> dict[int, int]:
    return dict.fromkeys(signs, 1) if len(set(signs.values())) == 1 else dict(signs)


def merge_alike_atoms(polynomial: Polynomial, signs: Mapping[int, int], number: int) -> Polynomial:
    """Returns the polynomial over the sum of alike atoms.

    Args:
        polynomial: A polynomial in which the atoms are alike.
        signs: A class that `find_alike_atoms` found in it.
        number: The number of the atom that stands for the sum `signs[a] * a + signs[b] * b + …`.
    """
    first, *others = signs
    result = {}
    for monomial, coefficient in polynomial.items():
        powers = dict(monomial)
        # the terms without the other atoms are what is left of all when those are zero
        if powers.keys().isdisjoint(others):
            power = powers.pop(first, 0)
            if power:
                powers[number] = power
                coefficient *= signs[first] ** power
            result[tuple(sorted(powers.items()))] = coefficient
    return result


def take_out_rectangles(terms: Polynomial) -> tuple[list[Rectangle], Polynomial]:
    """Splits products into rectangles, the largest first, and the terms that are in none."""
    rest = dict(terms)
    rectangles: list[Rectangle] = []
    while found := _largest_rectangle(rest):
        left, right = found
        for a in left:
            for b in right:
                del rest[monomial_product(a, b)]
        rectangles.append(_with_signs_inside(left, right))
    return rectangles, rest


def _largest_rectangle(terms: Polynomial) -> tuple[Polynomial, Polynomial] | None:
    """Finds atoms with one cofactor, `a*C + b*C - c*C`, that cover most terms; at least two."""
    cofactors: dict[int, dict[Monomial, Coefficient]] = {}
    for monomial, coefficient in terms.items():
        for atom, _ in monomial:
            cofactors.setdefault(atom, {})[monomial_without(monomial, atom)] = coefficient
    groups: dict[PolynomialKey, dict[int, int]] = {}
    for atom in sorted(cofactors):
        sign = 1 if cofactors[atom][min(cofactors[atom])] > 0 else -1
        key = frozenset((monomial, sign * coefficient) for monomial, coefficient in cofactors[atom].items())
        groups.setdefault(key, {})[atom] = sign
    best: tuple[Polynomial, Polynomial] | None = None
    for key, signs in groups.items():
        for group in (signs, *({atom: sign} for atom, sign in signs.items())):
            left: Polynomial = {((atom, 1),): sign for atom, sign in group.items()}
            size = len(left) * len(key)
            if size < 2 or (best and size <= len(best[0]) * len(best[1])):
                continue
            # a*a + a*b + b*b: both atoms have the cofactor a + b, and a*b is only there once
            if len({monomial_product(a, b) for a in left for b, _ in key}) == size:
                best = left, dict(key)
    # a single atom reads better before a sum
    return (best[1], best[0]) if best and len(best[0]) > len(best[1]) else best


def _with_signs_inside(left: Polynomial, right: Polynomial) -> Rectangle:
    """Turns signs so that each factor has a positive term; the sign left over is -1 only where all products have it."""
    sign = 1
    if not _has_sign(left, 1):
        left, sign = negated(left), -sign
    if not _has_sign(right, 1):
        right, sign = negated(right), -sign
    if sign < 0 and _has_sign(left, -1):
        return Rectangle(1, negated(left), right)
    if sign < 0 and _has_sign(right, -1):
        return Rectangle(1, left, negated(right))
    return Rectangle(sign, left, right)


def _has_sign(polynomial: Polynomial, sign: int) -> bool:
    return any(sign * coefficient > 0 for coefficient in polynomial.values())
