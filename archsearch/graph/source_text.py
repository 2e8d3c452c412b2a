"""Lines of equations cut into tokens that know their place, and mistakes that show it."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

# digits of ASCII alone: Python's \d and float know those of every script
_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_SIGNED_NUMBER = re.compile(rf"[+-]?{_NUMBER}")
_TOKEN = re.compile(
    r"(?P<space>\s+)"
    rf"|(?P<number>{_NUMBER})"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*'?)"
    r"|(?P<symbol>[-+*(),=:])"
    r"|(?P<unknown>.)"
)
# What papers, keyboards and word processors write in place of the plain characters.
_APOSTROPHES = "’‘′ʼ´`"
_SPELLINGS = {
    **dict.fromkeys("×·⋅∙⊙⊗∘∗", "'*'"),
    **dict.fromkeys("−–—‐‑", "'-'"),
    **dict.fromkeys("σ𝜎", "sigmoid(…)"),
}
_EXCERPT = 100  # characters of an offending line that a message shows


@dataclass(frozen=True, slots=True)
class Token:
    """One word of an equation.

    Attributes:
        kind: `number`, `name`, `symbol`, `unknown`, or `end` behind the last word of a line.
        text: As written, with the prime of a primed name.
        column: Of its first character, counted from 1.
    """

    kind: str
    text: str
    column: int

    @property
    def shown(self) -> str:
        """The token as a message names it."""
        return "the end of the line" if self.kind == "end" else f"{self.text!r}"


class MistakeError(Exception):
    """A place in a line that cannot be read; never leaves the reader of equations."""

    def __init__(self, column: int, message: str) -> None:
        self.column = column
        self.message = message
        super().__init__(message)


def tokenize(line: str) -> tuple[Token, ...]:
    """Cuts a line into tokens, comments and spaces dropped; the last one has kind `end`."""
    code = line.partition("#")[0].rstrip()
    tokens = [
        Token(str(match.lastgroup), match.group(), match.start() + 1)
        for match in _TOKEN.finditer(code)
        if match.lastgroup != "space"
    ]
    return (*tokens, Token("end", "", len(code) + 1))


def straighten(line: str) -> tuple[str, MistakeError | None]:
    """Returns a line with plain apostrophes, each in its old column, and a mistake at the first that was none."""
    code = line.partition("#")[0]
    column = next((column for column, character in enumerate(code, start=1) if character in _APOSTROPHES), None)
    if column is None:
        return line, None
    mistake = MistakeError(column, f"{_shown(code[column - 1])} is no prime. Write h' with a plain apostrophe.")
    return code.translate(dict.fromkeys(map(ord, _APOSTROPHES), "'")), mistake


def is_number(text: str) -> bool:
    """Tells whether a text is one number as equations write it, with or without a sign."""
    return _SIGNED_NUMBER.fullmatch(text) is not None


def check_characters(tokens: Sequence[Token]) -> None:
    """Goes through a line for characters that mean nothing in equations.

    Raises:
        MistakeError: There is one; the first is named.
    """
    for token in tokens:
        if token.kind == "unknown":
            raise MistakeError(token.column, _unknown_character(token.text))


def _unknown_character(character: str) -> str:
    if character == "'":
        return "a prime stands directly behind a state's name, once: h'."
    if character == "/":
        return "'/' is not known. A cell can add, subtract and multiply: + - *."
    if character in _SPELLINGS:
        return f"{_shown(character)} is not known here. Write {_SPELLINGS[character]}."
    return f"{_shown(character)} is not known here. Equations use names, + - * ( ) , = and # for comments."


def point_at(line_number: int, line: str, mistake: MistakeError) -> str:
    """Returns the message with its place, the offending line and a caret under the place."""
    start = max(0, mistake.column - 1 - _EXCERPT // 2) if len(line) > _EXCERPT else 0
    excerpt = line[start : start + _EXCERPT]
    shown = "".join(c if _takes_one_place(c) else " " if c.isspace() else "?" for c in excerpt)
    caret = " " * (mistake.column - 1 - start) + "^"
    return f"line {line_number}, column {mistake.column}: {mistake.message}\n    {shown}\n    {caret}"


def _shown(character: str) -> str:
    return f"'{character}'" if _takes_one_place(character) else ascii(character)


def _takes_one_place(character: str) -> bool:
    """Tells whether a terminal shows a character, in one column and from left to right, so that carets fit."""
    return (
        character.isprintable()
        and not unicodedata.combining(character)
        and unicodedata.east_asian_width(character) not in {"W", "F"}
        and unicodedata.bidirectional(character) not in {"R", "AL"}
    )
