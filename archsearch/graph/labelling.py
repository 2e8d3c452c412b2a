"""The canonical order of a cell's atoms: colour refinement, individualisation, and pruning by automorphisms.

A colour is a rank: the number of atoms that stand before all atoms of that colour. Atoms of one colour form a block;
refinement splits blocks by what the atoms are made of and by who uses them, until nothing more can be told apart. One
atom of a remaining block is then put first, and refinement goes on: each way to choose leads to a leaf, an order of
all atoms. The canonical order is the leaf with the least trace and certificate.

Source: McKay and Piperno 2014, "Practical graph isomorphism, II"; https://arxiv.org/abs/1301.1493
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archsearch.graph.effort import Effort
from archsearch.graph.polynomials import Coefficient, Monomial, Polynomial

MAX_REFINEMENTS = 400
# one after another, each of which takes some of Python's stack
MAX_CHOICES = 400
# a refinement looks at each atom a few times; one of the largest cells may be all that there is work for
MAX_LABELLING = 4_000_000

# nested tuples that can be compared with one another
Signature = tuple[Any, ...]
Trace = tuple[tuple[int, ...], ...]
# in the place of atoms, these monomials have colours
Certificate = tuple[tuple[tuple[Coefficient, Monomial], ...], ...]


@dataclass(frozen=True, slots=True)
class Order:
    """A canonical order.

    Attributes:
        atoms: The atoms, first to last.
        is_exact: Whether the search for the least leaf came to its end.
        work: What the search cost.
    """

    atoms: tuple[int, ...]
    is_exact: bool
    work: int


def order_atoms(kinds: Mapping[int, Signature], polynomials: Mapping[int, Polynomial]) -> Order:
    """Orders atoms by everything but their numbers.

    Where atoms cannot be told apart, the search looks at the one with the smaller number first; this matters only when
    it has to stop early.

    Args:
        kinds: For each atom what is known of it alone. Kinds are comparable with one another.
        polynomials: For each atom the polynomial that belongs to it.
    """
    search = _Search(_System(kinds, polynomials))
    search.explore(search.system.first_partition(), (), ())
    colours = search.best.colours
    return Order(tuple(sorted(colours, key=colours.__getitem__)), search.is_exact, search.system.effort.spent)


@dataclass(slots=True)
class _Partition:
    """Colours, and the blocks of more than one atom by their colour."""

    colours: dict[int, int]
    blocks: dict[int, list[int]]

    def without_ties(self) -> "_Partition":
        """Returns a copy in which the atoms of a block stand in the order of their numbers."""
        copy = _Partition(dict(self.colours), dict(self.blocks))
        for colour, block in self.blocks.items():
            copy.split(colour, [[atom] for atom in sorted(block)])
        return copy

    def split(self, colour: int, parts: Sequence[list[int]]) -> None:
        del self.blocks[colour]
        for part in parts:
            for atom in part:
                self.colours[atom] = colour
            if len(part) > 1:
                self.blocks[colour] = part
            colour += len(part)

    def with_first(self, atom: int) -> "_Partition":
        """Returns a copy in which the atom has been put before the rest of its block."""
        copy = _Partition(dict(self.colours), dict(self.blocks))
        colour = self.colours[atom]
        copy.split(colour, [[atom], [other for other in self.blocks[colour] if other != atom]])
        return copy


class _System:
    """What refinement looks at: the terms of each atom's polynomial, and the terms each atom stands in."""

    def __init__(self, kinds: Mapping[int, Signature], polynomials: Mapping[int, Polynomial]) -> None:
        self.kinds = kinds
        self.terms = {
            atom: [(coefficient, monomial) for monomial, coefficient in polynomial.items()]
            for atom, polynomial in polynomials.items()
        }
        self.uses: dict[int, list[tuple[int, int, Coefficient, Monomial]]] = {atom: [] for atom in kinds}
        for owner, terms in self.terms.items():
            for coefficient, monomial in terms:
                for atom, power in monomial:
                    self.uses[atom].append((owner, power, coefficient, monomial))
        self.work = {
            atom: sum(1 + len(monomial) for _, monomial in self.terms[atom])
            + sum(1 + len(monomial) for *_, monomial in self.uses[atom])
            for atom in kinds
        }
        self.effort = Effort(MAX_LABELLING)

    def first_partition(self) -> _Partition:
        partition = _Partition(dict.fromkeys(self.kinds, 0), {0: sorted(self.kinds)})
        partition.split(0, _parts(partition.blocks[0], self.kinds))
        self.refine(partition)
        return partition

    def refine(self, partition: _Partition) -> None:
        """Splits blocks, all atoms of one at a time, upwards and downwards in turn until none splits.

        Where the effort is used up, it leaves the rest as it is.
        """
        is_upwards = True
        is_stable = not partition.blocks
        while not is_stable:
            is_stable = True
            for colour in sorted(partition.blocks, reverse=not is_upwards):
                if self.effort.is_used_up:
                    return
                block = partition.blocks[colour]
                self.effort.spend(sum(map(self.work.__getitem__, block)))
                parts = _parts(block, {atom: self._signature(atom, partition.colours) for atom in block})
                if len(parts) > 1:
                    partition.split(colour, parts)
                    is_stable = False
            is_upwards = not is_upwards

    def _signature(self, atom: int, colours: Mapping[int, int]) -> Signature:
        uses = sorted(
            (colours[owner], power, coefficient, _coloured(monomial, colours))
            for owner, power, coefficient, monomial in self.uses[atom]
        )
        return self._coloured_terms(atom, colours), tuple(uses)

    def _coloured_terms(self, atom: int, colours: Mapping[int, int]) -> tuple[tuple[Coefficient, Monomial], ...]:
        return tuple(sorted((coefficient, _coloured(monomial, colours)) for coefficient, monomial in self.terms[atom]))

    def certificate(self, colours: Mapping[int, int]) -> Certificate:
        """Returns the whole system as seen through an order; equal for two orders that an automorphism exchanges."""
        return tuple(self._coloured_terms(atom, colours) for atom in sorted(colours, key=colours.__getitem__))


