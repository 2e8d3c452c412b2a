import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archsearch.errors import ConfigError
from archsearch.trials import numbered_text
from archsearch.trials.numbered_text import count_numbers, read_numbered_text, renumber
from archsearch.trials.text_units import UNITS, split_units
from archsearch.trials.user_files import read_texts

LETTERS = "abc\u03a3É€🙂 \n\r\t-'.…"  # a capital sigma becomes one of two small ones


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.text(LETTERS, max_size=40), min_size=1, max_size=3),
    piece_size=st.integers(1, 9),
    unit=st.sampled_from(UNITS),
    lower_case=st.booleans(),
)
def test_pieces_give_what_the_whole_gives(tmp_path, monkeypatch, texts, piece_size, unit, lower_case):
    """Where a piece ends changes nothing: no line end, word or small letter depends on it."""
    files = [tmp_path / f"{number}.txt" for number in range(len(texts))]
    for number, (file, text) in enumerate(zip(files, texts, strict=True)):
        file.write_bytes((b"\xef\xbb\xbf" if number == 1 else b"") + text.encode())
    monkeypatch.setattr(numbered_text, "PIECE_SIZE", piece_size)
    try:
        whole = read_texts("text", files, 1)
    except ConfigError:
        with pytest.raises(ConfigError, match="nothing but blanks"):
            read_numbered_text("text", files, 1, unit, lower_case)
        return
    expected = split_units("\n".join(whole), unit, lower_case)
    text = read_numbered_text("text", files, 1, unit, lower_case)
    assert [text.units[number] for number in text.numbers] == list(expected)
    assert text.has_foreign_line_ends == any("\r" in text for text in texts)
    assert len(set(text.units)) == len(text.units)


def test_counting_and_renumbering_in_pieces(monkeypatch):
    monkeypatch.setattr(numbered_text, "PIECE_SIZE", 7)
    numbers = np.random.default_rng(1).integers(0, 5, 100).astype(np.uint8)
    assert count_numbers(numbers, 6).tolist() == np.bincount(numbers, minlength=6).tolist()
    new = np.array([300, 4, 3, 2, 1])
    assert renumber(numbers, new).tolist() == new[numbers].tolist()
    assert renumber(numbers, new).dtype == np.uint16


@pytest.mark.parametrize("unit", UNITS)
def test_a_long_text_takes_a_few_bytes_a_character(tmp_path, monkeypatch, unit):
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghij", k=rng.randint(1, 9))) for _ in range(2_000)]
    path = tmp_path / "long.txt"
    path.write_text("…" + " ".join(rng.choices(words, k=1_000_000)))
    monkeypatch.setattr(numbered_text, "PIECE_SIZE", 2**16)
    tracemalloc.start()
    try:
        text = read_numbered_text("text", [path], 200, unit, False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(text.numbers) > (5_000_000 if unit == "characters" else 900_000)
    assert peak < 3 * path.stat().st_size + 8_000_000  # half of the latter are all codes of Unicode


def test_too_many_words_are_refused_before_they_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(numbered_text, "MAX_WORDS", 100)
    path = tmp_path / "hashes.txt"
    path.write_text(" ".join(f"{number:x}" for number in range(200)))
    with pytest.raises(ConfigError, match="at most 100 different words, got more"):
        read_numbered_text("text", [path], 1, "words", False)
    assert len(read_numbered_text("text", [path], 1, "characters", False).units) == 17
