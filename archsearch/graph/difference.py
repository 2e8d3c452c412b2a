"""What changed from one cell to another: both as canonical cells whose unchanged values have one name."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import networkx as nx

from archsearch.graph.cell_graph import CellGraph
from archsearch.graph.given_names import is_given
from archsearch.graph.matching import match
from archsearch.graph.names import printed_names
from archsearch.graph.primitives import PRIMITIVES
from archsearch.graph.structure import INPUT, Node, Structure


@dataclass(frozen=True)
class Difference:
    """Two cells in the same words.

    Attributes:
        before: The first cell, canonical. Named as its author named it, where that is known.
        after: The second cell, canonical. A value with a counterpart in the first cell has the name of that.
        changed_before: Nodes and new states (`h'`) of `before` that `after` lacks or computes from something else.
        changed_after: Those of `after` that `before` lacks or computes from something else.
    """

    before: CellGraph
    after: CellGraph
    changed_before: frozenset[str]
    changed_after: frozenset[str]


def find_difference(before: CellGraph, after: CellGraph) -> Difference:
    """Compares two cells. How they are spelled makes no difference; `before` and `after` may share their digest."""
    one = _in_own_words(before)
    # cells of one digest are one cell, whatever their states are called and however alike its parts are
    two = one if before.digest == after.digest else _in_own_words(after)
    partners = {name: name for name in (INPUT, *one.states, *one.nodes)} if two is one else match(one, two)
    one, two = _in_the_same_words(one, two, partners)
    return Difference(
        CellGraph.from_structure(one),
        CellGraph.from_structure(two),
        _values(one) - _shared_values(one, two),
        _values(two) - _shared_values(one, two),
    )


def changed_lines(difference: Difference) -> list[tuple[str, str]]:
    """Returns the equations of both cells as one text: lines with ` ` for both, `-` for before, `+` for after."""
    before, after = _lines(difference.before), _lines(difference.after)
    waiting = list(before)
    found = []
    for name, line in after.items():
        while name in waiting:  # what stood before this line and is gone comes first
            earlier = waiting.pop(0)
            if earlier not in after:
                found.append(("-", before[earlier]))
        if before.get(name) == line:
            found.append((" ", line))
        else:
            found += [("-", before[name])] if name in before else []
            found.append(("+", line))
    return found + [("-", before[name]) for name in waiting if name not in after]


def _lines(cell: CellGraph) -> dict[str, str]:
    return {line.split()[0]: line for line in cell.equations().splitlines()}


def _values(structure: Structure) -> frozenset[str]:
    return frozenset({*structure.nodes, *(f"{state}'" for state in structure.states)})


def _shared_values(one: Structure, two: Structure) -> frozenset[str]:
    """Returns the nodes and new states that both cells compute alike from values of the same names."""
    nodes = {name for name in one.nodes if one.nodes[name] == two.nodes.get(name)}
    states = {f"{name}'" for name in one.states if one.new_states[name] == two.new_states.get(name)}
    return frozenset(nodes | states)


def _in_own_words(cell: CellGraph) -> Structure:
    """Returns the canonical structure as its author would write it.

    States, and values that it computes as the author did, have the author's names; factors and summands his order.
    """
    form = cell.canonical_form
    structure = cell.canonical().structure
    meanings = _Meanings()
    own = meanings.of(cell.structure, {}, {})
    found = meanings.of(structure, form.matrices, form.states)
    written = {own[name]: name for name in reversed([*cell.nodes])}
    named = {own[name]: name for name in reversed([*cell.nodes]) if is_given(name)}
    names = dict(form.states)
    nodes = {}
    for name, node in structure.nodes.items():
        original = cell.nodes.get(written.get(found[name], ""))
        order = [own[operand] for operand in original.operands] if original else []
        nodes[name] = _in_order(node, [found[operand] for operand in node.operands], order)
        if found[name] in named:
            names[name] = named.pop(found[name])
    renamed = _renamed(replace(structure, nodes=nodes), names)
    return _ordered_like(renamed, cell.structure, {name: name for name in names.values()})


def _in_order(node: Node, operands: Sequence[object], model: Sequence[object]) -> Node:
    """Returns a sum or product with its operands exchanged if they then agree better with a model."""
    if not PRIMITIVES[node.primitive].commutative:
        return node
    as_it_is = sum(a == b for a, b in zip(operands, model, strict=False))
    turned = sum(a == b for a, b in zip(operands[::-1], model, strict=False))
    return replace(node, operands=node.operands[::-1]) if turned > as_it_is else node


class _Meanings:
    """Numbers for values: equal ones for values that are equal as sums, products and functions of the same matrices."""

    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}
        self._sums: dict[int, Counter[int]] = {}
        self._products: dict[int, Counter[int]] = {}

    def of(self, structure: Structure, matrices: Mapping[str, str], states: Mapping[str, str]) -> dict[str, int]:
        """Returns the number of each value; `matrices` and `states` give the names that count for theirs."""
        found = {INPUT: self._number("x")}
        found |= {state: self._number(("state", states.get(state, state))) for state in structure.states}
        for name in nx.topological_sort(structure.to_networkx()):
            if name in structure.nodes:
                found[name] = self._of_node(name, structure.nodes[name], found, matrices)
        return found

    def _of_node(self, name: str, node: Node, found: Mapping[str, int], matrices: Mapping[str, str]) -> int:
        operands = [found[operand] for operand in node.operands]
        if node.primitive in {"add", "sub"}:
            first, second = (self._sums.get(operand, Counter({operand: 1})) for operand in operands)
            total = Counter(first)
            total.update(second) if node.primitive == "add" else total.subtract(second)
            return self._gathered("sum", total, self._sums)
        if node.primitive == "mul":
            first, second = (self._products.get(operand, Counter({operand: 1})) for operand in operands)
            return self._gathered("product", first + second, self._products)
        if PRIMITIVES[node.primitive].has_weights:
            return self._number((node.primitive, matrices.get(name, name), *operands))
        return self._number((node.primitive, node.scale, node.shift, *operands))

    def _gathered(self, kind: str, terms: Counter[int], known: dict[int, Counter[int]]) -> int:
        terms = Counter({term: count for term, count in terms.items() if count})
        number = self._number((kind, frozenset(terms.items())))
        known[number] = terms
        return number

    def _number(self, meaning: object) -> int:
        return self._numbers.setdefault(meaning, len(self._numbers))


def _in_the_same_words(one: Structure, two: Structure, partners: Mapping[str, str]) -> tuple[Structure, Structure]:
    """Renames both cells: counterparts get one name, and a line of the equations in both cells or in none."""
    words = _Words({INPUT, *one.states})
    states = {partners[state]: state for state in one.states if state in partners}
    states |= {state: words.fresh(state, "s") for state in two.states if state not in states}
    lines, other_lines = printed_names(one), printed_names(two)
    names: dict[str, str] = {}
    other_names = dict(states)
    for name, node in one.nodes.items():
        other = partners.get(name, name)
        names[name] = words.choose([name, other, lines[name], other_lines.get(other, name)], node.primitive)
        if name in partners:
            other_names[other] = names[name]
    for name, node in two.nodes.items():
        if name not in other_names:
            other_names[name] = words.choose([name, other_lines[name]], node.primitive)
    ordered = _ordered_like(two, one, {other: name for name, other in partners.items()})
    renamed = _renamed(one, names)
    return renamed, _operands_like(renamed, _renamed(ordered, other_names))


class _Words:
    """Names, each given once."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken

    def choose(self, wanted: list[str], primitive: str) -> str:
        """Returns the first wanted name that is no machine's, made different if it is taken; else a machine's name."""
        name = next((name for name in wanted if is_given(name) and not name.endswith("'")), None)
        return self.fresh(f"{primitive}_1", f"{primitive}_") if name is None else self.fresh(name, "g")

    def fresh(self, name: str, prefix: str) -> str:
        """Returns the name, or if it is taken the prefix with a number."""
        number = 1
        while name in self._taken:
            name = f"{prefix}{number}"
            number += 1
        self._taken.add(name)
        return name


