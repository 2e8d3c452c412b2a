"""Small stand-ins for data that are not part of the project."""

import hashlib
import random
from pathlib import Path

import pytest

from archsearch.tasks import penn_treebank
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
