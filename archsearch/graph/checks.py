"""All rules that a cell graph must keep; every broken one is reported."""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

import networkx as nx

from archsearch.graph.primitives import PRIMITIVES
from archsearch.graph.structure import INPUT, OUTPUT_STATE

MAX_NODES = 2_000
MAX_STATES = 64
MAX_NAME = 64
MAX_CONSTANT = 1e6  # no sensible diagonal or bias comes near it

_NAME = re.compile(rf"[A-Za-z_][A-Za-z0-9_]{{0,{MAX_NAME - 1}}}", re.ASCII)
_NUMBERS = ("diagonal", "bias_init", "scale", "shift")
_ATTRIBUTES = {
    "input": frozenset({"kind"}),
    "state": frozenset({"kind", "index"}),
    "primitive": frozenset({"kind", "primitive"}),
    "new_state": frozenset({"kind"}),
}


def is_name(text: str) -> bool:
    """Returns whether a state, a node or a matrix may be called so."""
    return _NAME.fullmatch(text) is not None and text not in PRIMITIVES


def find_violations(graph: object) -> tuple[str, ...]:
    """Returns every broken rule of a graph in one sentence each, in a stable order; nothing for a good graph.

    The graph is laid out as `Structure.to_networkx` describes. Any graph at all may be asked about.
    """
    if not isinstance(graph, nx.MultiDiGraph):
        return (f"the graph: expected a networkx.MultiDiGraph, got {type(graph).__name__}. Build one.",)
    limit = MAX_NODES + 2 * MAX_STATES + 1
    if len(graph) > limit:
        return (f"the graph: expected at most {limit:,} nodes, got {len(graph):,}. Cut the cell down.",)
    return tuple(_Inspection(graph).violations())


