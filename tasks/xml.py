"""XML: random nested tags, predicted character by character."""

import functools
import random
import string
from dataclasses import dataclass

from archsearch.trials.problems import Problem
from archsearch.trials.streams import StreamTask


@dataclass(frozen=True)
class Xml(StreamTask):
    """Predicts the next character of documents that consist of nested random tags.

    A document is made in iterations. Each, with probability 1/2, or always once 50 have passed, closes the tag opened
    last, or ends the document if none is open; otherwise it opens a new tag with a random name of 2 to 10 lowercase
    letters. With names of up to three letters:

        <ab><xyz></xyz></ab>        open, open, close, close, end
        <ab></ab><q b…              never: a name has letters only
        <ab></ab><qb></qb>          one document, or two: nothing stands between documents

    Half of all documents would be empty; these are skipped. The length of a name and its letters are drawn uniformly
    (the paper says random). Every position is scored, documents follow each other without a gap, and a document is the
    problem whose hash tells the split.

    The ceiling is a predictor that knows the rule and the open tags: it is sure of `<` after `>`, of closing names, and
    of a letter after `<` if nothing is open; in an opening name it takes the likelier of `>` and one letter; and after
    `<` it says `/` if a tag is open, as even odds for `/` beat each single letter. It never needs to know how many
    iterations have passed. What it cannot know are the letters of new names and when a tag closes.

    Source: Jozefowicz 2015, sec. 3.5; R35.

    Attributes:
        num_letters: Letters that names are made of; 26 in the paper.
        min_tag: Shortest name.
        max_tag: Longest name.
        max_iterations: After which tags are only closed.
    """

    num_letters: int = 26
    min_tag: int = 2
    max_tag: int = 10
    max_iterations: int = 50

    def __post_init__(self) -> None:
        """Checks the fields.

        Raises:
            ConfigError: A field has a value that cannot work.
        """
        self.check_integer("num_letters", 1, 26)
        self.check_integer("max_tag", 1, 1_000)
        self.check_integer("min_tag", 1, self.max_tag)
        self.check_integer("max_iterations", 1, 10_000)
        super().__post_init__()

    @property
    def symbols(self) -> tuple[str, ...]:
        """The letters in use and `< / >`."""
        return (*string.ascii_lowercase[: self.num_letters], "<", "/", ">")

    def draw(self, rng: random.Random) -> Problem:
        """Returns a random document of any split, with the best guess for each character."""
        text: list[str] = []
        guesses: list[str] = []
        names: list[str] = []
        letters = self.symbols[: self.num_letters]
        # a document that is not empty begins with an open tag: starting there skips the empty ones
        opens = True
        for iteration in range(1, 2 * self.max_iterations + 1):
            if opens:
                name = "".join(rng.choices(letters, k=rng.randint(self.min_tag, self.max_tag)))
                text.append(f"<{name}>")
                guesses.append(("</" if names else "<a") + self._name_guesses[: len(name)])
                names.append(name)
            elif names:
                closing = f"</{names.pop()}>"
                text.append(closing)
                guesses.append(closing)
            else:
                break
            opens = iteration < self.max_iterations and rng.random() < 0.5
        symbols = "".join(text).encode()
        numbers = self._numbers
        return Problem(
            symbols=symbols.translate(numbers),
            scored=b"\1" * len(symbols),
            guesses="".join(guesses).encode().translate(numbers),
            identity=symbols,
        )

    @functools.cached_property
    def _name_guesses(self) -> str:
        """The best guess after 1, 2, … letters of an opening name: `>` or a letter, one being as good as another."""
        guesses = ""
        for length in range(1, self.max_tag + 1):
            ends = 1 / (self.max_tag - length + 1) if length >= self.min_tag else 0.0
            guesses += ">" if ends >= (1 - ends) / self.num_letters else "a"
        return guesses

    @functools.cached_property
    def _numbers(self) -> bytes:
        symbols = "".join(self.symbols).encode()
        return bytes.maketrans(symbols, bytes(range(len(symbols))))
