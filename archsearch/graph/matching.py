"""Which values of one cell stand where in another: by what they compute, what they read, who reads them, their names.

Likeness spreads along the edges of both graphs, until pairs in like surroundings stand out. Then pairs are fixed one
after another, the best first, each a neighbour of one that is fixed.

Source: Melnik, Garcia-Molina and Rahm 2002, "Similarity flooding"; https://doi.org/10.1109/ICDE.2002.994702
"""

from collections.abc import Mapping, Sequence

from archsearch.graph.given_names import is_given
from archsearch.graph.names import what_is_computed
from archsearch.graph.primitives import PRIMITIVES
from archsearch.graph.structure import INPUT, OUTPUT_STATE, Structure

NUM_ROUNDS = 8
# Likeness of two nodes by themselves; 1 if they compute the same.
OTHER_ATTRIBUTES = 0.6
OTHER_PRIMITIVE = 0.2
# A name that a person gave both is worth more than either what a value reads or who reads it.
SAME_NAME = 1.0

Pair = tuple[str, str]


def match(before: Structure, after: Structure) -> dict[str, str]:
    """Returns for `x`, and for each state and node of the first cell that has one, its counterpart in the second."""
    return _Matcher(_Side(before), _Side(after)).match()


class _Side:
    """One of the cells: what each value reads and who reads it. An old state reads the value that it becomes."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self.reads: dict[str, Sequence[str]] = {INPUT: ()}
        self.reads |= {state: (structure.new_states[state],) for state in structure.states}
        self.reads |= {name: node.operands for name, node in structure.nodes.items()}
        self.users: dict[str, list[str]] = {name: [] for name in self.reads}
        for name, operands in self.reads.items():
            for operand in dict.fromkeys(operands):
                self.users[operand].append(name)

    def is_commutative(self, name: str) -> bool:
        return name in self.structure.nodes and PRIMITIVES[self.structure.nodes[name].primitive].commutative


class _Matcher:
    def __init__(self, before: _Side, after: _Side) -> None:
        self._before = before
        self._after = after
        self._own = {
            (one, two): own for one in before.reads for two in after.reads if (own := self._own_likeness(one, two))
        }
        self._likeness = self._flooded()
        self._partners: dict[str, str] = {}
        self._taken: set[str] = set()
        self._scores: dict[Pair, float] = {}

    def match(self) -> dict[str, str]:
        self._fix((INPUT, INPUT))
        self._fix((OUTPUT_STATE, OUTPUT_STATE))
        for state in self._before.structure.states:
            if state in self._after.structure.states and state != OUTPUT_STATE:
                self._fix((state, state))
        while self._scores:
            self._fix(max(self._scores, key=self._scores.__getitem__))
        return self._partners

    def _own_likeness(self, one: str, two: str) -> float:
        """Returns how like two values are by themselves; 0 if the one can never stand for the other."""
        nodes, others = self._before.structure.nodes, self._after.structure.nodes
        if one not in nodes or two not in others:
            is_state = one in self._before.structure.states and two in self._after.structure.states
            return float(one == two) or 0.5 * (is_state and OUTPUT_STATE not in (one, two))
        if len(nodes[one].operands) != len(others[two].operands):
            return 0.0
        if what_is_computed(self._before.structure, one) == what_is_computed(self._after.structure, two):
            return 1.0
        return OTHER_ATTRIBUTES if nodes[one].primitive == others[two].primitive else OTHER_PRIMITIVE

    def _flooded(self) -> Mapping[Pair, float]:
        likeness: Mapping[Pair, float] = self._own
        for _ in range(NUM_ROUNDS):
            likeness = {
                (one, two): (own + self._operands_agree(one, two, likeness) + self._users_agree(one, two, likeness)) / 3
                for (one, two), own in self._own.items()
            }
        return likeness

    def _operands_agree(self, one: str, two: str, likeness: Mapping[Pair, float]) -> float:
        reads, others = self._before.reads[one], self._after.reads[two]
        if not reads:
            return 1.0
        orders = [others]
        if self._before.is_commutative(one) and self._after.is_commutative(two):
            orders.append(others[::-1])
        return max(
            sum(likeness.get(pair, 0.0) for pair in zip(reads, order, strict=True)) / len(reads) for order in orders
        )

    def _users_agree(self, one: str, two: str, likeness: Mapping[Pair, float]) -> float:
        users, others = self._before.users[one], self._after.users[two]
        if not users or not others:
            return float(len(users) == len(others))
        best = [max(likeness.get((user, other), 0.0) for other in others) for user in users]
        best += [max(likeness.get((user, other), 0.0) for user in users) for other in others]
        return sum(best) / len(best)

    def _fix(self, pair: Pair) -> None:
        """Makes two values counterparts, and looks again at the pairs around them."""
        one, two = pair
        self._partners[one] = two
        self._taken.add(two)
        self._scores = {key: score for key, score in self._scores.items() if key[0] != one and key[1] != two}
        around = [(user, other) for user in self._before.users[one] for other in self._after.users[two]]
        around += [(read, other) for read in self._before.reads[one] for other in self._after.reads[two]]
        for neighbour in dict.fromkeys(around):
            if neighbour in self._own and neighbour[0] not in self._partners and neighbour[1] not in self._taken:
                self._score(neighbour)

    def _score(self, pair: Pair) -> None:
        one, two = pair
        fixed = dict.fromkeys(self._partners.items(), 1.0)
        reads = self._operands_agree(one, two, fixed)
        users = self._users_agree(one, two, fixed)
        has_same_name = one == two and is_given(one)
        is_alike = self._own[pair] > OTHER_PRIMITIVE or has_same_name
        if (reads or users) if is_alike else (reads and users):
            self._scores[pair] = self._likeness[pair] + reads + users + SAME_NAME * has_same_name
