"""Equations, the human form of a cell, read into names and nodes.

One `name = expression` per line, `#` begins a comment. Expressions have `+ - * ( )` and the functions `tanh`,
`sigmoid`, `relu`, `leaky_relu`, `linear` and `peephole`; each `linear(…)` is a new matrix, each `peephole(…)` a new
weight for every unit. `linear(a, b)` is short for `linear(a) + linear(b, bias=no)`. Keywords of `linear`:
`diagonal=0.9`, `bias=no`, `bias_init=1`, and `name=forget` to load weights by (with several operands `forget_1`,
`forget_2`, …); of `peephole`: `diagonal` and `name`. Numbers scale and shift values: `(1 - z) * n`, `0.5 * (a + b)`,
`-a`; what an expression does to one value is one `affine` node, so that `2 * (a + 1)` is `2 * a + 2`. `h' = …` defines
the next value of the state `h`, which the lines after it may read as `h'`. The output is `h'`. States are ordered `h`
first, then as they are defined, or as a line `states: h, c` says.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from archsearch.errors import InvalidGraphError
from archsearch.graph.checks import MAX_NAME, is_name
from archsearch.graph.expressions import MAX_MISTAKES, ExpressionReader
from archsearch.graph.primitives import PRIMITIVES
from archsearch.graph.source_text import MistakeError, Token, check_characters, point_at, straighten, tokenize
from archsearch.graph.structure import INPUT, OUTPUT_STATE, Node, Structure

MAX_TEXT = 200_000


def parse_equations(text: str) -> Structure:
    """Reads a cell from its equations.

    Raises:
        InvalidGraphError: The text cannot be read. Each violation names its line and column.
    """
    if len(text) > MAX_TEXT:
        raise InvalidGraphError((f"equations: expected at most {MAX_TEXT:,} characters, got {len(text):,}.",))
    return _EquationsReader(text.removeprefix("\ufeff").splitlines()).read()


@dataclass(frozen=True)
class _Equation:
    line: int
    target: Token
    expression: tuple[Token, ...]

    @property
    def name(self) -> str:
        return self.target.text

    @property
    def state(self) -> str | None:
        return self.name[:-1] if self.name.endswith("'") else None


class _EquationsReader:
    """Reads all lines of one text; mistakes are gathered, and each line is read whatever happened before."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._mistakes: list[tuple[int, MistakeError]] = []
        self._equations: list[_Equation] = []
        self._order: tuple[int, tuple[Token, ...]] | None = None
        self._nodes: dict[str, Node] = {}
        self._numbers: Counter[str] = Counter()
        self._reserved: set[str] = set()
        self._broken: set[str] = set()

    def read(self) -> Structure:
        self._split()
        is_whole = len(self._mistakes) < MAX_MISTAKES
        self._reserved = {equation.name for equation in self._equations}
        states = self._find_states()
        values: dict[str, str | None] = {INPUT: INPUT, **{state: state for state in states}}
        if OUTPUT_STATE not in self._reserved:
            # where h' is missing, that alone is said, not every place that reads h
            values.setdefault(OUTPUT_STATE, None)
        for equation in self._equations:
            self._read_equation(equation, values)
        self._find_unused()
        self._find_repeated_weights()
        order = self._state_order(states)
        if OUTPUT_STATE not in states and is_whole and f"{OUTPUT_STATE}'" not in self._broken:
            self._mistakes.append((0, MistakeError(1, self._missing_output())))
        if self._mistakes:
            raise InvalidGraphError(self._messages())
        new_states = {state: values[f"{state}'"] for state in order}
        return Structure(order, self._nodes, {state: value for state, value in new_states.items() if value})

    def _split(self) -> None:
        for number, line in enumerate(self._lines, start=1):
            if len(self._mistakes) >= MAX_MISTAKES:
                return
            straight, mistake = straighten(line)
            if mistake:
                self._mistakes.append((number, mistake))
            tokens = tokenize(straight)
            try:
                if tokens[0].kind == "end":
                    continue
                if tokens[0].text == "states" and tokens[1].text == ":":
                    self._take_order(number, tokens)
                else:
                    self._equations.append(_split_equation(number, tokens))
            except MistakeError as error:
                self._mistakes.append((number, error))
                self._broken.add(tokens[0].text)

    def _take_order(self, number: int, tokens: tuple[Token, ...]) -> None:
        if self._order is not None:
            raise MistakeError(1, f"the states are listed twice, first on line {self._order[0]}. Keep one list.")
        check_characters(tokens)
        names, separators = tokens[2:-1:2], tokens[3:-1:2]
        if not names or len(names) != len(separators) + 1 or any(token.text != "," for token in separators):
            raise MistakeError(tokens[2].column, "expected state names with commas between them: states: h, c")
        self._order = (number, names)

    def _find_states(self) -> tuple[str, ...]:
        """Returns the primed names, `h` first, then in order of appearance."""
        found = dict.fromkeys(equation.state for equation in self._equations)
        states = [state for state in found if state and is_name(state) and state != INPUT]
        return tuple(sorted(states, key=lambda state: state != OUTPUT_STATE))

    def _read_equation(self, equation: _Equation, values: dict[str, str | None]) -> None:
        if len(self._mistakes) >= MAX_MISTAKES:
            return
        reader = ExpressionReader(equation.expression, values, self._emit)
        value: str | None = None
        try:
            self._check_target(equation, values)
            before = len(self._nodes)
            value = reader.read()
            if len(self._nodes) > before and equation.state is None and not reader.mistakes:
                value = self._rename_last(value, equation.name)
        except MistakeError as mistake:
            reader.mistakes.append(mistake)
        self._mistakes.extend((equation.line, self._explain(equation, mistake)) for mistake in reader.mistakes)
        values.setdefault(equation.name, None if reader.mistakes else value)

    def _check_target(self, equation: _Equation, values: dict[str, str | None]) -> None:
        name, column = equation.name, equation.target.column
        base = equation.state or name
        if base in PRIMITIVES:
            raise MistakeError(column, f"'{base}' is a function and cannot be a name. Choose another name.")
        if base == INPUT:
            raise MistakeError(column, "'x' is the input and cannot be defined. Choose another name.")
        if not is_name(base):
            raise MistakeError(column, f"a name has at most {MAX_NAME} characters, this one has {len(base)}.")
        if name in values and name + "'" in self._reserved:
            raise MistakeError(column, f"'{name}' is a state: its next value is {name}', its old one is given.")
        if name in values:
            first = next(other.line for other in self._equations if other.name == name)
            raise MistakeError(column, f"'{name}' is defined twice, first on line {first}. Rename or remove one.")

    def _explain(self, equation: _Equation, mistake: MistakeError) -> MistakeError:
        """Says more about an unknown name that this line or a later one defines."""
        place = next((token for token in equation.expression if token.column == mistake.column), None)
        if place is None or not mistake.message.startswith("unknown name"):
            return mistake
        later = next((other for other in self._equations if other.name == place.text), None)
        if later is None and place.text.endswith("'"):
            message = f'nothing defines {place.text}. Add a line "{place.text} = …" above, or read the old state.'
        elif later is None:
            message = f'{mistake.message} If it is a state, add a line "{place.text}\' = …" that says its next value.'
            behind = equation.expression[equation.expression.index(place) + 1 :]
            if behind[0].text == "*" and behind[1].kind == "name":
                message += f" If it is a matrix, write linear({behind[1].text[:80]})."
        elif later.line == equation.line and equation.state is None:
            message = f"'{place.text}' is used in its own definition. A state, {place.text}', carries a value over."
        elif later.line == equation.line:
            message = f"{place.text} is used in its own definition. The old value is {place.text[:-1]}."
        elif later.state is not None:
            message = (
                f"{place.text} is used before line {later.line} defines it. Move that line up, or read the old value, "
                f"{place.text[:-1]}."
            )
        else:
            message = (
                f"'{place.text}' is used before line {later.line} defines it. Move that line up; if it needs "
                f"'{equation.name}' in turn, that is a cycle: let a state, {place.text}', carry the value over."
            )
        return MistakeError(mistake.column, message)

    def _missing_output(self) -> str:
        line = next((equation.line for equation in self._equations if equation.name == OUTPUT_STATE), None)
        also = "" if line is None else f", or write h' for h on line {line}"
        return f"nothing defines h', the output. Add a line \"h' = …\"{also}."

    def _emit(self, node: Node) -> str:
        """Adds a node under the next free name of its primitive."""
        while True:
            self._numbers[node.primitive] += 1
            name = f"{node.primitive}_{self._numbers[node.primitive]}"
            if name not in self._reserved and name + "'" not in self._reserved:
                self._nodes[name] = node
                return name

    def _rename_last(self, value: str, name: str) -> str:
        """Gives the node that was emitted last, which nothing reads yet, the name of its equation."""
        node = self._nodes.pop(value)
        self._numbers[node.primitive] -= 1
        self._nodes[name] = node
        return name

    def _find_unused(self) -> None:
        """Reports equations that no new state needs, judged by their words so that broken lines count too."""
        words = {
            equation.name: [token.text for token in equation.expression if token.kind == "name"]
            for equation in self._equations
        }
        needed = {equation.name for equation in self._equations if equation.state is not None}
        stack = list(needed)
        while stack:
            for word in words[stack.pop()]:
                if word in words and word not in needed:
                    needed.add(word)
                    stack.append(word)
        if not needed:
            return  # without any new state every line is unused; the missing h' says it better
        for equation in self._equations:
            if equation.name not in needed and is_name(equation.name) and equation.name != INPUT:
                message = f"'{equation.name}' reaches no new state. Use it or remove its line."
                self._mistakes.append((equation.line, MistakeError(equation.target.column, message)))

    def _find_repeated_weights(self) -> None:
        counts = Counter(node.weights for node in self._nodes.values() if node.weights)
        for weights, count in counts.items():
            if count > 1 and not self._mistakes:
                message = f"{count} weights have the name '{weights}'. Names tell weights apart: change all but one."
                self._mistakes.append((self._line_of_weights(weights), MistakeError(1, message)))

    def _line_of_weights(self, weights: str) -> int:
        bases = {weights, weights.rpartition("_")[0]}
        lines = [
            equation.line
            for equation in self._equations
            for before, token in zip(equation.expression, equation.expression[2:], strict=False)
            if before.text == "name" and token.text in bases
        ]
        return lines[-1]

    def _state_order(self, states: tuple[str, ...]) -> tuple[str, ...]:
        if self._order is None:
            return states
        number, tokens = self._order
        listed = [token.text for token in tokens]
        for index, token in enumerate(tokens):
            if token.text not in states:
                message = f"'{token.text}' is no state: no line defines {token.text}'."
                self._mistakes.append((number, MistakeError(token.column, message)))
            elif token.text in listed[:index]:
                self._mistakes.append((number, MistakeError(token.column, f"'{token.text}' is listed twice.")))
        missing = [state for state in states if state not in listed]
        if missing:
            message = f"the list lacks {', '.join(missing[:10])}. Name every state or remove the list."
            self._mistakes.append((number, MistakeError(1, message)))
        return tuple(listed)

    def _messages(self) -> tuple[str, ...]:
        ordered = sorted(self._mistakes, key=lambda pair: (pair[0], pair[1].column))
        messages = []
        for number, mistake in ordered[:MAX_MISTAKES]:
            if number == 0:
                messages.append(f"equations: {mistake.message}")
            else:
                messages.append(point_at(number, self._lines[number - 1], mistake))
        if len(ordered) >= MAX_MISTAKES:
            messages.append(f"equations: only the first {MAX_MISTAKES} mistakes are listed.")
        return tuple(messages)


def _split_equation(number: int, tokens: tuple[Token, ...]) -> _Equation:
    target = tokens[0]
    check_characters(tokens[:2])
    if target.kind != "name":
        raise MistakeError(target.column, f'expected a name to define, got {target.shown}. Write "name = …".')
    if tokens[1].text != "=":
        raise MistakeError(tokens[1].column, f"expected '=' behind {target.text}, got {tokens[1].shown}.")
    return _Equation(number, target, tokens[2:])
