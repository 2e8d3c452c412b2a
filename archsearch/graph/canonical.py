"""The identity of a cell: its digest, and the one graph that all spellings of it share.

A cell is read as polynomials over atoms (`atoms`), the places of biases are pooled (`biases`), the atoms are put into
an order that does not depend on the spelling (`labelling`), and the polynomials are written as a graph again
(`emission`). Nothing is rewritten along the way, so nothing can loop. Changing any of it changes digests: then raise
`CANONICAL_VERSION`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archsearch.graph.atoms import LINEAR, PEEPHOLE, STATE, SUM, Atom, read_atoms
from archsearch.graph.biases import Pool, pool_biases
from archsearch.graph.effort import Effort
from archsearch.graph.emission import Emission
from archsearch.graph.labelling import order_atoms
from archsearch.graph.polynomials import Polynomial, renumbered
from archsearch.graph.structure import INPUT, OUTPUT_STATE, Node, Structure

CANONICAL_VERSION = 1
# a cell whose reading had to stop short is canonicalized again until it stays; each time is at most as good as the last
MAX_REPETITIONS = 16
# of all the times together; what one of them may cost is bounded where the work is done
MAX_WORK = 4_000_000


@dataclass(frozen=True)
class Canonical:
    """The canonical form of a cell.

    Attributes:
        structure: Binary, without values computed twice; node names and their order are equal for equal digests.
        digest: `c_` and 16 hexadecimal digits.
        matrices: For each linear or peephole of `structure` the original one whose weights it carries.
        biases: For each linear of `structure` that has a bias, the original linear whose bias that is, and the sign
            with which it goes over.
        states: For each state of `structure` the original one.
        is_exact: Whether no bound was met: all products were expanded, all numbers are such that a node can have them,
            and the search for the order of the atoms came to its end. Otherwise another spelling of the cell may have
            another digest.
    """

    structure: Structure
    digest: str
    matrices: Mapping[str, str]
    biases: Mapping[str, tuple[str, int]]
    states: Mapping[str, str]
    is_exact: bool


def canonicalize(structure: Structure) -> Canonical:
    """Returns the canonical form of a structure that breaks no rule of `checks`.

    Cells that are equal as polynomials over activations and matrices have equal digests, whatever the names, the order
    of operands, the nesting and distribution of sums, products and numbers, the place of a bias within a sum, and the
    order of the states other than `h`. What an activation, a matrix or a peephole does is not looked into:
    `relu(2 * h)` and `2 * relu(h)`, `linear(-h, bias=no)` and `-linear(h, bias=no)` are two cells. Very large products,
    cells that are huge as polynomials, very symmetric ones and numbers that would have to be rounded may have more than
    one digest; two cells never share one. The form of a canonical structure is that structure.
    """
    effort = Effort(MAX_WORK)
    canonical = _canonicalize_once(structure, effort)
    if canonical.is_exact:
        return canonical
    forms = [canonical]
    for _ in range(MAX_REPETITIONS):
        latest = _canonicalize_once(canonical.structure, effort)
        canonical = _composed(canonical, latest)
        for index, form in enumerate(forms):
            if form.digest == latest.digest:
                # forms that lead to one another in a circle: the same one whichever comes first
                return min([*forms[index + 1 :], canonical], key=lambda form: form.digest)
        forms.append(canonical)
        if latest.is_exact or effort.is_used_up:
            break
    return canonical


def _canonicalize_once(structure: Structure, effort: Effort) -> Canonical:
    reading = read_atoms(structure)
    atoms = reading.atoms
    pools = pool_biases(atoms, structure)
    kinds = {number: _kind(number, atom, pools, structure) for number, atom in atoms.items()}
    order = order_atoms(kinds, {number: atom.operand for number, atom in atoms.items()})
    effort.spend(reading.work + order.work)
    ranks = {number: rank for rank, number in enumerate(order.atoms)}
    ranked = [renumbered(atoms[number].operand, ranks) for number in order.atoms]
    text = "\n".join(
        f"{kinds[number]} {sorted(operand.items())}" for number, operand in zip(order.atoms, ranked, strict=True)
    )
    digest = hashlib.sha256(f"canonical form {CANONICAL_VERSION}\n{text}".encode()).hexdigest()[:16]
    writer = _Writer(structure, atoms, pools, order.atoms, ranked)
    return writer.write("c_" + digest, reading.is_exact and order.is_exact)


def _kind(number: int, atom: Atom, pools: Mapping[int, Pool], structure: Structure) -> tuple[object, ...]:
    """Returns what is known of an atom without any numbers; sorts by height, and `x` and `h` first."""
    if atom.kind in (LINEAR, PEEPHOLE):
        # + 0.0 makes a zero of a minus zero
        diagonal = float(structure.nodes[atom.name].diagonal) + 0.0
        if atom.kind == LINEAR:
            return atom.height, 3, LINEAR, diagonal, tuple(value for value, _ in pools[number].seen_from(number))
        return atom.height, 4, PEEPHOLE, diagonal
    if atom.kind == STATE:
        return atom.height, 1 if atom.name == OUTPUT_STATE else 2, STATE
    return atom.height, 0 if atom.kind == INPUT else 4, atom.kind


class _Writer:
    """Writes ordered atoms as a graph and keeps account of where weights and states went."""

    def __init__(
        self,
        structure: Structure,
        atoms: Mapping[int, Atom],
        pools: Mapping[int, Pool],
        order: Sequence[int],
        operands: Sequence[Polynomial],
    ) -> None:
        self.structure = structure
        self.atoms = atoms
        self.order = order
        self.operands = operands
        self.emission = Emission(operands)
        self.states: dict[str, str] = {}
        self.matrices: dict[str, str] = {}
        self.biases: dict[str, tuple[str, int]] = {}
        self.places = self._bias_places(pools)

    def write(self, digest: str, is_exact: bool) -> Canonical:
        new_values = {}
        for rank, number in enumerate(self.order):
            atom = self.atoms[number]
            name = self._name(number, atom, self.operands[rank])
            self.emission.names[rank] = name
            if atom.kind == SUM:
                self.emission.opaque.add(rank)
            elif atom.kind == STATE:
                new_values[name] = self.operands[rank]
        new_states = {name: self.emission.value(value) for name, value in new_values.items()}
        structure = Structure(tuple(self.states), self.emission.nodes, new_states)
        return Canonical(structure, digest, self.matrices, self.biases, self.states, is_exact)

    def _name(self, number: int, atom: Atom, operand: Polynomial) -> str:
        if atom.kind == INPUT:
            return INPUT
        if atom.kind == STATE:
            index = len(self.states)
            name = (OUTPUT_STATE, "c")[index] if index < 2 else f"s{index}"
            self.states[name] = atom.name
            return name
        value = self.emission.value(operand)
        if atom.kind == SUM:
            return value
        if atom.kind in (LINEAR, PEEPHOLE):
            return self._weighted(number, value)
        return self.emission.add_node(Node(atom.kind, (value,)))

    def _weighted(self, number: int, operand: str) -> str:
        original = self.atoms[number].name
        old = self.structure.nodes[original]
        bias_init, owner, sign = self.places.get(number, (0.0, None, 1))
        # a peephole has the bias of a node that knows none
        bias = owner is not None or old.primitive == PEEPHOLE
        node = Node(old.primitive, (operand,), float(old.diagonal) + 0.0, bias, bias_init, old.weights)
        name = self.emission.add_node(node)
        self.matrices[name] = original
        if owner is not None:
            self.biases[name] = self.atoms[owner].name, sign
        return name

    def _bias_places(self, pools: Mapping[int, Pool]) -> dict[int, tuple[float, int, int]]:
        """Hands the biases of each pool to its companions, those that read `x` first.

        Returns:
            For each linear atom with a bias: its first value, the atom it comes from, and its change of sign.
        """
        places: dict[int, tuple[float, int, int]] = {}
        ranks = {number: rank for rank, number in enumerate(self.order)}
        for pool in {id(pool): pool for pool in pools.values()}.values():
            companions = sorted(pool.signs, key=lambda atom: (self.atoms[atom].operand != {((0, 1),): 1}, ranks[atom]))
            for atom, (value, owner) in zip(companions, pool.seen_from(companions[0]), strict=False):
                sign = pool.signs[atom] * pool.signs[companions[0]]
                places[atom] = (sign * value + 0.0, owner, pool.signs[atom] * pool.signs[owner])
        return places


def _composed(first: Canonical, second: Canonical) -> Canonical:
    """Returns the second form, of the first form's structure, with an account that leads back to the original."""
    biases = {}
    for name, (linear, sign) in second.biases.items():
        original, first_sign = first.biases[linear]
        biases[name] = original, first_sign * sign
    return Canonical(
        second.structure,
        second.digest,
        {name: first.matrices[linear] for name, linear in second.matrices.items()},
        biases,
        {name: first.states[state] for name, state in second.states.items()},
        first.is_exact,
    )
