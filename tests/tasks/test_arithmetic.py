import ast
import itertools
import re

import numpy as np
import pytest

from archsearch.errors import ConfigError
from archsearch.seeds import scalar_generator
from archsearch.tasks.arithmetic import Arithmetic


def problems_of_stream(task: Arithmetic, stream: int, num_batches: int, seed: int = 5) -> list[tuple[str, str]]:
    """Whole problems of a training stream: the text, and which characters are scored (x) or not (space)."""
    batches = list(itertools.islice(task.training(seed, 4, 35), num_batches))
    text = task.decode([batches[0].inputs[0, stream], *np.concatenate([b.targets[:, stream] for b in batches])])
    flags = "".join("x" if flag else " " for flag in [0, *np.concatenate([b.scored[:, stream] for b in batches])])
    ends = [0, *(match.end() for match in re.finditer(r"\.", text))]
    return [(text[a:b], flags[a:b]) for a, b in itertools.pairwise(ends)]


def answer(asked: str) -> int:
    """Adds up what is left of a question when the letters are left out."""
    left, sign, right = re.fullmatch(r"(-?\d+)([+-])(-?\d+)", re.sub("[a-z]", "", asked)).groups()
    left, right = ast.literal_eval(left), ast.literal_eval(right)
    return left + right if sign == "+" else left - right


@pytest.mark.parametrize(
    "fields", [{}, {"max_digits": 1, "max_distractors": 0}, {"max_digits": 3, "max_distractors": 1}]
)
def test_answers_are_right_and_scored(fields):
    """R34: letters aside, what is scored is the value of what was asked, `.` included."""
    task = Arithmetic("arithmetic", **fields)
    found = [problem for stream in range(4) for problem in problems_of_stream(task, stream, 60)]
    assert len(found) > 50
    for text, flags in found:
        asked, written = text.split("=")
        assert written == f"{answer(asked)}."
        assert flags == " " * (len(asked) + 1) + "x" * len(written)


def test_the_paper_s_example_is_such_a_problem():
    """R34: `3e36d9-h1h39f94eeh43keg3c=-13991064.` is 3369-13994433."""
    asked, written = "3e36d9-h1h39f94eeh43keg3c", "-13991064."
    assert f"{answer(asked)}." == written
    assert max(map(len, re.findall("[a-z]+", asked))) <= Arithmetic("arithmetic").max_distractors


def test_forty_symbols_whatever_the_difficulty():
    """R34: 26 lowercase letters, 10 digits and `+ - = .`."""
    for task in (Arithmetic("a"), Arithmetic("a", max_digits=1, max_distractors=0)):
        assert len(task.symbols) == 40
        assert set(task.symbols) == set("abcdefghijklmnopqrstuvwxyz0123456789+-=.")


def test_difficulty_bounds_digits_and_letters_and_reaches_them():
    """R34: operands of 1 to `max_digits` digits with either sign, gaps of 0 to `max_distractors` letters."""
    task = Arithmetic("arithmetic", max_digits=3, max_distractors=2)
    asked = [text.split("=")[0] + "=" for stream in range(4) for text, _ in problems_of_stream(task, stream, 200)]
    gaps = {len(gap) for text in asked for gap in re.split("[^a-z]", text)[1:-1]}
    assert gaps == {0, 1, 2}
    assert all(not text[0].isalpha() for text in asked)
    operands = [number for text in asked for number in re.findall(r"\d+", re.sub("[a-z]", "", text))]
    assert {len(number) for number in operands} == {1, 2, 3}
    assert not [number for number in operands if len(number) > 1 and number[0] == "0"]
    plain = [re.sub("[a-z]", "", text) for text in asked]
    assert not [text for text in plain if re.search(r"-0(?!\d)", text.replace("--", "-~")) and text.startswith("-0")]
    assert any(text.startswith("-") for text in plain)
    assert {sign for text in plain for sign in re.findall(r"\d([+-]-?)\d", text)} == {"+", "-", "+-", "--"}


def test_a_held_out_sum_is_never_trained_on_with_other_letters():
    task = Arithmetic("arithmetic", max_digits=1)

    def sums(split, count):
        problems = itertools.islice(task.problems(split, scalar_generator(0)), count)
        return {re.sub("[a-z]", "", task.decode(problem.symbols)) for problem in problems}

    training, validation, test = sums("training", 12_000), sums("validation", 1500), sums("test", 1500)
    assert not training & (validation | test)
    assert not validation & test
    assert len(training | validation | test) == 19 * 19 * 2


def test_ceiling_is_one():
    assert Arithmetic("arithmetic").ceiling() == 1.0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_digits": 0}, "task arithmetic, max_digits: expected an integer from 1 to 1000, got 0. Set task.arith"),
        ({"max_distractors": -1}, "max_distractors: expected an integer from 0 to 100, got -1"),
        ({"max_digits": 2.5}, "max_digits: expected an integer"),
        ({"validation_size": 0}, "validation_size"),
        ({"epoch": 0}, "epoch"),
    ],
)
def test_impossible_fields_are_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        Arithmetic("arithmetic", **fields)
