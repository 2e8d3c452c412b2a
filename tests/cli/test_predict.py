"""`predict` and `task check`: what they refuse. What they do is followed in tests/test_docs.py."""

import math
import random
import re

import pytest


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "waves.csv"
    path.write_text("time,wave\n" + "".join(f"{t},{math.sin(t / 4):.4f}\n" for t in range(300)))
    return path


@pytest.fixture
def trained(archsearch, table):
    words = ("task=series", f"task.series.path={table}", "task.series.time=time", "task.series.window=8")
    small = ("steps=20", "setting.max_parameters=2000", "setting.learning_rate=0.1")
    done = archsearch("evaluate", "cell=gru", *words, *small, "save=gru.safetensors")
    assert done.code == 0
    assert done.out.endswith("predict model=gru.safetensors input=FILE.csv\n")
    return "gru.safetensors"


def test_a_forecast_and_what_it_needs(archsearch, trained, table, tmp_path):
    done = archsearch("predict", f"model={trained}", f"input={table}", "out=forecast.csv")
    assert done.code == 0
    assert "step,wave,wave (persistence)" in done.out
    assert "persistence 0." in done.out
    assert "step,wave" in (tmp_path / "forecast.csv").read_text()
    short = tmp_path / "short.csv"
    short.write_text("time,wave\n1,2\n")
    filled = tmp_path / "filled.csv"
    filled.write_text(table.read_text() + "300,-1e20\n301,0.5\n")
    for words, message in (
        ((f"input={short}",), "expected the 8 whole rows that the model reads, got 1"),
        ((f"input={filled}",), "filled.csv, line 302, column 'wave': expected a number within 1,000,000 standard"),
        (("prompt=once",), "expected a model that continues texts, got a model of kind 'series'"),
        ((), "expected input=FILE.csv for a forecast or prompt"),
    ):
        refused = archsearch("predict", f"model={trained}", *words)
        assert refused.code == 2
        assert message in refused.err


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("to be or not to be, that is the question.\n" * 100)
    return path


def written_by_a_model_of(archsearch, text, *words: str) -> str:
    small = ("steps=20", "setting.max_parameters=2000", "save=writer.safetensors")
    assert archsearch("evaluate", "cell=gru", "task=text", f"task.text.path={text}", *words, *small).code == 0
    return "writer.safetensors"


def test_a_continuation_and_that_of_the_ngram(archsearch, text):
    model = written_by_a_model_of(archsearch, text)
    words = (f"model={model}", "prompt=日本 is the", "length=13", "temperature=0")
    done = archsearch("predict", *words, f"ngram_of={text}", "out=written.txt")
    assert done.code == 0
    assert "note: of the prompt, this is unknown to the model: '日', '本'" in done.out
    assert done.out.endswith(f"n-gram of {text}:\n日本 is the question.\nto\nWrote written.txt\n")
    for more, message in (
        (("ngram_of=nowhere.txt",), "ngram_of: expected a text file or a folder of such, found none at nowhere.txt"),
        (("input=a.csv",), "and not both"),
    ):
        refused = archsearch("predict", *words, *more)
        assert refused.code == 2
        assert message in refused.err


def test_words_go_on_after_a_blank(archsearch, text):
    model = written_by_a_model_of(archsearch, text, "task.text.unit=words")
    done = archsearch("predict", f"model={model}", "prompt=is the", "length=2", "temperature=0", f"ngram_of={text}")
    assert done.out.endswith("\nis the question .\n")
    assert re.search(r"^is the \S", done.out, flags=re.MULTILINE)


def test_no_model(archsearch, tmp_path):
    missing = archsearch("predict", "model=nowhere.safetensors", "prompt=a")
    assert (missing.code, "expected a safetensors file" in missing.err) == (2, True)


def test_task_check_wants_a_task_and_says_what_is_wrong_with_its_file(archsearch):
    assert "expected task=…, got none" in archsearch("task", "check").err
    refused = archsearch("task", "check", "task=text", "task.text.path=nowhere.txt")
    assert refused.code == 2
    assert "expected a file or a folder, found none" in refused.err


def test_task_check_validates_often_enough_to_see_the_loss_fall(archsearch, tmp_path):
    """Once through a long text takes more steps than the check has."""
    (tmp_path / "long.txt").write_text("to be or not to be, that is the question.\n" * 4_000)
    words = ("task=text", f"task.text.path={tmp_path / 'long.txt'}", "setting.max_parameters=2000", "steps=40")
    done = archsearch("task", "check", *words)
    assert done.code == 0
    assert "In a search, validations are 215 steps apart; here, less." in done.out
    assert "step      10  loss" in done.out


def test_task_check_finds_copies_wherever_they_begin(archsearch, tmp_path):
    """The second half of the text is the first one, and no stretch begins at the same place of its minibatch."""
    rng = random.Random(1)
    half = "".join(rng.choices("abcdefgh \n", k=30_007))
    (tmp_path / "twice.txt").write_text(half * 2)
    (tmp_path / "once.txt").write_text(half + "".join(rng.choices("abcdefgh \n", k=30_007)))
    for name, verdict in (("twice", "too: a leak"), ("once", "too: no leak seen")):
        words = ("task=text", f"task.text.path={tmp_path / name}.txt", "setting.max_parameters=2000", "steps=5")
        done = archsearch("task", "check", *words)
        assert done.code in (0, 1), "five steps teach nothing, and it says so"
        assert done.out.count(verdict) == 2, done.out


def test_task_check_shows_labels_by_their_names(archsearch, tmp_path):
    lines = "".join(f"{n:b},{'odd' if n % 2 else 'even'}\n" for n in range(300))
    (tmp_path / "numbers.csv").write_text(f"sequence,label\n{lines}")
    words = ("task=labelled", f"task.labelled.path={tmp_path / 'numbers.csv'}", "setting.max_parameters=2000")
    done = archsearch("task", "check", *words, "steps=40")
    assert "classes, 2: even odd" in done.out
    assert "example, predict  odd\n" in done.out or "example, predict  even\n" in done.out


def test_a_folder_of_tasks_that_is_none(archsearch):
    refused = archsearch("task", "check", "--config-dir", "nowhere", "task=xml")
    assert refused.code == 2
    assert "--config-dir: expected a folder with task/NAME.yaml, got 'nowhere'" in refused.err
