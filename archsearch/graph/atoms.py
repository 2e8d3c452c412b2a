"""The reading of a cell as polynomials over atoms, in one pass from the operands to the users.

Atoms are `x`, the old states, activations (equal ones are one atom), linears (each its own atom, its bias included) and
peepholes (each its own, too). A sum becomes an atom where it is a factor of a product too large to expand, or where
putting it together with another value gives a number that no node can have: `0.1 * (0.1 * a)` is not `0.01 * a`. A
cell that is too large as polynomials is read plainly: every sum and product is an atom.
"""

from dataclasses import dataclass, field

from archsearch.graph.effort import Effort, extent_of
from archsearch.graph.polynomials import (
    Polynomial,
    PolynomialKey,
    atoms_of,
    can_be_written,
    degree_of,
    key_of,
    polynomial_of_atom,
    product_of,
    scaled_and_shifted,
    sum_of,
)
from archsearch.graph.primitives import PRIMITIVES
from archsearch.graph.products import Factors, factors_of, with_positive_sign
from archsearch.graph.structure import INPUT, Structure

STATE = "state"
SUM = "sum"
LINEAR = "linear"
PEEPHOLE = "peephole"

# of all values of a cell together; those of the largest known cell come to a tenth of it
MAX_READING = 2_000_000


@dataclass(frozen=True, slots=True)
class Atom:
    """One indeterminate.

    Attributes:
        kind: `x`, `state`, `sum` or the primitive.
        name: The state, or the node of a linear or peephole; empty for atoms that several nodes may share.
        operand: What it is applied to; for a state its next value; zero for `x`.
        height: 0 for `x` and states, else one more than the highest atom of the operand.
    """

    kind: str
    name: str
    operand: Polynomial
    height: int


@dataclass(slots=True)
class Reading:
    """A cell as atoms.

    Attributes:
        atoms: Every atom that a new state reaches, `x` and the states included.
        is_exact: Whether every product was expanded, and no number had to stay apart lest it be rounded.
        work: What the reading cost, with those tried before it.
    """

    atoms: dict[int, Atom]
    is_exact: bool
    work: int


@dataclass(slots=True)
class _AtomTable:
    """The atoms met so far.

    Attributes:
        is_strict: Whether every value, and not just what atoms are applied to, must have numbers that nodes can have.
        is_plain: Whether every value becomes an atom at once.
    """

    is_strict: bool
    is_plain: bool = False
    atoms: list[Atom] = field(default_factory=list)
    shared: dict[tuple[str, PolynomialKey], int] = field(default_factory=dict)
    effort: Effort = field(default_factory=lambda: Effort(MAX_READING))
    is_exact: bool = True

    def own(self, kind: str, name: str, operand: Polynomial) -> int:
        height = 0 if kind in (INPUT, STATE) else 1 + max((self.atoms[a].height for a in atoms_of(operand)), default=0)
        self.effort.spend(extent_of(operand))
        self.atoms.append(Atom(kind, name, operand, height))
        return len(self.atoms) - 1

    def share(self, kind: str, operand: Polynomial) -> int:
        key = (kind, key_of(operand))
        if key not in self.shared:
            self.shared[key] = self.own(kind, "", operand)
        return self.shared[key]

    def product(self, factors: Factors) -> Polynomial:
        polynomial = factors.expanded(self.effort)
        if polynomial is not None and self.allows(polynomial):
            return polynomial
        self.is_exact = False
        atoms = []
        for key, power in factors.sums.items():
            operand, sign = with_positive_sign(dict(key))
            atoms.append((self.share(SUM, operand), sign, power))
        return factors.over_atoms(atoms)

    def allows(self, polynomial: Polynomial) -> bool:
        return not self.is_strict or can_be_written(polynomial)

    def sum(self, left: Polynomial, right: Polynomial, sign: int) -> Polynomial:
        total = sum_of(left, right, sign)
        return total if self.allows(total) else sum_of(self.closed(left), self.closed(right), sign)

    def scaled_and_shifted(self, polynomial: Polynomial, scale: float, shift: float) -> Polynomial:
        result = scaled_and_shifted(polynomial, scale, shift)
        return result if self.allows(result) else scaled_and_shifted(self.closed(polynomial), scale, shift)

    def closed(self, polynomial: Polynomial) -> Polynomial:
        """Returns a sum or constant as an atom, a bare product as it is."""
        return polynomial if factors_of(polynomial).monomial else self.as_atom(polynomial)

    def as_atom(self, polynomial: Polynomial) -> Polynomial:
        operand, sign = with_positive_sign(polynomial)
        return {((self.share(SUM, operand), 1),): sign}

    def kept(self, value: Polynomial) -> Polynomial:
        """Returns a value as its users are to see it, and counts it."""
        if not self.is_plain:
            self.effort.spend(len(value))
            return value
        is_atom = degree_of(factors_of(value).monomial) == 1
        return value if is_atom or not value else self.as_atom(value)

    def factors(self, polynomial: Polynomial) -> Factors:
        """Opens the sums that an earlier product closed, so that the nesting of products does not matter."""
        factors = factors_of(polynomial)
        if not any(self.atoms[atom].kind == SUM for atom, _ in factors.monomial):
            return factors
        plain = tuple(pair for pair in factors.monomial if self.atoms[pair[0]].kind != SUM)
        sums = {
            key_of(self.atoms[atom].operand): power for atom, power in factors.monomial if self.atoms[atom].kind == SUM
        }
        return Factors(factors.sign, plain, sums)


