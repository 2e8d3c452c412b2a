"""Words: a generated word-level language, so that a search needs no download."""

import bisect
import functools
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, TypeAlias

from archsearch.seeds import scalar_generator
from archsearch.trials.problems import Problem
from archsearch.trials.streams import StreamTask

Item: TypeAlias = tuple[str, int, int]  # kind, gender or verb, depth
Stack: TypeAlias = tuple[Item, ...]  # what a paragraph still owes, the next item first

STOP = 0  # the number of "."
CONSONANTS, VOWELS, GENDER_ENDINGS = "bdfgklmnprstvz", "aeiou", "aoiu"
NUM_DETERMINERS, NUM_PREPOSITIONS, NUM_PARTICLES = 2, 6, 6
PRONOUN, ADJECTIVE, PREPOSITION, RELATIVE, TRANSITIVE, LAST_SENTENCE = 0.4, 0.2, 0.15, 0.15, 0.5, 0.2


@dataclass(frozen=True)
class Words(StreamTask):
    """Predicts the next word of paragraphs in an invented language.

    The language is drawn once: its words, their genders, its topics. In the grammar, `g` is a gender, `d` counts
    nesting, and a mark in brackets is the probability of what may be missing:

        paragraph    -> heading sentence sentence ...        each sentence is the last with probability 0.2
        sentence     -> nouns(g, 0) clause(g) "."
                      | pronoun(g) clause(g) "."  [0.4]      g as in the sentence before; never the first
        nouns(g, d)  -> determiner(g) adjective [0.2] noun(g) modifier(d) [0.3, none at the largest depth]
        modifier(d)  -> preposition nouns(any, d + 1)
                      | relative nouns(g', d + 1) verb(g') particle
        clause(g)    -> verb(g) nouns(any, 0) particle       the object only if the verb takes one: half of them do

    For example, genders being told by the endings -a, -o, -i:

        vese ta bisota re lo geno nimalo fite dimera vute .
        heading the dog which the big cat chases up runs off .      (dog and runs: -a; cat, big and chases: -o)

    What takes a memory longer than two words: a verb agrees with its subject, which nested parts separate from it; each
    verb has its own particle, which ends its clause; pronouns agree with the subject of the sentence before; and the
    heading tells the topic, which has its own order of nouns and verbs. Within a class of words the r-th has weight 1/r
    (Zipf); genders, headings, and the two kinds of modifier are equally likely.

    Every position is scored. A paragraph is the problem whose hash tells the split. The words so far always tell what
    is still owed, so the ceiling is exact: the likeliest word, knowing the grammar, the topic and all that is open.
    All numbers are our choice.

    Attributes:
        num_topics: Each with a heading of its own.
        num_genders: Of nouns, and forms of each verb.
        nouns_per_gender: Nouns; each topic has them in another order.
        num_verbs: Verbs, likewise; each in `num_genders` forms.
        num_adjectives: Adjectives.
        max_depth: How deep nouns may nest.
        language: Number of the language; another number is another language.
    """

    separator: ClassVar[str] = " "

    num_topics: int = 12
    num_genders: int = 4
    nouns_per_gender: int = 60
    num_verbs: int = 60
    num_adjectives: int = 30
    max_depth: int = 2
    language: int = 0

    def __post_init__(self) -> None:
        """Checks the fields.

        Raises:
            ConfigError: A field has a value that cannot work.
        """
        for size in ("num_topics", "nouns_per_gender", "num_verbs", "num_adjectives"):
            self.check_integer(size, 1, 200)
        self.check_integer("num_genders", 1, len(GENDER_ENDINGS))
        self.check_integer("max_depth", 0, 10)
        self.check_integer("language", 0, 2**63 - 1)
        super().__post_init__()

    @property
    def symbols(self) -> tuple[str, ...]:
        """All words, `.` first."""
        return tuple(self.grammar.words)

    @property
    def grammar(self) -> "Grammar":
        """The language of this task."""
        sizes = (self.num_topics, self.num_genders, self.nouns_per_gender, self.num_verbs, self.num_adjectives)
        return _grammar(sizes, self.max_depth, self.language)

    def draw(self, rng: random.Random) -> Problem:
        """Returns a random paragraph of any split, with the best guess for each word."""
        grammar = self.grammar
        topic = rng.randrange(self.num_topics)
        symbols = [grammar.headings[topic]]
        # a further sentence was likelier than any heading, so the best guess was wrong; `.` is a wrong one, too
        guesses = [STOP]
        stack: list[Item] = [("sentence", -1, 0)]  # the next item last
        choices, draw, find = grammar.choices[topic], rng.random, bisect.bisect_right  # most of a batch's time is here
        while symbols[-1] != STOP or draw() >= LAST_SENTENCE:
            item = stack.pop()
            key = (item, stack[-1]) if item[0] == "modifier" else item
            thresholds, outcomes, likeliest = choices.get(key) or grammar.choice(topic, key)
            word, owed, is_missing = outcomes[find(thresholds, draw())]
            symbols.append(word)
            guesses.append(likeliest)
            if is_missing:
                stack.pop()
            stack += owed
        identity = " ".join([grammar.numbers[symbol] for symbol in symbols]).encode()
        return Problem(symbols, b"\1" * len(symbols), guesses, identity=identity)