class _Inspection:
    """One look at one graph. Plain dicts are gathered first: networkx's views are slow, and every mutant comes here."""

    def __init__(self, graph: "nx.MultiDiGraph[Any]") -> None:
        self.attributes: dict[Any, dict[Any, Any]] = dict(graph.nodes(data=True))
        self.users: dict[Any, list[Any]] = {}
        self.operands: dict[Any, list[tuple[Any, Any]]] = {node: [] for node in self.attributes}
        self.edges_with_attributes: list[tuple[Any, Any]] = []
        for node, neighbours in graph.adjacency():
            self.users[node] = list(neighbours)
            for user, edges in neighbours.items():
                for slot, attributes in edges.items():
                    self.operands[user].append((slot, node))
                    if attributes:
                        self.edges_with_attributes.append((node, user))
        # a kind that cannot be looked up in a table counts as none
        kinds = ((node, attributes.get("kind")) for node, attributes in self.attributes.items())
        self.kinds = {node: kind if isinstance(kind, str) else "" for node, kind in kinds}

    def violations(self) -> Iterator[str]:
        yield from self._counts()
        yield from self._states()
        for node, attributes in self.attributes.items():
            yield from self._name(node)
            yield from self._attributes(node, attributes)
            yield from self._operands(node)
        for operand, user in self.edges_with_attributes:
            yield f"edge {_shown(operand)} -> {_shown(user)}: an edge has no attributes, only its slot. Remove them."
        yield from self._weights()
        yield from self._cycles()
        yield from self._unused()

    def _of_kind(self, kind: str) -> list[Any]:
        return [node for node, found in self.kinds.items() if found == kind]

    def _counts(self) -> Iterator[str]:
        inputs = self._of_kind("input")
        if inputs != [INPUT]:
            got = _listed(inputs) if inputs else "none"
            yield f"the graph: expected exactly one input, 'x', got {got}. Name the only node of kind 'input' 'x'."
        num_nodes = len(self._of_kind("primitive"))
        if num_nodes > MAX_NODES:
            yield f"the graph: expected at most {MAX_NODES:,} primitive nodes, got {num_nodes:,}. Cut the cell down."

    def _states(self) -> Iterator[str]:
        states, sinks = self._of_kind("state"), self._of_kind("new_state")
        if len(states) > MAX_STATES:
            yield f"the graph: expected at most {MAX_STATES} states, got {len(states)}. Carry fewer values over."
        if OUTPUT_STATE not in states:
            got = _listed(states) if states else "none"
            yield f"the graph: expected a state 'h', whose new value is the output, got {got}. Add it or rename one."
        indices: list[Any] = [self.attributes[state].get("index") for state in states]
        if not all(type(index) is int for index in indices) or sorted(indices) != list(range(len(states))):
            found = ", ".join(map(_shown, indices[:10]))
            yield f"the states: expected the indices 0 to {len(states) - 1}, each once, got {found}. Number them anew."
        known = set(sinks)
        for state in states:
            if isinstance(state, str) and state + "'" not in known:
                yield f"state {_shown(state)}: nothing gives its next value. Add a new state node, {state[:80]}'."
        known = set(states)
        for sink in sinks:
            if not (isinstance(sink, str) and sink.endswith("'") and sink[:-1] in known):
                yield f"new state {_shown(sink)}: expected a state's name with a prime. Rename it or add the state."

    def _name(self, node: Any) -> Iterator[str]:
        if not isinstance(node, str):
            yield f"node {_shown(node)}: expected a name of type str, got {type(node).__name__}. Rename it."
        elif self.kinds[node] != "new_state" and _NAME.fullmatch(node) is None:
            rule = f"a name has letters, digits and underscores, no digit first, and at most {MAX_NAME} characters"
            yield f"node {_shown(node)}: {rule}. Rename it."
        elif node in PRIMITIVES:
            yield f"node {_shown(node)}: this is the name of a primitive. Rename it."
        elif node == INPUT and self.kinds[node] != "input":
            yield f"node 'x': expected kind 'input', got {_shown(self.kinds[node])}. Rename the node: x is the input."

    def _attributes(self, node: Any, attributes: dict[Any, Any]) -> Iterator[str]:
        kind, primitive = self.kinds[node], attributes.get("primitive")
        allowed = _ATTRIBUTES.get(kind)
        if allowed is None:
            got = _shown(attributes.get("kind"))
            yield f"node {_shown(node)}: expected a kind ({', '.join(_ATTRIBUTES)}), got {got}. Set it."
            return
        if kind == "primitive":
            if not isinstance(primitive, str) or primitive not in PRIMITIVES:
                yield f"node {_shown(node)}: {_unknown_primitive(primitive)}"
                return
            allowed |= frozenset(PRIMITIVES[primitive].attributes)
        if attributes.keys() != allowed:
            unknown = [key for key in attributes if key not in allowed]
            missing = sorted(allowed - attributes.keys())
            if unknown:
                known = ", ".join(sorted(allowed))
                yield f"node {_shown(node)}: unknown attribute {_listed(unknown)}. Known: {known}. Remove it."
            if missing:
                yield f"node {_shown(node)}: lacks the attribute {', '.join(missing)}. Set it."
        if kind == "primitive":
            yield from _values(node, {key: attributes[key] for key in attributes if key in allowed})

    def _operands(self, node: Any) -> Iterator[str]:
        kind, edges = self.kinds[node], self.operands[node]
        if kind == "new_state":
            arity, what = 1, "a new state"
            if self.users[node]:
                users = _listed(self.users[node])
                yield f"new state {_shown(node)}: is read by {users}. Read the value that it is given, instead."
        elif kind == "primitive":
            primitive = self.attributes[node].get("primitive")
            row = PRIMITIVES.get(primitive) if isinstance(primitive, str) else None
            if row is None:
                return  # reported as unknown
            arity, what = row.arity, f"'{row.name}'"
        elif kind in ("input", "state"):
            if edges:
                article = "an input" if kind == "input" else "a state"
                given = _listed([operand for _, operand in edges])
                yield f"node {_shown(node)}: {article} takes no operands, got {len(edges)} ({given}). Remove the edges."
            return
        else:
            return  # reported as of unknown kind
        if len(edges) != arity:
            yield _operand_count(node, what, arity, [operand for _, operand in sorted(edges, key=repr)])
        slots = [slot for slot, _ in edges]
        if any(type(slot) is not int for slot in slots) or sorted(slots) != list(range(len(slots))):
            found = ", ".join(map(_shown, slots[:10]))
            expected = f"expected the operand slots (edge keys) 0 to {arity - 1}"
            yield f"node {_shown(node)}: {expected}, got {found}. Renumber them."

    def _weights(self) -> Iterator[str]:
        first: dict[str, Any] = {}
        for node, attributes in self.attributes.items():
            weights = attributes.get("weights")
            if not weights or not isinstance(weights, str):
                continue
            if weights in first:
                pair = f"{_shown(first[weights])} and {_shown(node)}"
                yield f"nodes {pair}: both weights are named {_shown(weights)}. Names tell weights apart: change one."
            first.setdefault(weights, node)

    def _cycles(self) -> Iterator[str]:
        """Takes away nodes whose operands are all gone; what cannot go lies on a cycle or behind one."""
        waiting = {node: len({operand for _, operand in edges}) for node, edges in self.operands.items()}
        ready = [node for node, count in waiting.items() if not count]
        for node in ready:
            for user in self.users[node]:
                waiting[user] -= 1
                if not waiting[user]:
                    ready.append(user)
        if len(ready) == len(waiting):
            return
        left = nx.DiGraph((node, user) for node, users in self.users.items() for user in users if waiting[node])
        position = {node: index for index, node in enumerate(self.attributes)}
        components = [sorted(part, key=position.__getitem__) for part in nx.strongly_connected_components(left)]
        for part in sorted(components, key=lambda part: position[part[0]]):
            if len(part) > 1 or part[0] in self.users[part[0]]:
                count = f"node {_listed(part)} is" if len(part) == 1 else f"nodes {_listed(part)} are"
                yield f"{count} on a cycle. Break it, or carry the value over in a state."

    def _unused(self) -> Iterator[str]:
        reached = set(self._of_kind("new_state"))
        stack = list(reached)
        while stack:
            for _, operand in self.operands[stack.pop()]:
                if operand not in reached:
                    reached.add(operand)
                    stack.append(operand)
        for node, kind in self.kinds.items():
            if kind == "primitive" and node not in reached:
                users = self.users[node]
                reason = f"used by {_listed(users)}, which reaches no new state" if users else "used by nothing"
                yield f"node {_shown(node)}: {reason}. Remove the node or use it."