@dataclass(slots=True)
class _Leaf:
    path: tuple[int, ...] = ()
    trace: Trace = ()
    certificate: Certificate = ()
    colours: dict[int, int] = field(default_factory=dict)


class _Search:
    """The tree of choices, walked depth first.

    Every automorphism is the comparison of two leaves with equal certificates, so none is guessed.
    """

    def __init__(self, system: _System) -> None:
        self.system = system
        self.best = _Leaf()
        self.automorphisms: list[dict[int, int]] = []
        self.num_refinements = 0
        self.is_exact = True

    def explore(self, partition: _Partition, path: tuple[int, ...], trace: Trace) -> int:
        """Looks at every leaf below a partition that could be the least.

        Returns:
            The length of the path at which to go on: shorter than this one when everything below turned out to be the
            image of what is known already.
        """
        trace = (*trace, tuple(sorted(partition.blocks)))
        if self.best.colours and trace > self.best.trace[: len(trace)]:
            return len(path)
        if partition.blocks and (self.system.effort.is_used_up or len(path) >= MAX_CHOICES):
            self.is_exact = False
            if self.best.colours:
                return len(path)
            partition = partition.without_ties()
        if not partition.blocks:
            return self._meet(_Leaf(path, trace, self.system.certificate(partition.colours), partition.colours))
        explored: list[int] = []
        for atom in sorted(partition.blocks[min(partition.blocks)]):
            if explored and self._is_image(atom, explored, path):
                continue
            if explored and self.num_refinements >= MAX_REFINEMENTS:
                self.is_exact = False
                break
            child = partition.with_first(atom)
            self.system.refine(child)
            self.num_refinements += 1
            back_to = self.explore(child, (*path, atom), trace)
            if back_to < len(path):
                return back_to
            explored.append(atom)
        return len(path)

    def _meet(self, leaf: _Leaf) -> int:
        if not self.best.colours:
            self.best = leaf
        elif (leaf.trace, leaf.certificate) == (self.best.trace, self.best.certificate):
            by_rank = {rank: atom for atom, rank in leaf.colours.items()}
            self.automorphisms.append({atom: by_rank[rank] for atom, rank in self.best.colours.items()})
            return next(i for i, (a, b) in enumerate(zip(leaf.path, self.best.path, strict=True)) if a != b)
        elif (leaf.trace, leaf.certificate) < (self.best.trace, self.best.certificate):
            self.best = leaf
        return len(leaf.path)

    def _is_image(self, atom: int, explored: Sequence[int], path: tuple[int, ...]) -> bool:
        """Tells whether automorphisms that leave the path alone lead from an explored atom to this one."""
        usable = [auto for auto in self.automorphisms if all(auto[fixed] == fixed for fixed in path)]
        orbit, stack = {atom}, [atom]
        while stack:
            last = stack.pop()
            for automorphism in usable:
                # following one automorphism round its cycle also reaches where its inverse leads
                image = automorphism[last]
                if image not in orbit:
                    orbit.add(image)
                    stack.append(image)
        return not orbit.isdisjoint(explored)


def _parts(block: Sequence[int], signatures: Mapping[int, Signature]) -> list[list[int]]:
    by_signature: dict[Signature, list[int]] = {}
    for atom in block:
        by_signature.setdefault(signatures[atom], []).append(atom)
    return [by_signature[signature] for signature in sorted(by_signature)]


def _coloured(monomial: Monomial, colours: Mapping[int, int]) -> Monomial:
    if len(monomial) == 1:
        [(atom, power)] = monomial
        return ((colours[atom], power),)
    return tuple(sorted((colours[atom], power) for atom, power in monomial))