def _renamed(structure: Structure, names: Mapping[str, str]) -> Structure:
    def rename(name: str) -> str:
        return names.get(name, name)

    return Structure(
        tuple(map(rename, structure.states)),
        {
            rename(name): replace(node, operands=tuple(map(rename, node.operands)))
            for name, node in structure.nodes.items()
        },
        {rename(state): rename(value) for state, value in structure.new_states.items()},
    )


def _operands_like(model: Structure, structure: Structure) -> Structure:
    """Returns the structure with summands and factors in the order in which the model has them."""
    nodes = {
        name: _in_order(node, node.operands, model.nodes[name].operands) if name in model.nodes else node
        for name, node in structure.nodes.items()
    }
    return replace(structure, nodes=nodes)


def _ordered_like(structure: Structure, model: Structure, partners: Mapping[str, str]) -> Structure:
    """Returns the structure with its nodes, whose order is that of the equations, as in the model where it has them."""
    places = {name: float(place) for place, name in enumerate(model.nodes)}
    found: dict[str, float] = {}
    for name in reversed(list(nx.topological_sort(structure.to_networkx()))):
        users = [found[user] for user in structure.nodes if name in structure.nodes[user].operands and user in found]
        found[name] = places.get(partners.get(name, ""), min(users, default=float(len(places))) - 0.5)
    nodes = {name: structure.nodes[name] for name in sorted(structure.nodes, key=found.__getitem__)}
    return replace(structure, nodes=nodes)