def _values(node: Any, attributes: dict[Any, Any]) -> Iterator[str]:
    for key in _NUMBERS:
        value = attributes.get(key, 0.0)
        if type(value) not in (int, float) or not -MAX_CONSTANT <= value <= MAX_CONSTANT:
            expected = f"expected a number of at most {MAX_CONSTANT:,.0f} in size"
            yield f"node {_shown(node)}: {key}: {expected}, got {_shown(value)}. Correct it."
    bias, bias_init = attributes.get("bias", 1), attributes.get("bias_init", 0.0)
    if type(bias) is not int or bias not in (0, 1):
        yield f"node {_shown(node)}: bias: expected 0 or 1, got {_shown(bias)}. Correct it."
    elif not bias and type(bias_init) in (int, float) and bias_init != 0:
        advice = "Set bias to 1 or bias_init to 0"
        yield f"node {_shown(node)}: bias_init is {_shown(bias_init)}, yet it has no bias. {advice}."
    if attributes.get("scale", 1.0) == 0:
        yield f"node {_shown(node)}: scale is 0, so that it depends on nothing. Remove the node or correct it."
    weights = attributes.get("weights", "")
    if isinstance(weights, str) and weights in PRIMITIVES:
        yield f"node {_shown(node)}: weights: {_shown(weights)} is the name of a primitive. Choose another."
    elif not isinstance(weights, str) or (weights and not is_name(weights)):
        yield f"node {_shown(node)}: weights: expected a name or empty text, got {_shown(weights)}. Correct it."


def _operand_count(node: Any, what: str, arity: int, operands: list[Any]) -> str:
    got = f"{len(operands)} ({_listed(operands)})" if operands else "0"
    if len(operands) > arity:
        advice = f"Remove {len(operands) - arity} of its operands."
    else:
        ordinal = "an operand" if not operands else "a second operand"
        advice = f"Remove the node or give it {ordinal}."
    plural = "operand" if arity == 1 else "operands"
    return f"node {_shown(node)}: {what} takes {arity} {plural}, got {got}. {advice}"


def _unknown_primitive(primitive: Any) -> str:
    close = get_close_matches(primitive[:MAX_NAME], PRIMITIVES, n=1) if isinstance(primitive, str) else []
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return f"unknown primitive {_shown(primitive)}. Known: {', '.join(PRIMITIVES)}.{hint}"


def _listed(nodes: Iterable[Any]) -> str:
    """Returns names with commas between them, as many as a sentence can hold."""
    names = [node[:80] if isinstance(node, str) and node.isidentifier() else _shown(node) for node in nodes]
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _shown(value: Any) -> str:
    """Returns a value for a message: quoted, short, and printable on any terminal."""
    if isinstance(value, str) and value.isascii() and value.isprintable():
        quote = '"' if "'" in value else "'"
        return f"{quote}{value[:80]}{'…' if len(value) > 80 else ''}{quote}"
    if isinstance(value, int) and abs(value) >= 10**80:
        return "an integer of more than 80 digits"
    text = ascii(value)
    return text if len(text) <= 80 else text[:80] + "…"