def read_atoms(structure: Structure) -> Reading:
    """Reads a structure that breaks no rule of `checks`.

    Numbers that no node can have may come and go on the way, as in `(0.1 * a + 0.2 * a) - 0.2 * a`; where they are to
    stay, the structure is read again without them. What is too large then is read plainly, in time and memory that grow
    with the number of nodes.
    """
    tables = [_AtomTable(is_strict=False)]
    reading = _read(structure, tables[0])
    if reading and all(can_be_written(atom.operand) for atom in reading.atoms.values()):
        return reading
    if reading:
        tables.append(_AtomTable(is_strict=True))
        reading = _read(structure, tables[-1])
    if not reading:
        tables.append(_AtomTable(is_strict=False, is_plain=True))
        reading = _read(structure, tables[-1])
    assert reading  # a plain one is never too large
    return Reading(reading.atoms, is_exact=False, work=sum(table.effort.spent for table in tables))


def _read(structure: Structure, table: _AtomTable) -> Reading | None:
    """Returns the reading, or None where it is too large."""
    values: dict[str, Polynomial] = {INPUT: polynomial_of_atom(table.own(INPUT, INPUT, {}))}
    for state in structure.states:
        values[state] = polynomial_of_atom(table.own(STATE, state, {}))
    factors: dict[str, Factors] = {}
    for name in topological_order(structure):
        node = structure.nodes[name]
        operands = [values[operand] for operand in node.operands]
        if node.primitive in ("add", "sub"):
            values[name] = table.sum(operands[0], operands[1], 1 if node.primitive == "add" else -1)
        elif node.primitive == "affine":
            values[name] = table.scaled_and_shifted(operands[0], node.scale, node.shift)
        elif node.primitive == "mul" and table.is_plain:
            values[name] = product_of(operands[0], operands[1])
        elif node.primitive == "mul":
            left, right = (
                factors[operand] if operand in factors else table.factors(values[operand]) for operand in node.operands
            )
            factors[name] = left.times(right)
            values[name] = table.product(factors[name])
        elif node.primitive in (LINEAR, PEEPHOLE):
            values[name] = polynomial_of_atom(table.own(node.primitive, name, operands[0]))
        else:
            # a new elementwise primitive needs its own branch above
            assert PRIMITIVES[node.primitive].kind == "activation"
            assert not PRIMITIVES[node.primitive].has_weights
            values[name] = polynomial_of_atom(table.share(node.primitive, operands[0]))
        values[name] = table.kept(values[name])
        if table.effort.is_used_up and not table.is_plain:
            return None
    for number, state in enumerate(structure.states, start=1):
        table.atoms[number] = Atom(STATE, state, values[structure.new_states[state]], 0)
    return Reading(_reached(table.atoms, len(structure.states) + 1), table.is_exact, table.effort.spent)


def topological_order(structure: Structure) -> list[str]:
    """Returns the nodes that a new state reaches, operands before users, otherwise in the order of the nodes."""
    wanted = set(structure.new_states.values()) & structure.nodes.keys()
    stack = list(wanted)
    while stack:
        for operand in structure.nodes[stack.pop()].operands:
            if operand in structure.nodes and operand not in wanted:
                wanted.add(operand)
                stack.append(operand)
    order: list[str] = []
    placed: set[str] = set()
    for name in structure.nodes:
        stack = [name] if name in wanted else []
        while stack:
            missing = [o for o in structure.nodes[stack[-1]].operands if o in structure.nodes and o not in placed]
            if missing:
                stack.extend(missing)
                continue
            last = stack.pop()
            if last not in placed:
                placed.add(last)
                order.append(last)
    return order


def _reached(atoms: list[Atom], num_sources: int) -> dict[int, Atom]:
    reached = set(range(num_sources))
    stack = list(range(num_sources))
    while stack:
        for atom in atoms_of(atoms[stack.pop()].operand):
            if atom not in reached:
                reached.add(atom)
                stack.append(atom)
    return {number: atoms[number] for number in sorted(reached)}