class Option(NamedTuple):
    """A word that may come next.

    Attributes:
        word: Its number.
        probability: Among all that may come.
        owed: What must follow because of it.
        num_used: Owed items that it takes the place of.
    """

    word: int
    probability: float
    owed: Stack
    num_used: int = 1


class Choice(NamedTuple):
    """All words that may come next, ready for drawing.

    Attributes:
        thresholds: Where the probabilities of the words end, added up, but for the last one's.
        outcomes: Of each word, its number, what it owes, the next item last, and whether a modifier is missing for it.
        likeliest: The number of the likeliest word.
    """

    thresholds: Sequence[float]
    outcomes: Sequence[tuple[int, Stack, bool]]
    likeliest: int


class Grammar:
    """The words of one language, and what may follow what.

    Attributes:
        words: In the order of their numbers; the others hold such numbers.
        nouns: For each topic and gender, the commonest first.
        verb_order: For each topic, the commonest verb first.
        verbs: For each verb, its form for each gender.
        numbers: Of the words, as texts.
        choices: For each topic, what may come next, as far as it was asked for; see `choice`.
    """

    def __init__(self, sizes: Sequence[int], max_depth: int, language: int) -> None:
        num_topics, num_genders, num_nouns, num_verbs, num_adjectives = sizes
        rng = scalar_generator("language", language, *sizes)
        self.max_depth = max_depth
        self.words = ["."]
        endings = GENDER_ENDINGS[:num_genders]
        self.headings = self._invent(rng, num_topics, 1, "e")
        self.relative = self._invent(rng, 1, 0, "e")[0]
        self.prepositions = self._invent(rng, NUM_PREPOSITIONS, 0, "e")
        self.particles = self._invent(rng, NUM_PARTICLES, 1, "e")
        self.pronouns = [self._invent(rng, 1, 0, ending)[0] for ending in endings]
        self.determiners = [self._invent(rng, NUM_DETERMINERS, 0, ending) for ending in endings]
        self.adjectives = self._invent(rng, num_adjectives, 2, "e")
        nouns = [self._invent(rng, num_nouns, 2, ending) for ending in endings]
        forms = [self._invent(rng, num_verbs, 2, ending) for ending in endings]
        self.verbs = list(zip(*forms, strict=True))
        self.nouns = [[rng.sample(some, num_nouns) for some in nouns] for _ in range(num_topics)]
        self.verb_order = [rng.sample(range(num_verbs), num_verbs) for _ in range(num_topics)]
        self.particle = [rng.choice(self.particles) for _ in range(num_verbs)]
        self.is_transitive = [rng.random() < TRANSITIVE for _ in range(num_verbs)]
        self.numbers = [str(number) for number in range(len(self.words))]
        self.choices: list[dict[Stack | Item, Choice]] = [{} for _ in range(num_topics)]

    def choice(self, topic: int, key: Stack | Item) -> Choice:
        """Returns all words that may come next; remembered in `choices`.

        Args:
            topic: Of the paragraph.
            key: The item owed next; for a modifier, which may be missing, with the item below it, which never is.
        """
        options = self.options(topic, key if isinstance(key[0], tuple) else (key,))
        thresholds = list(itertools.accumulate(option.probability for option in options))
        likeliest = max(options, key=lambda option: option.probability).word
        outcomes = [(option.word, option.owed[::-1], option.num_used == 2) for option in options]
        choice = self.choices[topic][key] = Choice(thresholds[:-1], outcomes, likeliest)
        return choice

    def options(self, topic: int, stack: Stack) -> list[Option]:
        """Returns every word that may come next, given the items that are owed."""
        kind, number, depth = stack[0]
        if kind == "modifier":
            return self._modifiers(topic, depth, stack[1:])
        if kind == "particle":
            return [Option(number, 1.0, ())]
        if kind == "end":
            return [Option(STOP, 1.0, (("sentence", number, 0),))]
        if kind in ("verb", "verb without object"):
            return self._verbs(topic, number, kind == "verb")
        if kind == "adjective or noun":
            adjectives = _zipf(self.adjectives, (("noun", number, depth),), ADJECTIVE)
            return adjectives + _zipf(self.nouns[topic][number], (("modifier", -1, depth),), 1 - ADJECTIVE)
        if kind == "noun":
            return _zipf(self.nouns[topic][number], (("modifier", -1, depth),))
        return self._beginnings(kind, number, depth)

    def _beginnings(self, kind: str, previous_gender: int, depth: int) -> list[Option]:
        """Returns the words that may begin a sentence, or nouns within one."""
        pronouns: list[Option] = []
        if kind == "sentence" and previous_gender >= 0:
            owed = (("verb", previous_gender, 0), ("end", previous_gender, 0))
            pronouns = [Option(self.pronouns[previous_gender], PRONOUN, owed)]
        weight = (1 - PRONOUN if pronouns else 1.0) / len(self.determiners)
        options = pronouns
        for gender, determiners in enumerate(self.determiners):
            owed_by = {
                "sentence": (("verb", gender, 0), ("end", gender, 0)),
                "relative clause": (("verb without object", gender, 0),),
                "nouns": (),
            }
            options = options + _zipf(determiners, (("adjective or noun", gender, depth), *owed_by[kind]), weight)
        return options

    def _modifiers(self, topic: int, depth: int, below: Stack) -> list[Option]:
        """Returns the words that may begin a modifier, and those that may come if there is none."""
        if depth == self.max_depth:
            return [option._replace(num_used=2) for option in self.options(topic, below)]
        prepositions = _zipf(self.prepositions, (("nouns", -1, depth + 1),), PREPOSITION)
        relative = Option(self.relative, RELATIVE, (("relative clause", -1, depth + 1),))
        plain = 1 - PREPOSITION - RELATIVE
        without = self.options(topic, below)
        rest = [option._replace(probability=plain * option.probability, num_used=2) for option in without]
        return [*prepositions, relative, *rest]

    def _verbs(self, topic: int, gender: int, may_have_object: bool) -> list[Option]:
        options = []
        for rank, verb in enumerate(self.verb_order[topic]):
            particle: Stack = (("particle", self.particle[verb], 0),)
            has_object = may_have_object and self.is_transitive[verb]
            owed = (("nouns", -1, 0), *particle) if has_object else particle
            options.append(Option(self.verbs[verb][gender], _zipf_weights(len(self.verbs))[rank], owed))
        return options

    def _invent(self, rng: random.Random, num_words: int, num_syllables: int, ending: str) -> list[int]:
        """Adds new words and returns their numbers."""
        first = len(self.words)
        while len(self.words) < first + num_words:
            syllables = (rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(num_syllables))
            word = "".join(syllables) + rng.choice(CONSONANTS) + ending
            if word not in self.words:
                self.words.append(word)
        return list(range(first, first + num_words))


@functools.lru_cache(maxsize=16)
def _grammar(sizes: tuple[int, ...], max_depth: int, language: int) -> Grammar:
    return Grammar(sizes, max_depth, language)


@functools.cache
def _zipf_weights(num_words: int) -> list[float]:
    total = sum(1 / rank for rank in range(1, num_words + 1))
    return [1 / (rank * total) for rank in range(1, num_words + 1)]


def _zipf(words: Sequence[int], owed: Stack, weight: float = 1.0) -> list[Option]:
    shares = zip(words, _zipf_weights(len(words)), strict=True)
    return [Option(word, weight * share, owed) for word, share in shares]
