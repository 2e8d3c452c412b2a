"""Arithmetic: sums and differences with distractor letters in between."""

import random
import string
from dataclasses import dataclass

from archsearch.trials.problems import Problem
from archsearch.trials.streams import StreamTask

SYMBOLS = string.ascii_lowercase + string.digits + "+-=."
NUMBERS = bytes.maketrans(SYMBOLS.encode(), bytes(range(len(SYMBOLS))))


@dataclass(frozen=True)
class Arithmetic(StreamTask):
    """Reads a sum or difference with letters strewn in, then writes the result.

    `3e36d9-h1h39f94eeh43keg3c=-13991064.` is 3369-13994433. The letters mean nothing. The network reads until `=`, then
    gives the answer character by character, reading each true character before the next one is asked for; `.` ends it
    and the next problem follows at once. Scored are the answer's characters, its sign and `.` included:

        5--12=17.     scored: 17.        (5 minus -12)
        -a8+b3=-5.    scored: -5.

    The vocabulary always has all 40 symbols: 26 letters, 10 digits, `+ - = .`. The ceiling is 1.

    Drawn uniformly (our choices; the paper gives none of these): the number of digits of each operand, from 1 to
    `max_digits`; the operand among the numbers with so many digits (no leading zeros); its sign (zero has none); plus
    or minus; the number of letters in each gap between two successive input characters, `=` included, from 0 to
    `max_distractors` (the paper's example has 0 to 3). The split is told by the sum without its letters, so that a
    held-out sum was never seen in training with other letters.

    Source: Jozefowicz 2015, sec. 3.5; R34.

    Attributes:
        max_digits: Of each operand.
        max_distractors: Letters in one gap.
    """

    max_digits: int = 8
    max_distractors: int = 3

    def __post_init__(self) -> None:
        """Checks the fields.

        Raises:
            ConfigError: A field has a value that cannot work.
        """
        self.check_integer("max_digits", 1, 1_000)
        self.check_integer("max_distractors", 0, 100)
        super().__post_init__()

    @property
    def symbols(self) -> tuple[str, ...]:
        """Letters, digits and `+ - = .`."""
        return tuple(SYMBOLS)

    def draw(self, rng: random.Random) -> Problem:
        """Returns a random sum or difference of any split."""
        left, right = self._operand(rng), self._operand(rng)
        if rng.random() < 0.5:
            asked, result = f"{left}+{right}=", left + right
        else:
            asked, result = f"{left}-{right}=", left - right
        answer = f"{result}."
        read = self._with_distractors(asked, rng) if self.max_distractors else asked
        symbols = f"{read}{answer}".encode().translate(NUMBERS)
        scored = bytes(len(read)) + b"\1" * len(answer)
        return Problem(symbols, scored, guesses=symbols, identity=asked.encode())

    def _operand(self, rng: random.Random) -> int:
        num_digits = rng.randint(1, self.max_digits)
        size = rng.randrange(0 if num_digits == 1 else 10 ** (num_digits - 1), 10**num_digits)
        return size if rng.random() < 0.5 else -size

    def _with_distractors(self, text: str, rng: random.Random) -> str:
        counts = rng.choices(range(self.max_distractors + 1), k=len(text) - 1)
        letters = iter(rng.choices(string.ascii_lowercase, k=sum(counts)))
        gaps = ("".join(next(letters) for _ in range(count)) for count in counts)
        return text[0] + "".join(gap + character for gap, character in zip(gaps, text[1:], strict=True))
