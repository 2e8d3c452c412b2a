"""One expression of an equation, read by recursive descent straight into nodes."""

from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches

from archsearch.graph.checks import MAX_NAME, is_name
from archsearch.graph.constants import Operand, checked_constant, operand_of_number, operand_of_value
from archsearch.graph.primitives import PRIMITIVES
from archsearch.graph.source_text import MistakeError, Token, check_characters
from archsearch.graph.structure import INPUT, Node

MAX_MISTAKES = 20
MAX_NESTING = 100  # each level takes up to three Python frames of about a thousand
FUNCTIONS = tuple(row.name for row in PRIMITIVES.values() if row.kind == "activation")

_SUMS = {"+": "add", "-": "sub"}
_OPERATORS = {
    "add": "an operator: a + b",
    "sub": "an operator: a - b",
    "mul": "an operator: a * b",
    "affine": "numbers: 2 * a + 1, 1 - a",
}
_OTHER_SPELLINGS = {"sigm": "sigmoid", "logistic": "sigmoid", "dense": "linear", "matmul": "linear"}
_KEYWORDS = {"linear": ("diagonal", "bias", "bias_init", "name"), "peephole": ("diagonal", "name")}


class ExpressionReader:
    """Reads the right side of one equation.

    A word that means nothing is noted in `mistakes` and reading goes on; where the order of the words makes no sense
    it stops.

    Args:
        tokens: Of the right side, the `end` token included.
        values: What each readable name stands for; None for a name whose own line could not be read.
        emit: Takes a new node and returns its name.
    """

    def __init__(self, tokens: Sequence[Token], values: Mapping[str, str | None], emit: Callable[[Node], str]) -> None:
        self._tokens = tokens
        self._values = values
        self._emit = emit
        self._position = 0
        self._nesting = 0
        self.mistakes: list[MistakeError] = []

    def read(self) -> str:
        """Returns the name of the value that the whole expression stands for.

        Raises:
            MistakeError: The expression cannot be read to its end.
        """
        check_characters(self._tokens)
        value = self._settled(self._expression())
        if self._next.kind != "end":
            raise MistakeError(self._next.column, self._misplaced())
        return value

    @property
    def _next(self) -> Token:
        return self._tokens[self._position]

    def _take(self) -> Token:
        token = self._tokens[self._position]
        self._position += 1
        return token

    def _note(self, token: Token, message: str) -> str:
        """Notes a mistake and returns a value that lets reading go on."""
        mistake = MistakeError(token.column, message)
        if len(self.mistakes) + 1 >= MAX_MISTAKES:
            raise mistake
        self.mistakes.append(mistake)
        return INPUT

    def _misplaced(self) -> str:
        token = self._next
        if token.text == ")":
            return "this ')' closes nothing. Remove it."
        if token.text == "=":
            return "a second '='. An equation has one, behind the name it defines."
        hint = " For a product write a * b." if token.kind == "name" or token.text == "(" else ""
        return f"expected an operator (+ - *) or the end of the line, got {token.shown}.{hint}"

    def _settled(self, operand: Operand) -> str:
        """Returns the value of an operand, with a node for what it is scaled and shifted by."""
        if operand.value is None:
            message = "a value belongs here, not a number alone. Numbers scale and shift values: 0.5 * a, 1 - a."
            return self._note(Token("number", "", operand.column), message)
        node = operand.node
        return operand.value if node is None else self._emit(node)

    def _expression(self) -> Operand:
        """Reads sums of products; one loop for both, so that long chains need no deep recursion."""
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise MistakeError(self._next.column, f"nested deeper than {MAX_NESTING}. Give inner values names.")
        total: Operand | None = None
        primitive = ""
        product = self._operand()
        while True:
            symbol = self._next.text
            if symbol == "*":
                self._take()
                factor = self._operand()
                product = product.times(factor) or self._binary("mul", product, factor)
                continue
            if total is None:
                total = product
            else:
                sign = 1 if primitive == "add" else -1
                total = total.plus(product, sign) or self._binary(primitive, total, product)
            if symbol not in _SUMS:
                self._nesting -= 1
                return total
            self._take()
            primitive = _SUMS[symbol]
            product = self._operand()

    def _binary(self, primitive: str, left: Operand, right: Operand) -> Operand:
        return operand_of_value(self._emit(Node(primitive, (self._settled(left), self._settled(right)))))

    def _operand(self) -> Operand:
        is_negative = False
        while self._next.text == "-":
            self._take()
            is_negative = not is_negative
        operand = self._unsigned_operand()
        return operand.negated() if is_negative else operand

    def _unsigned_operand(self) -> Operand:
        token = self._take()
        if token.text == "(":
            operand = self._expression()
            self._close(token)
            return operand
        if token.kind == "number":
            return operand_of_number(token)
        if token.kind == "name":
            return operand_of_value(self._call(token) if self._next.text == "(" else self._lookup(token))
        self._position -= 1
        raise MistakeError(token.column, _no_operand(token))

    def _close(self, opening: Token) -> None:
        if self._next.text != ")":
            expected = f"expected ')' for the '(' in column {opening.column}, got {self._next.shown}."
            hint = " An equation stands on one line." if self._next.kind == "end" else ""
            raise MistakeError(self._next.column, expected + hint)
        self._take()

    def _lookup(self, token: Token) -> str:
        if token.text in PRIMITIVES:
            return self._note(token, _bare_primitive(token.text))
        if token.text not in self._values:
            return self._note(token, unknown("name", token.text, self._values))
        value = self._values[token.text]
        return INPUT if value is None else value  # a name whose own line is broken was reported there

    def _call(self, function: Token) -> str:
        opening = self._take()
        operands: list[str] = []
        keywords: dict[str, bool | float | str] = {}
        while self._next.text != ")":
            if self._next.kind == "name" and self._tokens[self._position + 1].text == "=":
                self._keyword(function, keywords, len(operands))
            elif keywords:
                raise MistakeError(self._next.column, "operands stand before keywords: linear(x, h, bias=no).")
            else:
                operands.append(self._settled(self._expression()))
            if self._next.text != ",":
                break
            self._take()
        self._close(opening)
        if function.text not in FUNCTIONS:
            return self._note(function, self._not_callable(function.text))
        if function.text == "linear":
            return self._linear(function, operands, keywords)
        if len(operands) != 1:
            message = f"'{function.text}' takes 1 operand, got {len(operands)}. Write {function.text}(a)."
            return self._note(function, message)
        if function.text == "peephole":
            diagonal, weights = float(keywords.get("diagonal", 0.0)), str(keywords.get("name", ""))
            return self._emit(Node("peephole", (operands[0],), diagonal, weights=weights))
        return self._emit(Node(function.text, (operands[0],)))

    def _not_callable(self, name: str) -> str:
        if name in _OPERATORS:
            return f"'{name}' is written with {_OPERATORS[name]}."
        if name in self._values:
            return f"'{name}' is a value, no function. For a product write '{name} * (…)'."
        if name in _OTHER_SPELLINGS:
            return f"unknown function '{name}'. Write '{_OTHER_SPELLINGS[name]}'."
        return unknown("function", name, FUNCTIONS)

    def _keyword(self, function: Token, keywords: dict[str, bool | float | str], num_operands: int) -> None:
        keyword = self._take()
        self._take()
        if function.text not in FUNCTIONS:
            raise MistakeError(function.column, self._not_callable(function.text))
        known = _KEYWORDS.get(function.text, ())
        if not known:
            message = f"'{function.text}' takes no keywords; {' and '.join(map(repr, _KEYWORDS))} do."
            raise MistakeError(keyword.column, message)
        if keyword.text not in known:
            is_bias = keyword.text in _KEYWORDS["linear"]
            message = "'peephole' has no bias: that of the linear beside it does the same. Remove the keyword."
            raise MistakeError(keyword.column, message if is_bias else unknown("keyword", keyword.text, known))
        if keyword.text in keywords:
            raise MistakeError(keyword.column, f"'{keyword.text}' is given twice. Keep one.")
        if keyword.text == "bias":
            keywords["bias"] = self._yes_or_no()
        elif keyword.text == "name":
            keywords["name"] = self._weights_name(num_operands)
        else:
            keywords[keyword.text] = self._number(keyword.text)

    def _yes_or_no(self) -> bool:
        token = self._take()
        if token.text not in ("yes", "no"):
            self._position -= 1
            raise MistakeError(token.column, f"bias: expected yes or no, got {token.shown}.")
        return token.text == "yes"

    def _weights_name(self, num_operands: int) -> str:
        token = self._take()
        longest = f"{token.text}_{num_operands}" if num_operands > 1 else token.text
        if token.text in PRIMITIVES:
            raise MistakeError(token.column, f"name: '{token.text}' is the name of a primitive. Choose another.")
        if not is_name(token.text):
            self._position -= 1
            message = f"name: expected a name for the weights (letters, digits, underscore), got {token.shown}."
            raise MistakeError(token.column, message)
        if len(longest) > MAX_NAME:
            message = f"name: each operand has its own number behind the name, '{longest}', {len(longest)} characters:"
            raise MistakeError(token.column, f"{message} at most {MAX_NAME}. Shorten it.")
        return token.text

    def _number(self, keyword: str) -> float:
        column = self._next.column
        sign = -1.0 if self._next.text == "-" else 1.0
        if self._next.text == "-":
            self._take()
        token = self._take()
        if token.kind != "number":
            self._position -= 1
            raise MistakeError(token.column, f"{keyword}: expected a number such as 0.9, got {token.shown}.")
        try:
            return checked_constant(sign * float(token.text), column, token.text)
        except MistakeError as mistake:
            raise MistakeError(column, f"{keyword}: {mistake.message}") from None

    def _linear(self, function: Token, operands: list[str], keywords: Mapping[str, bool | float | str]) -> str:
        """Emits one matrix for each operand, the bias on the first, and their sum."""
        if not operands:
            return self._note(function, "'linear' takes at least 1 operand, got 0. Write linear(x).")
        bias = bool(keywords.get("bias", True))
        bias_init = float(keywords.get("bias_init", 0.0))
        name = str(keywords.get("name", ""))
        if bias_init and not bias:
            return self._note(function, "bias_init without a bias. Remove bias_init or bias=no.")
        if len(operands) > 1 and "diagonal" in keywords:
            message = "diagonal belongs to one matrix, this 'linear' makes {}. Write linear(a, diagonal=…) + linear(b)."
            return self._note(function, message.format(len(operands)))
        total = ""
        for number, operand in enumerate(operands, start=1):
            first = number == 1
            weights = f"{name}_{number}" if name and len(operands) > 1 else name
            diagonal = float(keywords.get("diagonal", 0.0))
            matrix = Node("linear", (operand,), diagonal, bias and first, bias_init if first else 0.0, weights)
            part = self._emit(matrix)
            total = part if first else self._emit(Node("add", (total, part)))
        return total


def unknown(what: str, name: str, known: Collection[str]) -> str:
    """Returns the message for a word that means nothing here, with the nearest one that does."""
    listed = sorted(known)
    close = get_close_matches(name[:64], listed[:1000], n=1)  # comparing is slow, and no real cell has more names
    hint = f" Did you mean '{close[0]}'?" if close else ""
    shown = ", ".join(listed[:20]) + (", …" if len(listed) > 20 else "")
    return f"unknown {what} '{name[:80]}'.{hint} Known here: {shown}."


def _bare_primitive(name: str) -> str:
    if name in _OPERATORS:
        return f"'{name}' is written with {_OPERATORS[name]}."
    return f"'{name}' is a function and takes an operand: {name}(x)."


def _no_operand(token: Token) -> str:
    if token.text == "*":
        return "expected a value, got '*'. There are no powers: write 'a * a'."
    return f"expected a value (a name, a number, a function or a parenthesis), got {token.shown}."
