import collections
import contextlib
import itertools

import numpy as np
import pytest

from archsearch.errors import ConfigError
from archsearch.seeds import scalar_generator
from archsearch.tasks.words import Words

SMALL = {"num_topics": 2, "num_genders": 2, "nouns_per_gender": 5, "num_verbs": 6, "num_adjectives": 3}


def zipf(words, weight=1.0):
    total = sum(1 / rank for rank in range(1, len(words) + 1))
    return {word: weight / rank / total for rank, word in enumerate(words, 1)}


def scaled(distribution, weight):
    return {word: weight * share for word, share in distribution.items()}


class Reader:
    """Reads one paragraph by recursive descent, as the docstring of `Words` tells it, and foretells each word."""

    def __init__(self, task, words):
        self.grammar, self.max_depth = task.grammar, task.max_depth
        self.words, self.position = words, 0
        self.foretold = []
        self.topic = self.grammar.headings.index(words[0])
        self.genders = range(task.num_genders)

    def take(self, distribution):
        assert sum(distribution.values()) == pytest.approx(1)
        self.foretold.append(distribution)
        self.position += 1
        word = self.words[self.position]
        assert word in distribution
        return word

    def paragraph(self):
        previous = None
        while self.position < len(self.words) - 1:
            previous = self.sentence(previous)

    def beginning(self):
        return {
            word: p
            for g in self.genders
            for word, p in zipf(self.grammar.determiners[g], 1 / len(self.genders)).items()
        }

    def sentence(self, previous):
        if previous is None:
            word = self.take(self.beginning())
        else:
            pronoun = self.grammar.pronouns[previous]
            word = self.take({pronoun: 0.4, **scaled(self.beginning(), 0.6)})
        if previous is not None and word == pronoun:
            gender, verb = previous, self.take(self.verb_forms(previous))
        else:
            gender, verb = self.rest_of_nouns(word, 0, self.verb_forms)
        assert self.clause_end(gender, verb, may_have_object=True) == 0
        return gender

    def verb_forms(self, gender):
        return zipf([self.grammar.verbs[verb][gender] for verb in self.grammar.verb_order[self.topic]])

    def clause_end(self, gender, form, may_have_object):
        verb = [forms[gender] for forms in self.grammar.verbs].index(form)
        particle = {self.grammar.particle[verb]: 1.0}
        if may_have_object and self.grammar.is_transitive[verb]:
            _, word = self.rest_of_nouns(self.take(self.beginning()), 0, lambda _: particle)
        else:
            word = self.take(particle)
        assert word in particle
        return self.take({0: 1.0}) if may_have_object else None

    def rest_of_nouns(self, determiner, depth, after):
        """Reads on from a determiner to the first word beyond; returns the gender and that word."""
        gender = next(g for g in self.genders if determiner in self.grammar.determiners[g])
        nouns = zipf(self.grammar.nouns[self.topic][gender])
        word = self.take({**zipf(self.grammar.adjectives, 0.2), **scaled(nouns, 0.8)})
        if word in self.grammar.adjectives:
            self.take(nouns)
        beyond = after(gender)
        if depth == self.max_depth:
            return gender, self.take(beyond)
        relative = self.grammar.relative
        word = self.take({**zipf(self.grammar.prepositions, 0.15), relative: 0.15, **scaled(beyond, 0.7)})
        if word in self.grammar.prepositions:
            _, word = self.rest_of_nouns(self.take(self.beginning()), depth + 1, lambda _: beyond)
        elif word == relative:
            inner, verb = self.rest_of_nouns(self.take(self.beginning()), depth + 1, self.verb_forms)
            self.clause_end(inner, verb, may_have_object=False)
            word = self.take(beyond)
        return gender, word


@pytest.mark.parametrize("fields", [{}, SMALL, {**SMALL, "max_depth": 0}, {**SMALL, "max_depth": 4, "num_genders": 1}])
def test_paragraphs_follow_the_grammar_and_guesses_are_the_likeliest(fields):
    """The ceiling's guess is the likeliest word of a predictor that reads the words before it, and nothing else."""
    task = Words("words", **fields)
    for problem in itertools.islice(task.problems("training", scalar_generator(1)), 60):
        reader = Reader(task, problem.symbols)
        reader.paragraph()
        assert len(reader.foretold) == len(problem.symbols) - 1
        for distribution, guess in zip(reader.foretold, problem.guesses[1:], strict=True):
            assert distribution[guess] == pytest.approx(max(distribution.values()))


def test_words_come_as_often_as_foretold():
    """The mean probability of the likeliest word is how often it comes."""
    task = Words("words", **SMALL)
    promised, kept = [], []
    for problem in itertools.islice(task.problems("training", scalar_generator(2)), 500):
        reader = Reader(task, problem.symbols)
        reader.paragraph()
        promised += [max(distribution.values()) for distribution in reader.foretold]
        kept += [a == b for a, b in zip(problem.symbols[1:], problem.guesses[1:], strict=True)]
    assert np.mean(kept) == pytest.approx(np.mean(promised), abs=0.01)


def test_ceiling_counts_the_guesses_over_the_validation_streams():
    """Reads the streams as they come; a heading counts as missed, and of equally likely words the first is taken."""
    task = Words("words", **SMALL, validation_size=2000)
    hits = total = 0
    batches = list(task.held_out("validation", 20, 35))
    for stream in range(20):
        words = [batches[0].inputs[0, stream], *(word for batch in batches for word in batch.targets[:, stream])]
        starts = [place for place, word in enumerate(words) if word in task.grammar.headings]
        assert starts[0] == 0
        for start, end in itertools.pairwise([*starts, len(words)]):
            reader = Reader(task, words[start:end])
            # the end of a stream may cut a paragraph
            with contextlib.suppress(IndexError):
                reader.paragraph()
            likeliest = [max(distribution, key=distribution.get) for distribution in reader.foretold]
            hits += sum(a == b for a, b in zip(likeliest, words[start + 1 : end], strict=False))
        total += len(words) - 1
    assert total == 2000
    assert task.ceiling() == pytest.approx(hits / total, abs=1e-12)


def test_a_thousand_words_at_most_and_zipf_s_law():
    task = Words("words")
    assert 200 <= len(task.symbols) <= 1000
    assert all(word == "." or word.isalpha() for word in task.symbols)
    nouns = set(task.grammar.nouns[0][0])
    counts = collections.Counter()
    for problem in itertools.islice(task.problems("training", scalar_generator(0)), 4000):
        if problem.symbols[0] == task.grammar.headings[0]:
            counts.update(word for word in problem.symbols if word in nouns)
    shares = [counts[word] / counts.total() for word in task.grammar.nouns[0][0]]
    assert shares[:5] == pytest.approx(list(zipf(range(60)).values())[:5], abs=0.025)


def test_topics_and_languages_differ():
    first, other = Words("words"), Words("words", language=1)
    assert first.grammar.nouns[0] != first.grammar.nouns[1]
    assert first.grammar.verb_order[0] != first.grammar.verb_order[1]
    assert first.symbols != other.symbols
    assert Words("words").symbols == first.symbols


def test_what_people_read():
    text = Words("words").decode(next(Words("words").problems("training", scalar_generator(0))).symbols)
    assert text.endswith(" .")
    assert "  " not in text


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_genders": 5}, "task words, num_genders: expected an integer from 1 to 4, got 5"),
        ({"num_verbs": 0}, "num_verbs"),
        ({"max_depth": -1}, "max_depth"),
        ({"language": "german"}, "language: expected an integer from 0 to [0-9]+, got 'german'"),
    ],
)
def test_impossible_fields_are_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        Words("words", **fields)
