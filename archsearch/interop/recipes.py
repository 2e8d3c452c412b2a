"""A recipe of NAS-Bench-NLP read and checked: every broken rule is found, whatever the object is."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from archsearch.errors import InvalidGraphError
from archsearch.graph.checks import MAX_NODES, MAX_STATES
from archsearch.graph.structure import INPUT, OUTPUT_STATE
from archsearch.interop.shown_values import shown

# for each op the fewest and the most inputs
_ARITIES = {
    "linear": (1, MAX_NODES),
    "blend": (3, 3),
    "elementwise_sum": (2, MAX_NODES),
    "elementwise_prod": (2, MAX_NODES),
    "activation_tanh": (1, 1),
    "activation_sigm": (1, 1),
    "activation_leaky_relu": (1, 1),
}
_NEW_STATE = re.compile(r"h_new_([0-9]+)")
_OLD_STATE = re.compile(r"h_prev_([0-9]+)")
_STATE_NUMBERS = f"expected a state's number from 0 to {MAX_STATES - 1}, without leading zeros. Renumber the states."
_FIELDS = {"op", "input"}
MAX_SHOWN = 50


@dataclass(frozen=True, slots=True)
class RecipeNode:
    """One node: its op and the names it reads, in order."""

    op: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """A recipe that breaks no rule.

    Attributes:
        nodes: All nodes by name.
        needed: The nodes that a new state needs, operands before users, otherwise in the order of the recipe.
        states: For `h_prev_0`, `h_prev_1`, … the name of the state here.
    """

    nodes: Mapping[str, RecipeNode]
    needed: tuple[str, ...]
    states: Mapping[str, str]


def read_recipe(recipe: object) -> Recipe:
    """Reads a recipe.

    Raises:
        InvalidGraphError: It breaks a rule. All broken rules are listed, each with its node.
    """
    if not isinstance(recipe, Mapping):
        raise InvalidGraphError(
            (f"recipe: expected a dict of nodes, got {type(recipe).__name__}. Read the JSON text with json.loads.",)
        )
    if len(recipe) > MAX_NODES:
        raise InvalidGraphError((f"recipe: expected at most {MAX_NODES:,} nodes, got {len(recipe):,}.",))
    reader = _Reader(recipe)
    violations = [*reader.violations]
    num_states = reader.num_states(violations)
    violations += reader.missing_inputs(num_states)
    order, cycle = _in_order(reader.nodes)
    if cycle:
        violations.append(_explain_cycle(cycle))
    if violations:
        hidden = len(violations) - MAX_SHOWN
        raise InvalidGraphError(
            violations[:MAX_SHOWN] + ([f"recipe: and {hidden} more mistakes."] if hidden > 0 else [])
        )
    states = {f"h_prev_{index}": OUTPUT_STATE if index == 0 else f"h_{index}" for index in range(num_states)}
    needed = _reached(reader.nodes, [f"h_new_{index}" for index in range(num_states)])
    size = sum(_num_primitives(reader.nodes[name]) for name in needed)
    if size > MAX_NODES:
        reason = "a linear of N inputs is 2 N - 1 of them, a sum or product N - 1, a blend 3"
        expected = f"expected a cell of at most {MAX_NODES:,} primitives, got {size:,}"
        raise InvalidGraphError((f"recipe: {expected}; {reason}. Cut the cell down.",))
    return Recipe(reader.nodes, tuple(name for name in order if name in needed), states)


def _num_primitives(node: RecipeNode) -> int:
    num_inputs = len(node.inputs)
    return {"linear": 2 * num_inputs - 1, "blend": 3}.get(node.op, max(1, num_inputs - 1))


class _Reader:
    """Reads the nodes one by one; one that cannot be read has no inputs and is no second mistake elsewhere."""

    def __init__(self, recipe: Mapping[object, object]) -> None:
        self.nodes: dict[str, RecipeNode] = {}
        self.violations: list[str] = []
        for name, spec in recipe.items():
            if not isinstance(name, str):
                self.violations.append(f"recipe: expected names of type str, got {shown(name)}. Rename the node.")
                continue
            if name == INPUT or _OLD_STATE.fullmatch(name):
                self._note(name, "this is the name of an input and cannot be computed. Rename the node.")
            if (match := _NEW_STATE.fullmatch(name)) and _state_number(match) is None:
                self._note(name, _STATE_NUMBERS)
            found = len(self.violations)
            op, inputs = self._read_op(name, spec), self._read_inputs(name, spec)
            if len(self.violations) == found:
                self._check_arity(name, op, inputs)
            self.nodes[name] = RecipeNode(op, inputs)

    def num_states(self, violations: list[str]) -> int:
        """Returns how many states there are, adding a violation for each that is missing between the others."""
        matches = filter(None, map(_NEW_STATE.fullmatch, self.nodes))
        indices = {index for match in matches if (index := _state_number(match)) is not None}
        if 0 not in indices:
            violations.append("recipe: expected a node 'h_new_0', which is the output, got none. Add it or rename one.")
        if not indices:
            return 0
        violations += [
            f"recipe: 'h_new_{max(indices)}' needs a node 'h_new_{index}', got none. Add it."
            for index in range(1, max(indices))
            if index not in indices
        ]
        return max(indices) + 1

    def missing_inputs(self, num_states: int) -> Iterator[str]:
        """Yields a violation for each input that nothing gives."""
        for name, node in self.nodes.items():
            for value in dict.fromkeys(node.inputs):
                match = _OLD_STATE.fullmatch(value)
                index = _state_number(match) if match else None
                if match and index is None:
                    yield f"node {shown(name)}: input {shown(value)}: {_STATE_NUMBERS}"
                elif match and index is not None and index >= num_states:
                    yield f"node {shown(name)}: no node 'h_new_{match[1]}' sets the state {value!r}. Add it."
                elif not match and value != INPUT and value not in self.nodes:
                    close = get_close_matches(value[:64], [INPUT, *list(self.nodes)[:500]], n=1)
                    hint = f" Did you mean {shown(close[0])}?" if close else ""
                    yield (
                        f"node {shown(name)}: input {shown(value)} is neither 'x' nor 'h_prev_k' nor a node.{hint}"
                        " Add it or correct the name."
                    )

    def _note(self, name: str, message: str) -> None:
        self.violations.append(f"node {shown(name)}: {message}")

    def _read_op(self, name: str, spec: object) -> str:
        if not isinstance(spec, Mapping):
            self._note(name, f"expected a dict with 'op' and 'input', got {shown(spec)}. Correct it.")
            return ""
        for field in spec:
            if field not in _FIELDS:
                self._note(name, f"unknown field {shown(field)}. A node has 'op' and 'input'.")
        op = spec.get("op")
        if not isinstance(op, str) or op not in _ARITIES:
            close = get_close_matches(op[:64], _ARITIES, n=1) if isinstance(op, str) else []
            hint = f" Did you mean '{close[0]}'?" if close else ""
            got = shown(op) if "op" in spec else "none"
            self._note(name, f"expected an op, got {got}.{hint} Ops: {', '.join(_ARITIES)}.")
            return ""
        return op

    def _read_inputs(self, name: str, spec: object) -> tuple[str, ...]:
        if not isinstance(spec, Mapping):
            return ()
        inputs = spec.get("input")
        if not isinstance(inputs, list | tuple) or not all(isinstance(value, str) for value in inputs):
            got = shown(inputs) if "input" in spec else "none"
            self._note(name, f"expected 'input', a list of names, got {got}. Correct it.")
            return ()
        return tuple(inputs)

    def _check_arity(self, name: str, op: str, inputs: tuple[str, ...]) -> None:
        fewest, most = _ARITIES[op]
        if not fewest <= len(inputs) <= most:
            expected = (
                str(fewest) if fewest == most else f"at least {fewest}" if len(inputs) < fewest else f"at most {most:,}"
            )
            self._note(name, f"'{op}' takes {expected} inputs, got {len(inputs):,}. Give it as many.")


def _state_number(match: re.Match[str]) -> int | None:
    digits = match[1]
    if len(digits) > len(str(MAX_STATES)) or (digits[0] == "0" and digits != "0"):
        return None
    return int(digits) if int(digits) < MAX_STATES else None


def _in_order(nodes: Mapping[str, RecipeNode]) -> tuple[list[str], list[str]]:
    """Returns the nodes, operands before users where that is possible, and the first cycle that was met, if any."""
    order: dict[str, None] = {}
    path: dict[str, Iterator[str]] = {}
    cycle: list[str] = []
    for root in nodes:
        if root not in order:
            path[root] = iter(nodes[root].inputs)
        while path:
            name = next(reversed(path))
            for value in path[name]:
                if value in path and not cycle:
                    cycle = [*list(path)[list(path).index(value) :], value]
                elif value in nodes and value not in order and value not in path:
                    path[value] = iter(nodes[value].inputs)
                    break
            else:
                del path[name]
                order[name] = None
    return list(order), cycle


def _explain_cycle(cycle: list[str]) -> str:
    loop = " reads ".join(map(shown, cycle[:10])) + (" reads …" if len(cycle) > 10 else "")
    return f"node {shown(cycle[0])}: a cycle, {loop}. Only a state, h_prev_k, carries a value to the next step."


def _reached(nodes: Mapping[str, RecipeNode], roots: Iterable[str]) -> set[str]:
    stack = list(roots)
    reached = set(stack)
    while stack:
        for value in nodes[stack.pop()].inputs:
            if value in nodes and value not in reached:
                reached.add(value)
                stack.append(value)
    return reached
