"""Small stand-ins for data that are not part of the project."""

import hashlib
import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from archsearch.tasks import music, penn_treebank
from archsearch.tasks.penn_treebank import Part


@pytest.fixture
def treebank_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three short made-up texts, which the task takes for Mikolov's."""
    rng = random.Random(0)
    vocabulary = ["<unk>", "N", *(f"word{number}" for number in range(30))]
    folder = tmp_path / "texts"
    folder.mkdir()
    parts = {}
    for split, file, num_lines in (
        ("training", "ptb.train.txt", 300),
        ("validation", "ptb.valid.txt", 40),
        ("test", "ptb.test.txt", 50),
    ):
        lines = [" ".join(rng.choices(vocabulary, k=rng.randint(1, 12))) for _ in range(num_lines)]
        if split == "training":
            lines[0] = " ".join(vocabulary)
        content = "".join(f" {line} \n" for line in lines).encode()
        (folder / file).write_bytes(content)
        num_words = sum(len(line.split()) + 1 for line in lines)
        parts[split] = Part(file, hashlib.md5(content, usedforsecurity=False).hexdigest(), num_words)
    monkeypatch.setattr(penn_treebank, "PARTS", parts)
    monkeypatch.delenv("ARCHSEARCH_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    """Two thousand made-up words on lines."""
    rng = random.Random(1)
    words = ["one", "two", "three", "sun", "moon", "and", "the"]
    path = tmp_path / "text.txt"
    path.write_text("\n".join(" ".join(rng.choices(words, k=8)) for _ in range(250)), "utf-8")
    return path


@pytest.fixture
def series_file(tmp_path: Path) -> Path:
    """A noisy wave with a second column that runs ahead of it."""
    rng = random.Random(2)
    path = tmp_path / "series.csv"
    rows = [f"{t},{math.sin(t / 4) + rng.gauss(0, 0.1):.4f},{math.sin(t / 4 + 1):.4f}" for t in range(700)]
    path.write_text("\n".join(["time,wave,ahead", *rows]) + "\n", "utf-8")
    return path


@pytest.fixture
def labelled_file(tmp_path: Path) -> Path:
    """Short texts, labelled by whether they hold an x."""
    rng = random.Random(3)
    path = tmp_path / "labelled.jsonl"
    texts = ["".join(rng.choices("abcx", k=rng.randint(1, 6))) for _ in range(400)]
    path.write_text("".join(json.dumps({"sequence": t, "label": "x" in t}) + "\n" for t in texts), "utf-8")
    return path


@pytest.fixture
def music_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a few random pieces, which the task takes for Nottingham."""
    rng = np.random.default_rng(4)
    sizes = (12, 5, 5)
    monkeypatch.setitem(music.NUM_PIECES, "nottingham", sizes)
    content = {}
    for key, count in zip(("traindata", "validdata", "testdata"), sizes, strict=True):
        pieces = np.empty((1, count), dtype=object)
        for number in range(count):
            pieces[0, number] = (rng.random((int(rng.integers(3, 40)), 88)) < 0.05).astype(np.uint8)
        content[key] = pieces
    folder = tmp_path / "music"
    folder.mkdir()
    savemat(folder / "Nottingham.mat", content)
    return folder
