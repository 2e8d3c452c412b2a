"""Polyphonic music: which of 88 notes sound next."""

import functools
import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy.io import loadmat

from archsearch.errors import ConfigError
from archsearch.trials.examples import Example
from archsearch.trials.interface import Interface
from archsearch.trials.metric import NLL, Metric
from archsearch.trials.problems import Split
from archsearch.trials.sequence_sets import SequenceSetTask
from archsearch.trials.user_files import absolute_path

NUM_NOTES = 88
DATA_VARIABLE = "ARCHSEARCH_DATA"
SOURCE = "http://www-etud.iro.umontreal.ca/~boulanni/icml2012"
KEYS: dict[Split, str] = {"training": "traindata", "validation": "validdata", "test": "testdata"}
NUM_PIECES = {"nottingham": (694, 173, 170), "piano_midi": (87, 12, 25), "jsb_chorales": (229, 76, 77)}
FILES = {"nottingham": "Nottingham.mat", "piano_midi": "Piano_midi.mat", "jsb_chorales": "JSB_Chorales.mat"}


@dataclass(frozen=True)
class Music(SequenceSetTask):
    """Predicts the notes of the next time step of a piece of music from all steps before it.

    A step is 88 binary values, one for each key of a piano. The model reads step t - 1 (nothing sounds before the
    first) and gives the log odds of each key at step t; the loss is the sum of the 88 negative log likelihoods. The
    metric is its mean over all time steps of all pieces. Long pieces are read bit by bit, in the recipe's `unroll`
    steps, states being carried.

    This task is for evaluation: the paper's search did not use it, but scored its finished cells on it. The three sets
    come divided into training, validation and test data, which are kept. Files are looked for in `path`, or, where that
    is not given, in the folder `music` of the folder that the environment variable ARCHSEARCH_DATA names. Chance is the
    frequency of each key in the training data; the ceiling is not known.

    Source: Boulanger-Lewandowski 2012, Modeling temporal dependencies in high-dimensional sequences; Jozefowicz 2015,
    sec. 3.6; R30, R37.

    Attributes:
        dataset: `nottingham`, `piano_midi` or `jsb_chorales`.
        path: Folder with Nottingham.mat, Piano_midi.mat or JSB_Chorales.mat.
    """

    places: ClassVar[tuple[str, ...]] = ("path",)

    dataset: str = "nottingham"
    path: str | None = None

    def __post_init__(self) -> None:
        """Checks the fields, but not yet the file.

        Raises:
            ConfigError: A field has a value that cannot work.
        """
        self.check_choice("dataset", tuple(FILES))
        self.check_folder("path")
        if self.epoch is not None:
            self.check_integer("epoch", 1)

    @property
    def interface(self) -> Interface:
        """Reads and predicts 88 binary values."""
        return Interface(0, NUM_NOTES, NUM_NOTES, "binary_cross_entropy")

    @property
    def metric(self) -> Metric:
        """The negative log likelihood per time step (Table 2)."""
        return NLL

    @property
    def is_cut(self) -> bool:
        """Long pieces are read bit by bit (R27)."""
        return True

    @property
    def _file(self) -> Path:
        folder = self.path or os.path.join(os.environ.get(DATA_VARIABLE, "."), "music")  # noqa: PTH118 - joined as text
        return absolute_path(f"task {self.name}, path", folder) / FILES[self.dataset]

    def content_digest(self) -> str:
        """Identifies the file by its content.

        Raises:
            ConfigError: It is missing or is not what it should be.
        """
        return _read(self.name, self.dataset, self._file)[1]

    def examples(self, split: Split) -> Sequence[Example]:
        """Returns the pieces of a split."""
        return _read(self.name, self.dataset, self._file)[0][split]

    def chance(self) -> float:
        """Returns the metric of a guess by each key's frequency in the training data."""
        played = np.concatenate([example.targets for example in self.examples("training")])
        frequencies = (played.sum(axis=0) + 0.5) / (len(played) + 1)
        asked = np.concatenate([example.targets for example in self.examples("validation")])
        nats = -(asked * np.log(frequencies) + (1 - asked) * np.log1p(-frequencies))
        return float(nats.sum(axis=1).mean())

    def baselines(self) -> dict[str, float]:
        """Returns what the frequencies reach, and what even odds do."""
        return {"frequency of each key": self.chance(), "even odds": NUM_NOTES * math.log(2)}

    def ceiling(self) -> float | None:
        """Returns None: nobody knows."""
        return None


@functools.lru_cache(maxsize=2)
def _read(task: str, dataset: str, file: Path) -> tuple[dict[Split, tuple[Example, ...]], str]:
    """Reads and checks a file; kept in memory, as every trial asks for it.

    Raises:
        ConfigError: It is missing or is not what it should be.
    """
    if not file.is_file():
        raise ConfigError(
            f"task {task}: expected {file}, found no such file. Get it from {SOURCE} and set task.{task}.path to its "
            "folder."
        )
    try:
        content = loadmat(file)
        pieces = {
            split: [np.asarray(piece, np.float32) for piece in content[key].ravel()] for split, key in KEYS.items()
        }
    except Exception as error:  # scipy raises anything, of its own, zlib's and Python's, at a file that is damaged
        raise ConfigError(
            f"task {task}, {file}: expected a MATLAB file with {', '.join(KEYS.values())}, got {error!r}. Get it again "
            f"from {SOURCE}."
        ) from error
    counts = tuple(len(some) for some in pieces.values())
    shapes_fit = all(piece.ndim == 2 and piece.shape[1] == NUM_NOTES for some in pieces.values() for piece in some)
    if counts != NUM_PIECES[dataset] or not shapes_fit:
        raise ConfigError(
            f"task {task}, {file}: expected {NUM_PIECES[dataset]} pieces of {NUM_NOTES} notes for training, validation "
            f"and test, got {counts}. Get the file again from {SOURCE}."
        )
    hashed = hashlib.sha256()
    for piece in (piece for some in pieces.values() for piece in some):
        hashed.update(piece.astype(np.uint8).tobytes())
    examples = {split: tuple(_example(piece) for piece in some if len(piece)) for split, some in pieces.items()}
    return examples, hashed.hexdigest()[:16]


def _example(piece: np.ndarray[Any, np.dtype[np.float32]]) -> Example:
    before = np.concatenate([np.zeros((1, NUM_NOTES), np.float32), piece[:-1]])
    return Example(before, piece, np.ones(len(piece), np.bool_), piece.astype(np.uint8).tobytes())
