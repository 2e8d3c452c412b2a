import itertools
import re
from collections import Counter

import pytest

from archsearch.errors import ConfigError
from archsearch.seeds import scalar_generator
from archsearch.tasks.xml import Xml


def documents(task: Xml, count: int, seed: int = 0) -> list[str]:
    problems = itertools.islice(task.problems("training", scalar_generator(seed)), count)
    return [task.decode(problem.symbols) for problem in problems]


def tags(document: str) -> list[tuple[str, str]]:
    assert re.fullmatch(r"(</?[a-z]+>)+", document)
    return re.findall(r"<(/?)([a-z]+)>", document)


def test_every_tag_closes_the_one_opened_last():
    """R35: documents are well formed and not empty."""
    for document in documents(Xml("xml"), 300):
        names = []
        for slash, name in tags(document):
            if slash:
                assert names.pop() == name
            else:
                names.append(name)
        assert not names


def test_names_have_the_allowed_lengths_and_letters():
    """R35: 2 to 10 random lowercase letters."""
    names = [name for document in documents(Xml("xml"), 400) for slash, name in tags(document) if not slash]
    assert {len(name) for name in names} == set(range(2, 11))
    assert set("".join(names)) == set("abcdefghijklmnopqrstuvwxyz")
    easy = Xml("xml", num_letters=4, min_tag=1, max_tag=3)
    names = [name for document in documents(easy, 200) for slash, name in tags(document) if not slash]
    assert {len(name) for name in names} == {1, 2, 3}
    assert set(easy.symbols) == set("abcd</>")
    assert set("".join(names)) == set("abcd")


def test_half_of_the_decisions_open_and_none_after_50():
    """R35: with probability 1/2, or after 50 iterations, the last tag is closed, or the document ends."""
    counts: Counter[str] = Counter()
    longest = 0
    for document in documents(Xml("xml"), 3000):
        kinds = [slash for slash, _ in tags(document)]
        assert "" not in kinds[50:]
        longest = max(longest, len(kinds))
        num_open = 0
        for position, slash in enumerate(kinds[:50]):
            # the first tag of a document is always opened: empty documents are skipped
            if position:
                counts["open" if not slash else "close"] += 1
            num_open += -1 if slash else 1
        if len(kinds) < 50:
            counts["close"] += 1  # the decision to end
    assert longest > 50
    assert counts["open"] / counts.total() == pytest.approx(0.5, abs=0.02)


def slow_best_guess(task: Xml, before: str) -> set[str]:
    """The likeliest characters after the beginning of a document, by weighing every possibility.

    How many iterations have passed is left out: it only makes closing surer where it is the likeliest already.
    """
    letters = "abcdefghijklmnopqrstuvwxyz"[: task.num_letters]
    names: list[str] = []
    for slash, name in re.findall(r"<(/?)([a-z]+)>", before):
        names.pop() if slash else names.append(name)
    tail = before[before.rfind("<") :] if "<" in before and not before.endswith(">") else ""
    weights: Counter[str] = Counter()
    if not tail:
        weights["<"] = 1
    elif tail.startswith("</"):
        weights[(names[-1] + ">")[len(tail) - 2]] = 1
    else:
        if tail == "<" and names:
            weights["/"] += 0.5
        read = len(tail) - 1
        lengths = [n for n in range(task.min_tag, task.max_tag + 1) if n >= read]
        for length in lengths:
            if length == read:
                weights[">"] += 1 / len(lengths)
            else:
                for letter in letters:
                    weights[letter] += (0.5 if tail == "<" and names else 1) / len(lengths) / len(letters)
    top = max(weights.values())
    return {character for character, weight in weights.items() if weight > top - 1e-9}


@pytest.mark.parametrize(
    "fields", [{}, {"num_letters": 4}, {"num_letters": 4, "max_tag": 3}, {"num_letters": 1, "min_tag": 1, "max_tag": 6}]
)
def test_ceiling_s_guesses_are_the_likeliest(fields):
    task = Xml("xml", **fields)
    for problem in itertools.islice(task.problems("validation", scalar_generator(1)), 40):
        text, guesses = task.decode(problem.symbols), task.decode(problem.guesses)
        for position, guess in enumerate(guesses[:400]):
            assert guess in slow_best_guess(task, text[:position]), (text[:position], guess)


def test_ceiling_counts_the_guesses_over_the_validation_streams():
    """Reads the streams as they come, not knowing where documents begin."""
    task = Xml("xml", num_letters=4, max_tag=3, validation_size=2000)
    hits = total = 0
    batches = list(task.held_out("validation", 20, 35))
    for stream in range(20):
        text = task.decode([batches[0].inputs[0, stream], *(s for b in batches for s in b.targets[:, stream])])
        for position in range(1, len(text)):
            # several letters may be equally likely; the task's guess among them is "a"
            hits += text[position] == min(slow_best_guess(task, text[:position]), key=lambda c: (c.isalpha(), c))
            total += 1
    assert total == 2000
    assert task.ceiling() == pytest.approx(hits / total, abs=1e-12)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_letters": 30}, "num_letters: expected an integer from 1 to 26, got 30"),
        ({"min_tag": 5, "max_tag": 4}, "min_tag: expected an integer from 1 to 4, got 5"),
        ({"max_iterations": 0}, "max_iterations"),
        ({"num_letters": 1, "max_tag": 2, "max_iterations": 1}, "task xml: expected enough different problems"),
    ],
)
def test_impossible_fields_are_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        Xml("xml", **fields)
