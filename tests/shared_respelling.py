"""Other spellings of a cell: `from shared_respelling import respell`.

Shares nothing with the canonical form: small local rewritings, chosen at random, each of which visibly keeps the
function and its weights.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from archsearch.graph.structure import Node, Structure

# a product may be expanded into its neighbours only while it is far from the bound beyond which digests may differ
MAX_EXPANDED_TERMS = 64
# repeated doubling or squaring has more terms or factors than nodes
MAX_GATHERED = 12


@dataclass
class Respelling:
    """Another spelling, and which original each of its matrices, biases (with a sign) and states is."""

    structure: Structure
    matrices: dict[str, str]
    biases: dict[str, tuple[str, int]]
    states: dict[str, str]


@dataclass
class _Draft:
    """A cell while it is rewritten. A slot is an operand of a node, or a new state."""

    states: tuple[str, ...]
    nodes: dict[str, Node]
    new_states: dict[str, str]
    rng: random.Random
    biases: dict[str, tuple[str, int]] = field(default_factory=dict)
    num_fresh: int = 0

    def add(self, primitive: str, *operands: str) -> str:
        return self.copy(Node(primitive, operands))

    def affine(self, operand: str, scale: Fraction | float, shift: Fraction | float = 0) -> str:
        return self.copy(_affine(operand, scale, shift))

    def copy(self, node: Node) -> str:
        self.num_fresh += 1
        name = f"fresh{self.num_fresh}"
        self.nodes[name] = node
        return name

    def is_a(self, name: str, *primitives: str) -> bool:
        return name in self.nodes and self.nodes[name].primitive in primitives

    def choose(self, *primitives: str) -> str | None:
        names = [name for name in self.nodes if self.is_a(name, *primitives)]
        return self.rng.choice(names) if names else None

    def redefine(self, name: str, primitive: str, *operands: str) -> None:
        self.nodes[name] = Node(primitive, operands)

    def num_users(self, name: str) -> int:
        slots = [operand for node in self.nodes.values() for operand in node.operands]
        return slots.count(name) + list(self.new_states.values()).count(name)

    def depends(self, name: str, on: str) -> bool:
        seen, stack = {name}, [name]
        while stack:
            last = stack.pop()
            if last == on:
                return True
            for operand in self.nodes[last].operands if last in self.nodes else ():
                if operand not in seen:
                    seen.add(operand)
                    stack.append(operand)
        return False

    def num_terms(self, name: str) -> int:
        """Returns a bound on the number of terms of a value, were all its products expanded."""
        counts: dict[str, int] = {}

        def count(value: str) -> int:
            if value not in counts:
                if self.is_a(value, "add", "sub"):
                    counts[value] = sum(count(operand) for operand in self.nodes[value].operands)
                elif self.is_a(value, "mul"):
                    counts[value] = count(self.nodes[value].operands[0]) * count(self.nodes[value].operands[1])
                elif self.is_a(value, "affine"):
                    counts[value] = count(self.nodes[value].operands[0]) + (self.nodes[value].shift != 0)
                else:
                    counts[value] = 1
            return counts[value]

        return count(name)

    def drop_unused(self) -> None:
        used, stack = set(), list(self.new_states.values())
        while stack:
            name = stack.pop()
            if name in self.nodes and name not in used:
                used.add(name)
                stack.extend(self.nodes[name].operands)
        self.nodes = {name: node for name, node in self.nodes.items() if name in used}
        self.biases = {name: bias for name, bias in self.biases.items() if name in used}


def respell(structure: Structure, rng: random.Random) -> Structure:
    """Returns another spelling of the same cell."""
    return respell_with_account(structure, rng).structure


def respell_with_account(structure: Structure, rng: random.Random) -> Respelling:
    """Returns another spelling and where the weights and states went."""
    draft = _Draft(structure.states, dict(structure.nodes), dict(structure.new_states), rng)
    draft.biases = {name: (name, 1) for name, node in draft.nodes.items() if node.primitive == "linear" and node.bias}
    for _ in range(rng.randint(5, 15 + len(structure.nodes))):
        rng.choice(REWRITINGS)(draft)
        draft.drop_unused()
    return _renamed(draft)


def _exchange_operands(draft: _Draft) -> None:
    if name := draft.choose("add", "mul"):
        draft.redefine(name, draft.nodes[name].primitive, *reversed(draft.nodes[name].operands))


def _nest_sum_anew(draft: _Draft) -> None:
    """`a - b - c` becomes `a - (b + c)`, and so on."""
    name = draft.choose("add", "sub")
    terms: list[tuple[int, str]] = []

    def gather(value: str, sign: int) -> None:
        if value == name or (draft.is_a(value, "add", "sub") and draft.rng.random() < 0.7):
            left, right = draft.nodes[value].operands
            gather(left, sign)
            gather(right, sign if draft.is_a(value, "add") else -sign)
        else:
            terms.append((sign, value))

    if name:
        gather(name, 1)
    if not name or len(terms) > MAX_GATHERED:
        return
    while len(terms) > 1:
        draft.rng.shuffle(terms)
        # a positive term first
        (left_sign, left), (right_sign, right) = sorted((terms.pop(), terms.pop()), reverse=True)
        primitive = "add" if left_sign == right_sign else "sub"
        terms.append((left_sign, draft.add(primitive, left, right)))
    [(sign, total)] = terms
    if sign < 0:
        draft.redefine(name, "sub", draft.add("sub", total, total), total)
    else:
        draft.nodes[name] = draft.nodes[total]


def _nest_product_anew(draft: _Draft) -> None:
    name = draft.choose("mul")
    factors: list[str] = []

    def gather(value: str) -> None:
        if value == name or (draft.is_a(value, "mul") and draft.rng.random() < 0.7):
            for operand in draft.nodes[value].operands:
                gather(operand)
        else:
            factors.append(value)

    if name:
        gather(name)
    if not name or len(factors) > MAX_GATHERED:
        return
    while len(factors) > 1:
        draft.rng.shuffle(factors)
        factors.append(draft.add("mul", factors.pop(), factors.pop()))
    draft.nodes[name] = draft.nodes[factors[0]]


def _distribute(draft: _Draft) -> None:
    """`a * (b + c)` becomes `a * b + a * c`."""
    if (name := draft.choose("mul")) and draft.num_terms(name) <= MAX_EXPANDED_TERMS:
        left, right = draft.rng.sample(draft.nodes[name].operands, 2)
        if draft.is_a(right, "add", "sub"):
            b, c = draft.nodes[right].operands
            draft.redefine(name, draft.nodes[right].primitive, draft.add("mul", left, b), draft.add("mul", left, c))


def _take_out_factor(draft: _Draft) -> None:
    """`a * b + a * c` becomes `a * (b + c)`."""
    name = draft.choose("add", "sub")
    if not name or not all(draft.is_a(operand, "mul") for operand in draft.nodes[name].operands):
        return
    left, right = (draft.nodes[operand].operands for operand in draft.nodes[name].operands)
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        if left[i] == right[j]:
            draft.redefine(name, "mul", left[i], draft.add(draft.nodes[name].primitive, left[1 - i], right[1 - j]))
            return


def _spell_gate_out(draft: _Draft) -> None:
    """`n + z * (h - n)` becomes `z * h - z * n + n`, in one go."""
    name = draft.choose("add")
    for n, product in (draft.nodes[name].operands, draft.nodes[name].operands[::-1]) if name else ():
        if draft.is_a(product, "mul"):
            for z, difference in (draft.nodes[product].operands, draft.nodes[product].operands[::-1]):
                if draft.is_a(difference, "sub") and draft.nodes[difference].operands[1] == n:
                    h = draft.nodes[difference].operands[0]
                    draft.redefine(name, "add", draft.add("sub", draft.add("mul", z, h), draft.add("mul", z, n)), n)
                    return


def _add_and_subtract(draft: _Draft) -> None:
    """`a` becomes `(a - v) + v` at one slot."""
    if name := draft.choose(*{node.primitive for node in draft.nodes.values()}):
        node = draft.nodes[name]
        slot = draft.rng.randrange(len(node.operands))
        free = [v for v in ("x", *draft.states, *draft.nodes) if not draft.depends(v, name)]
        v = draft.rng.choice(free)
        if draft.num_terms(v) < 5:
            operand = draft.add("add", draft.add("sub", node.operands[slot], v), v)
            draft.nodes[name] = replace(node, operands=(*node.operands[:slot], operand, *node.operands[slot + 1 :]))


def _compute_twice(draft: _Draft) -> None:
    """Gives some users of a node without weights a copy of their own."""
    name = draft.choose("tanh", "sigmoid", "relu", "leaky_relu", "affine", "add", "sub", "mul")
    if name is None:
        return
    copy = draft.copy(draft.nodes[name])

    def either(value: str) -> str:
        return copy if value == name and draft.rng.random() < 0.5 else value

    for user, node in list(draft.nodes.items()):
        draft.nodes[user] = replace(node, operands=tuple(either(operand) for operand in node.operands))
    draft.new_states = {state: either(value) for state, value in draft.new_states.items()}


def _move_bias(draft: _Draft) -> None:
    """Exchanges the biases, present or absent, of two linears that only stand in one sum."""
    name = draft.choose("add", "sub")
    if name is None:
        return
    found: list[tuple[int, str]] = []

    def gather(value: str, sign: int) -> None:
        if value != name and draft.num_users(value) != 1:
            return
        if draft.is_a(value, "linear"):
            found.append((sign, value))
        elif draft.is_a(value, "add", "sub"):
            left, right = draft.nodes[value].operands
            gather(left, sign)
            gather(right, sign if draft.is_a(value, "add") else -sign)

    gather(name, 1)
    if len(found) < 2:
        return
    (left_sign, left), (right_sign, right) = draft.rng.sample(found, 2)
    sign = left_sign * right_sign
    for linear, node in ((left, draft.nodes[right]), (right, draft.nodes[left])):
        draft.nodes[linear] = replace(draft.nodes[linear], bias=node.bias, bias_init=sign * node.bias_init)
    biases = dict(draft.biases)
    for linear, other in ((left, right), (right, left)):
        biases.pop(linear, None)
        if other in draft.biases:
            original, original_sign = draft.biases[other]
            biases[linear] = original, sign * original_sign
    draft.biases = biases


def _scale_each_operand(draft: _Draft) -> None:
    """`s * (a + b) + t` becomes `s * a + (s * b + t)`."""
    name = draft.choose("affine")
    if name and draft.is_a(draft.nodes[name].operands[0], "add", "sub"):
        node, inner = draft.nodes[name], draft.nodes[draft.nodes[name].operands[0]]
        a, b = inner.operands
        shift = node.shift if inner.primitive == "add" else -node.shift
        draft.redefine(name, inner.primitive, draft.affine(a, node.scale), draft.affine(b, node.scale, shift))


def _take_out_scale(draft: _Draft) -> None:
    """`(s * a + t) + (s * b + u)` becomes `s * (a + b) + (t + u)`."""
    name = draft.choose("add", "sub")
    if not name or not all(draft.is_a(operand, "affine") for operand in draft.nodes[name].operands):
        return
    primitive = draft.nodes[name].primitive
    left, right = (draft.nodes[operand] for operand in draft.nodes[name].operands)
    shift = Fraction(left.shift) + Fraction(right.shift) * (1 if primitive == "add" else -1)
    if left.scale == right.scale and _is_float(shift):
        total = draft.add(primitive, left.operands[0], right.operands[0])
        draft.nodes[name] = _affine(total, left.scale, shift)


def _split_affine(draft: _Draft) -> None:
    """`s * a + t` becomes `(s / u) * (u * a + v) + (t - v * s / u)`."""
    if name := draft.choose("affine"):
        node = draft.nodes[name]
        u, v = Fraction(draft.rng.choice((1, -1, 2, 0.5))), Fraction(draft.rng.choice((0, 1, -0.25)))
        scale = Fraction(node.scale) / u
        shift = Fraction(node.shift) - v * scale
        if _is_float(scale) and _is_float(shift):
            draft.nodes[name] = _affine(draft.affine(node.operands[0], u, v), scale, shift)


def _merge_affines(draft: _Draft) -> None:
    """`s * (u * a + v) + t` becomes `(s * u) * a + (s * v + t)`."""
    name = draft.choose("affine")
    if name and draft.is_a(draft.nodes[name].operands[0], "affine"):
        node, inner = draft.nodes[name], draft.nodes[draft.nodes[name].operands[0]]
        scale = Fraction(node.scale) * Fraction(inner.scale)
        shift = Fraction(node.scale) * Fraction(inner.shift) + Fraction(node.shift)
        if _is_float(scale) and _is_float(shift):
            draft.nodes[name] = _affine(inner.operands[0], scale, shift)


def _multiply_affine(draft: _Draft) -> None:
    """`(s * a + t) * b` becomes `s * (a * b) + t * b`."""
    if (name := draft.choose("mul")) and draft.num_terms(name) <= MAX_EXPANDED_TERMS:
        left, right = draft.rng.sample(draft.nodes[name].operands, 2)
        if draft.is_a(left, "affine"):
            node = draft.nodes[left]
            scaled = _affine(draft.add("mul", node.operands[0], right), node.scale, 0)
            if node.shift:
                draft.redefine(name, "add", draft.copy(scaled), draft.affine(right, node.shift))
            else:
                draft.nodes[name] = scaled


def _write_with_numbers(draft: _Draft) -> None:
    """`a - b` becomes `a + -b`, `a + a` becomes `2 * a`, and `a` becomes `2 * a - a`."""
    if name := draft.choose("sub", "add"):
        node = draft.nodes[name]
        left, right = node.operands
        if node.primitive == "sub":
            draft.redefine(name, "add", left, draft.affine(right, -1))
        elif left == right:
            draft.nodes[name] = _affine(left, 2, 0)
        else:
            draft.redefine(name, "sub", draft.affine(draft.copy(node), 2), draft.copy(node))


def _write_without_numbers(draft: _Draft) -> None:
    """`-a + t` becomes `((a - a) - a) + t`, and `2 * a + t` becomes `(a + a) + t`."""
    name = draft.choose("affine")
    if name and draft.nodes[name].scale in (-1, 2):
        node, [operand] = draft.nodes[name], draft.nodes[name].operands
        if node.scale == 2:
            scaled = Node("add", (operand, operand))
        else:
            scaled = Node("sub", (draft.add("sub", operand, operand), operand))
        draft.nodes[name] = _affine(draft.copy(scaled), 1, node.shift) if node.shift else scaled


def _write_gate_with_one(draft: _Draft) -> None:
    """`n + z * (h - n)` becomes `(1 - z) * n + z * h`, and back."""
    name = draft.choose("add")
    for n, product in (draft.nodes[name].operands, draft.nodes[name].operands[::-1]) if name else ():
        if not draft.is_a(product, "mul"):
            continue
        for z, other in (draft.nodes[product].operands, draft.nodes[product].operands[::-1]):
            if draft.is_a(other, "sub") and draft.nodes[other].operands[1] == n:
                h = draft.nodes[other].operands[0]
                draft.redefine(name, "add", draft.add("mul", draft.affine(z, -1, 1), n), draft.add("mul", z, h))
                return
            if draft.is_a(n, "mul") and _affine(z, -1, 1) in map(draft.nodes.get, draft.nodes[n].operands):
                rest = _affine(z, -1, 1)
                left, right = draft.nodes[n].operands
                old = right if draft.nodes.get(left) == rest else left
                draft.redefine(name, "add", old, draft.add("mul", z, draft.add("sub", other, old)))
                return


def _affine(operand: str, scale: Fraction | float, shift: Fraction | float) -> Node:
    return Node("affine", (operand,), scale=float(scale), shift=float(shift))


def _is_float(number: Fraction) -> bool:
    return Fraction(float(number)) == number


REWRITINGS: tuple[Callable[[_Draft], None], ...] = (
    _exchange_operands,
    _nest_sum_anew,
    _nest_sum_anew,
    _nest_product_anew,
    _distribute,
    _distribute,
    _take_out_factor,
    _spell_gate_out,
    _add_and_subtract,
    _compute_twice,
    _move_bias,
    _scale_each_operand,
    _take_out_scale,
    _split_affine,
    _merge_affines,
    _multiply_affine,
    _write_with_numbers,
    _write_without_numbers,
    _write_gate_with_one,
)


def _renamed(draft: _Draft) -> Respelling:
    rng = draft.rng
    order = list(draft.nodes)
    rng.shuffle(order)
    labels = rng.sample(range(1000), len(order))
    names = {"x": "x"} | {name: f"v{label}" for name, label in zip(order, labels, strict=True)}
    states = list(draft.states)
    others = [state for state in states if state != "h"]
    new_names = rng.sample(["c", "d", "e", "m", "s2", "z9"], len(others))
    names |= {"h": "h"} | dict(zip(others, new_names, strict=True))
    rng.shuffle(states)
    return Respelling(
        Structure(
            tuple(names[state] for state in states),
            {
                names[name]: replace(
                    draft.nodes[name], operands=tuple(names[operand] for operand in draft.nodes[name].operands)
                )
                for name in order
            },
            {names[state]: names[draft.new_states[state]] for state in states},
        ),
        {names[name]: name for name in order if draft.is_a(name, "linear", "peephole")},
        {names[name]: bias for name, bias in draft.biases.items()},
        {names[state]: state for state in states},
    )
