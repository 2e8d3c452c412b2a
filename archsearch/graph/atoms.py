"""The reading of a cell as polynomials over atoms, in one pass from the operands to the users.

Atoms are `x`, the old states, activations (equal ones are one atom) and linears (each its own atom, its bias included).
A sum becomes an atom, too, where it is a factor of a product too large to expand.
"""

from dataclasses import dataclass, field

from archsearch.graph.polynomials import Polynomial, PolynomialKey, atoms_of, key_of, polynomial_of_atom, sum_of
from archsearch.graph.primitives import PRIMITIVES
from archsearch.graph.products import Factors, factors_of, with_positive_sign
from archsearch.graph.structure import INPUT, Structure

STATE = "state"
SUM = "sum"
LINEAR = "linear"


@dataclass(frozen=True, slots=True)
class Atom:
    """One indeterminate.

    Attributes:
        kind: `x`, `state`, `sum` or the primitive.
        name: The state or the linear's node; empty for atoms that several nodes may share.
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
        is_exact: Whether every product was expanded.
    """

    atoms: dict[int, Atom]
    is_exact: bool


@dataclass(slots=True)
class _AtomTable:
    atoms: list[Atom] = field(default_factory=list)
    shared: dict[tuple[str, PolynomialKey], int] = field(default_factory=dict)
    is_exact: bool = True

    def own(self, kind: str, name: str, operand: Polynomial) -> int:
        height = 0 if kind in (INPUT, STATE) else 1 + max((self.atoms[a].height for a in atoms_of(operand)), default=0)
        self.atoms.append(Atom(kind, name, operand, height))
        return len(self.atoms) - 1

    def share(self, kind: str, operand: Polynomial) -> int:
        key = (kind, key_of(operand))
        if key not in self.shared:
            self.shared[key] = self.own(kind, "", operand)
        return self.shared[key]

    def product(self, factors: Factors) -> Polynomial:
        polynomial = factors.expanded()
        if polynomial is not None:
            return polynomial
        self.is_exact = False
        atoms = []
        for key, power in factors.sums.items():
            operand, sign = with_positive_sign(dict(key))
            atoms.append((self.share(SUM, operand), sign, power))
        return factors.over_atoms(atoms)

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
    """Reads a structure that breaks no rule of `checks`."""
    table = _AtomTable()
    values: dict[str, Polynomial] = {INPUT: polynomial_of_atom(table.own(INPUT, INPUT, {}))}
    for state in structure.states:
        values[state] = polynomial_of_atom(table.own(STATE, state, {}))
    factors: dict[str, Factors] = {}
    for name in topological_order(structure):
        node = structure.nodes[name]
        operands = [values[operand] for operand in node.operands]
        if node.primitive in ("add", "sub"):
            values[name] = sum_of(operands[0], operands[1], 1 if node.primitive == "add" else -1)
        elif node.primitive == "mul":
            left, right = (
                factors[operand] if operand in factors else table.factors(values[operand]) for operand in node.operands
            )
            factors[name] = left.times(right)
            values[name] = table.product(factors[name])
        elif node.primitive == LINEAR:
            values[name] = polynomial_of_atom(table.own(LINEAR, name, operands[0]))
        else:
            # a new elementwise primitive needs its own branch above
            assert PRIMITIVES[node.primitive].kind == "activation"
            assert not PRIMITIVES[node.primitive].has_weights
            values[name] = polynomial_of_atom(table.share(node.primitive, operands[0]))
    for number, state in enumerate(structure.states, start=1):
        table.atoms[number] = Atom(STATE, state, values[structure.new_states[state]], 0)
    return Reading(_reached(table.atoms, len(structure.states) + 1), table.is_exact)


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
