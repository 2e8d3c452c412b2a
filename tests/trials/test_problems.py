import itertools
from collections import Counter

import pytest

from archsearch.errors import ConfigError
from archsearch.trials.problems import Problem, of_split, split_of


def test_a_tenth_each_is_held_out():
    counts = Counter(split_of(str(number).encode()) for number in range(10_000))
    assert counts["training"] == pytest.approx(8000, abs=150)
    assert counts["validation"] == pytest.approx(1000, abs=100)
    assert counts["test"] == pytest.approx(1000, abs=100)


def test_split_is_the_same_on_every_machine():
    texts = {"training": "0+1=", "test": "1+1=", "validation": "50+1="}
    assert all(split_of(text.encode()) == split for split, text in texts.items())


def test_only_problems_of_the_split_pass():
    problems = (Problem([n], [1], [n], str(n).encode()) for n in itertools.count())
    passed = list(itertools.islice(of_split(problems, "test", "any"), 20))
    assert all(split_of(problem.identity) == "test" for problem in passed)
    assert [p.symbols[0] for p in passed] == sorted(p.symbols[0] for p in passed)


def test_too_few_problems_are_reported():
    identity = next(str(n).encode() for n in itertools.count() if split_of(str(n).encode()) == "training")
    with pytest.raises(ConfigError, match=r"task tiny: expected enough different problems .* none for test"):
        next(of_split(itertools.repeat(Problem([0], [1], [0], identity)), "test", "tiny"))
